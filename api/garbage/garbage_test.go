package garbage

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestManyStacksMakeCollectionsRare(t *testing.T) {
	const mib = 1 << 20
	for what, c := range map[string]struct {
		kept
		percent int
	}{
		"nothing yet":                {kept{}, 50},
		"few streams":                {kept{heap: 10 * mib, stacks: mib, globals: mib}, 50},
		"many Pods, few streams":     {kept{heap: 90 * mib, stacks: 2 * mib, globals: mib}, 50},
		"many streams":               {kept{heap: 29 * mib, stacks: 30 * mib, globals: mib}, 200},
		"many streams and Pods":      {kept{heap: 209 * mib, stacks: 30 * mib, globals: mib}, 50},
		"hardly anything but stacks": {kept{stacks: 30 * mib}, 400},
	} {
		require.Equal(t, c.percent, c.kept.percent(), what)
	}
}

func TestPaceFollowsTheStacks(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(least)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { Pace(ctx) })
	defer all.Wait()
	defer cancel()
	is := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	done := make(chan struct{})
	for range 20_000 {
		all.Go(func() { <-done })
	}
	require.Eventually(t, func() bool { return is() > 100 }, time.Minute, 10*time.Millisecond, "%d", is())
	close(done)
}
