package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/podway/podway/demo"
)

// kind is one kind of change.
type kind struct {
	name string
	// host is what clients ask for to see it.
	host string
	// make is the file that the change with a number is written to, its content, and the header that shows it.
	make func(w *world, number int) (file, content, header, value string)
}

// kinds are a change of the live Pods, one of weights, and one of routing: each reaches Envoy by another way through podway.
var kinds = []kind{
	{"a Pod is replaced", "pod", func(w *world, number int) (file, content, header, value string) {
		pod := w.pods[number%2]
		return "east/app.yaml", serviceYAML("app", pod.name, pod.address), podHeader, pod.name
	}},
	{"all weight is moved from one Service to the other", "weight", func(w *world, number int) (file, content, header, value string) {
		weights := []string{"left=100", "right=0"}
		if number%2 == 1 {
			weights = []string{"left=0", "right=100"}
		}
		return "weight.yaml", tunnelYAML("weight", services(weights...)), podHeader, w.pods[number%2].name
	}},
	{"the Host toward the Pods changes", "host", func(_ *world, number int) (file, content, header, value string) {
		host := fmt.Sprintf("n%d.internal", number)
		return "host.yaml", tunnelYAML("host", services("left=100"), "hostHeader: "+host), hostHeader, host
	}},
}

// between is the time between two changes, in which everything is at rest.
const between = 100 * time.Millisecond

// measure makes changes of one kind and prints how long they took to be seen.
func (w *world) measure(ctx context.Context, o options, k kind) error {
	cpu, err := w.plane.cpu()
	if err != nil {
		return err
	}
	var first, last []time.Duration
	// Number 0 is what is there already.
	for number := 1; number <= o.changes; number++ {
		times, err := w.change(ctx, o.poll, k, number)
		if err != nil {
			return err
		}
		first, last = append(first, slices.Min(times)), append(last, slices.Max(times))
		<-time.After(between)
	}
	after, err := w.plane.cpu()
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%-50s  first Envoy p50 %7s, p99 %7s   last p50 %7s, p99 %7s   podway's CPU %s each\n", k.name,
		short(percentile(first, 50)), short(percentile(first, 99)), short(percentile(last, 50)), short(percentile(last, 99)),
		short((after-cpu)/time.Duration(o.changes)))
	return nil
}

// change makes one and returns when each Envoy first showed it, from its coming into force on disk.
func (w *world) change(ctx context.Context, poll time.Duration, k kind, number int) ([]time.Duration, error) {
	file, content, header, value := k.make(w, number)
	at, err := demo.WriteFile(filepath.Join(w.directory, file), []byte(content))
	if err != nil {
		return nil, err
	}
	return w.seen(ctx, at, poll, k.host, header, value)
}

func short(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

func percentile(all []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)*percent/100]
}
