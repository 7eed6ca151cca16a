package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/podway/podway/bench/xds/fleet"
	"github.com/podway/podway/bench/xds/servers"
)

// few is how many clusters there are where many are compared with few.
const few = 10

// seldom is how many pushes of the others come to one of LinearCache, which takes so much longer.
const seldom = 10

// figures are what is measured of one lane.
type figures struct {
	times  []time.Duration
	before report
	after  report
	bytes  int64
}

func (f figures) cpu() float64 { return float64(f.after.CPU-f.before.CPU) / f.pushes() }
func (f figures) allocations() float64 {
	return float64(f.after.Allocations-f.before.Allocations) / f.pushes()
}

func (f figures) allocated() float64 {
	return float64(f.after.Allocated-f.before.Allocated) / f.pushes()
}
func (f figures) pushes() float64 { return float64(len(f.times)) }

// push is one changed assignment of 100 endpoints to all streams, again and again, in turn for all servers.
func push(ctx context.Context, o options) (err error) {
	var lanes []*lane
	defer func() { err = errors.Join(err, closeAll(lanes)) }()
	for _, s := range []struct {
		kind     string
		clusters int
	}{{servers.Floor, o.clusters}, {servers.Podway, o.clusters}, {servers.Podway, few}, {servers.LinearCache, o.clusters}} {
		l, err := start(ctx, o, s.kind, s.clusters)
		if err != nil {
			return err
		}
		lanes = append(lanes, l)
		if err := l.connect(ctx, fleet.Options{Streams: o.streams, PerConnection: o.perConnection}); err != nil {
			return err
		}
	}
	all := make([]figures, len(lanes))
	if err := inTurn(ctx, o, lanes, all); err != nil {
		return err
	}
	fmt.Fprintf(o.out, "One changed assignment of 100 endpoints, %d streams, %d pushes (LinearCache %d)\n", o.streams, o.pushes, len(all[len(all)-1].times))
	w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tCPU/push\tto floor\tallocs/push\tto floor\tKB/push\tlast ACK p50\tto floor\tp99\tto floor\tbytes/Envoy\t")
	for i, l := range lanes {
		f, floor := all[i], all[0]
		fmt.Fprintf(w, "%s\t%.2f ms\t%.2f\t%.0f\t%.2f\t%.0f\t%s\t%.2f\t%s\t%.2f\t%.0f\t\n", l,
			f.cpu()/1e6, f.cpu()/floor.cpu(), f.allocations(), f.allocations()/floor.allocations(), f.allocated()/1024,
			short(percentile(f.times, 50)), ratio(percentile(f.times, 50), percentile(floor.times, 50)),
			short(percentile(f.times, 99)), ratio(percentile(f.times, 99), percentile(floor.times, 99)),
			float64(f.bytes)/f.pushes()/float64(o.streams))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	judgePush(o, all[0], all[1], all[2], all[3])
	return nil
}

func judgePush(o options, floor, many, few, linear figures) {
	o.atMost("CPU of a push beside the floor's", many.cpu()/floor.cpu(), 1.5)
	for _, percent := range []int{50, 99} {
		is := percentile(many.times, percent)
		o.atMost(fmt.Sprintf("last acknowledgement beside the floor's, p%d", percent), ratio(is, percentile(floor.times, percent)), 1.5)
		o.atLeast(fmt.Sprintf("LinearCache's beside it, p%d", percent), ratio(percentile(linear.times, percent), is), 15)
	}
	o.atLeast("LinearCache's CPU beside it", linear.cpu()/many.cpu(), 15)
	o.atMost("CPU with many clusters beside that with few", many.cpu()/few.cpu(), 1.2)
	o.atMost("bytes to each Envoy beyond the assignment", float64(many.bytes)/many.pushes()/float64(o.streams)-float64(servers.AssignmentBytes()), 200)
}

// warmUp is how many pushes are not counted.
const warmUp = 5

func inTurn(ctx context.Context, o options, lanes []*lane, all []figures) error {
	for n := range warmUp + o.pushes {
		for i, l := range lanes {
			switch {
			case l.kind == servers.LinearCache && n%seldom != 0 && n != warmUp:
				continue
			case n == warmUp:
				rest()
				r, err := l.order(order{Settle: true})
				if err != nil {
					return err
				}
				all[i] = figures{before: r, bytes: -l.fleet.Bytes()}
			}
			took, err := l.push(ctx, 1, o.streams)
			if err != nil {
				return err
			}
			all[i].times = append(all[i].times, took)
		}
	}
	rest()
	for i, l := range lanes {
		r, err := l.order(order{})
		if err != nil {
			return err
		}
		all[i].after = r
		all[i].bytes += l.fleet.Bytes()
	}
	return nil
}

func closeAll(lanes []*lane) (err error) {
	for _, l := range lanes {
		err = errors.Join(err, l.close())
	}
	return err
}

func short(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// state is the slope of resident memory between few and many clusters.
func state(ctx context.Context, o options) error {
	fmt.Fprintf(o.out, "\nState of a stream that %d clusters cost instead of %d, over %d streams\n", o.clusters, few, o.streams)
	is := 0.0
	for _, kind := range kinds {
		slope, heap, err := slopeOf(ctx, o, kind)
		if err != nil {
			return err
		}
		fmt.Fprintf(o.out, "%12s  %8.2f KB resident  %8.2f KB of heap\n", kind, slope/1024, heap/1024)
		if kind == servers.Podway {
			is = slope / 1024
		}
	}
	o.atMost("resident memory of a stream, in KB", is, 8)
	return nil
}

func slopeOf(ctx context.Context, o options, kind string) (resident, heap float64, err error) {
	var r, h [2]int64
	for i, clusters := range []int{few, o.clusters} {
		if r[i], h[i], err = held(ctx, o, kind, clusters); err != nil {
			return 0, 0, err
		}
	}
	return float64(r[1]-r[0]) / float64(o.streams), float64(h[1]-h[0]) / float64(o.streams), nil
}

// held is what the streams hold once each has got everything and then a change.
func held(ctx context.Context, o options, kind string, clusters int) (resident, heap int64, err error) {
	l, err := start(ctx, o, kind, clusters)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	before, err := l.order(order{Settle: true})
	if err != nil {
		return 0, 0, err
	}
	if err := l.connect(ctx, fleet.Options{Streams: o.streams, PerConnection: o.perConnection}); err != nil {
		return 0, 0, err
	}
	if _, err := l.push(ctx, 1, o.streams); err != nil {
		return 0, 0, err
	}
	rest()
	after, err := l.order(order{Settle: true})
	if err != nil {
		return 0, 0, err
	}
	return after.Resident - before.Resident, after.Heap - before.Heap, nil
}
