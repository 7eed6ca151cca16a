package main

import (
	"context"
	"fmt"
	"time"

	"github.com/podway/podway/bench/xds/fleet"
	"github.com/podway/podway/bench/xds/servers"
)

// reconnect is all streams at once, by clients that have everything.
func reconnect(ctx context.Context, o options) error {
	fmt.Fprintf(o.out, "\n%d clients that have all of %d clusters connect at once\n", o.streams, o.clusters)
	for _, world := range []bool{false, true} {
		for _, kind := range kinds {
			err := with(ctx, o, kind, o.clusters, fleet.Options{}, func(l *lane) error { return herd(ctx, o, l, world) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// herd is one such reconnection. By delta, nothing need be sent: a change that is published as soon as all have asked shows when they
// are served. By the state of the world, everything must be sent, for a version there says nothing of the names.
func herd(ctx context.Context, o options, l *lane, world bool) error {
	f := fleet.Options{Address: l.address, Streams: o.streams, PerConnection: o.perConnection, Names: servers.Names(o.clusters), World: world}
	variant, err := "delta", error(nil)
	if world {
		variant, f.Expected = "sotw", int64(o.streams*o.clusters)
		f.Version, err = fleet.Version(ctx, l.address, f.Names)
	} else {
		f.Expected = int64(o.streams)
		f.Versions, err = fleet.Versions(ctx, l.address, f.Names)
	}
	if err != nil {
		return err
	}
	before, err := l.order(order{Settle: true})
	if err != nil {
		return err
	}
	began := time.Now()
	if l.fleet, err = fleet.Open(f); err != nil {
		return err
	}
	if !world {
		if _, err := l.order(order{Count: 1}); err != nil {
			return err
		}
	}
	at, err := l.wait(ctx)
	if err != nil {
		return err
	}
	rest()
	after, err := l.order(order{})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%6s%8s  settled in %.2f s  CPU %.2f s  %d resources sent beyond those that must be, %d removed  %.0f KB to each\n",
		variant, l.kind, at.Sub(began).Seconds(), (after.CPU - before.CPU).Seconds(), l.fleet.Acked()-f.Expected, l.fleet.Removed(),
		float64(l.fleet.Bytes())/float64(o.streams)/1024)
	if l.kind == servers.Podway {
		o.atMost("seconds until all are settled", at.Sub(began).Seconds(), 5)
		o.atMost("resources sent or removed that need not be", float64(l.fleet.Acked()-f.Expected+l.fleet.Removed()), 0)
	}
	return nil
}
