// Package garbage decides how often a process that serves many streams collects its garbage. It is apart from the command, so that benchmarks
// measure what the command does.
package garbage

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// least is the percentage where there are few streams. Most of what podway keeps are Pods and endpoints, in few and large pieces: to look
	// through them costs little, and Go's default of 100 takes a third more memory.
	least = 50
	// every is how often the percentage is looked at. Streams come and go in seconds.
	every = time.Second
	// perStack is how much may be allocated between two collections, in parts of what the stacks of goroutines take.
	perStack = 4
	// most is the largest percentage.
	most = 400
	// steps is by how much two percentages differ at least of which one replaces the other, in percent: to replace it stops the process for a moment.
	steps = 10
)

// Pace has the garbage collector run whenever half as much has been allocated as is kept, until the context ends; beside many streams more seldom,
// up to four times as much. Each stream has goroutines, and a collection looks through the stacks of all of them while what is to be sent waits:
// beside 1000, one that falls into a push makes that take about half as long again. The environment variable GOGC has its way.
func Pace(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(least)
	now := least
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if next := measure().percent(); 100*max(next-now, now-next) >= steps*now {
			debug.SetGCPercent(next)
			now = next
		}
	}
}

// kept is what a collection looks through, in bytes.
type kept struct{ heap, stacks, globals uint64 }

func measure() kept {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	return kept{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()}
}

// percent is of all that is kept, as that of the Go runtime is.
func (k kept) percent() int {
	all := k.heap + k.stacks + k.globals
	if all == 0 {
		return least
	}
	return min(max(least, int(100*perStack*k.stacks/all)), most)
}
