package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/podway/podway/bench/xds/fleet"
	"github.com/podway/podway/bench/xds/servers"
)

var kinds = []string{servers.Floor, servers.Podway, servers.LinearCache}

const (
	// gap is the time between two changes of one assignment under continuous change, far less than a server needs for all its streams.
	gap = 10 * time.Millisecond
	// changes is how many there are.
	changes = 500
)

// with runs a measurement with a connected server.
func with(ctx context.Context, o options, kind string, clusters int, f fleet.Options, do func(*lane) error) (err error) {
	l, err := start(ctx, o, kind, clusters)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if f.Streams > 0 {
		if err := l.connect(ctx, f); err != nil {
			return err
		}
	}
	return do(l)
}

// continuous is one assignment that changes far more often than all streams can be told.
func continuous(ctx context.Context, o options) error {
	fmt.Fprintf(o.out, "\nContinuous change: one assignment every %s, %d streams with %d clusters\n", gap, o.streams, few)
	base, turns, is := 0.0, 0.0, 0.0
	var oldest time.Duration
	for _, kind := range []string{servers.Floor, servers.FloorByTurns, servers.Podway, servers.LinearCache} {
		err := with(ctx, o, kind, few, fleet.Options{Streams: o.streams, PerConnection: o.perConnection}, func(l *lane) error {
			before, err := l.order(order{Settle: true})
			if err != nil {
				return err
			}
			acked := l.fleet.Acked()
			// That many never come.
			l.fleet.Expect(1 << 62)
			began := time.Now()
			after, err := l.order(order{Count: changes, Gap: gap})
			if err != nil {
				return err
			}
			rate := float64(l.fleet.Acked()-acked) / time.Since(began).Seconds()
			old := l.fleet.TakeOldest()
			switch kind {
			case servers.Floor:
				base = rate
			case servers.FloorByTurns:
				turns = rate
			case servers.Podway:
				is, oldest = rate, old
			}
			fmt.Fprintf(o.out, "%14s  %8.0f acknowledged a second (%.2f of the floor)  %.1f us of CPU each  oldest %s  resident +%.1f MB\n",
				kind, rate, rate/base, float64(after.CPU-before.CPU)/1e3/float64(l.fleet.Acked()-acked),
				short(old), float64(after.Resident-before.Resident)/(1<<20))
			return nil
		})
		if err != nil {
			return err
		}
	}
	o.atLeast("acknowledged a second beside the floor's that queues", is/base, 0.5)
	o.atLeast("acknowledged a second beside the floor's that sends by turns", is/turns, 0.5)
	o.atMost("age of the oldest content, in ms", float64(oldest)/1e6, 500)
	return nil
}

// stalled is the same push with and without streams that never read, in turn. The floor has no answer to those.
func stalled(ctx context.Context, o options) error {
	fmt.Fprintf(o.out, "\nOne stream of a hundred does not read: the others' last acknowledgement, %d streams with %d clusters\n", o.streams, few)
	is := 0.0
	for _, kind := range []string{servers.Podway, servers.LinearCache} {
		without, beside, err := stalledBeside(ctx, o, kind)
		if err != nil {
			return err
		}
		var ratios [2]float64
		for i, percent := range []int{50, 99} {
			b, w := percentile(beside, percent), percentile(without, percent)
			ratios[i] = ratio(b, w)
			fmt.Fprintf(o.out, "%12s  p%d %s, without such %s (%.2f)\n", kind, percent, short(b), short(w), ratios[i])
		}
		if kind == servers.Podway {
			is = ratios[1]
		}
	}
	o.atMost("p99 of the others beside that without such", is, 1.2)
	return nil
}

// stalledBeside returns how long pushes take with all streams reading, and beside some that do not.
func stalledBeside(ctx context.Context, o options, kind string) (without, beside []time.Duration, err error) {
	all := fleet.Options{Streams: o.streams, PerConnection: o.perConnection}
	some := all
	some.Stalled = max(1, o.streams/100)
	err = with(ctx, o, kind, few, all, func(whole *lane) error {
		return with(ctx, o, kind, few, some, func(l *lane) error {
			for range o.pushes {
				took, err := whole.push(ctx, 1, o.streams)
				if err != nil {
					return err
				}
				without = append(without, took)
				if took, err = l.push(ctx, 1, o.streams-some.Stalled); err != nil {
					return err
				}
				beside = append(beside, took)
			}
			return nil
		})
	})
	return without, beside, err
}

const (
	burstChanges = 200
	burstStreams = 500
)

// burst is many assignments that change at once.
func burst(ctx context.Context, o options) error {
	streams, clusters := min(burstStreams, o.streams), max(burstChanges, o.clusters)
	fmt.Fprintf(o.out, "\nA burst of %d changed assignments of 100 endpoints to %d streams: until the last has the last\n", burstChanges, streams)
	var base, is time.Duration
	for _, kind := range kinds {
		err := with(ctx, o, kind, clusters, fleet.Options{Streams: streams, PerConnection: o.perConnection}, func(l *lane) error {
			before, err := l.order(order{Settle: true})
			if err != nil {
				return err
			}
			took, err := l.push(ctx, burstChanges, streams)
			if err != nil {
				return err
			}
			rest()
			after, err := l.order(order{})
			if err != nil {
				return err
			}
			switch kind {
			case servers.Floor:
				base = took
			case servers.Podway:
				is = took
			}
			fmt.Fprintf(o.out, "%12s  %s (%.2f of the floor)  CPU %.2f s\n", kind, short(took), ratio(took, base), (after.CPU - before.CPU).Seconds())
			return nil
		})
		if err != nil {
			return err
		}
	}
	o.atMost("time until the last has the last, in ms", float64(is)/1e6, 1000)
	return nil
}

// opened is streams that are opened, answered and closed, one after another on a few connections.
func opened(ctx context.Context, o options) error {
	fmt.Fprintf(o.out, "\n%d streams opened and closed\n", o.opened)
	for _, kind := range kinds {
		err := with(ctx, o, kind, few, fleet.Options{}, func(l *lane) error {
			turnover, err := fleet.NewTurnover(l.address, servers.Names(few))
			if err != nil {
				return err
			}
			defer turnover.Close()
			if err := turnover.Run(ctx, o.opened/100); err != nil {
				return err
			}
			rest()
			before, err := l.order(order{Settle: true})
			if err != nil {
				return err
			}
			if err := turnover.Run(ctx, o.opened); err != nil {
				return err
			}
			rest()
			after, err := l.order(order{Settle: true})
			if err != nil {
				return err
			}
			fmt.Fprintf(o.out, "%12s  goroutines %+d  heap %+.2f MB  CPU of each %.0f us\n", kind, after.Goroutines-before.Goroutines,
				float64(after.Heap-before.Heap)/(1<<20), float64(after.CPU-before.CPU)/1e3/float64(o.opened))
			if kind == servers.Podway {
				o.atMost("goroutines more or fewer", math.Abs(float64(after.Goroutines-before.Goroutines)), 5)
				o.atMost("heap more, in MB", float64(after.Heap-before.Heap)/(1<<20), 2)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
