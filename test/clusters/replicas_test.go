//go:build clusters

package clusters

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/watcher/fleet"
)

// TestAPIServerThatLagsBehindABalancer has podway's connection lead to the one of two API servers that loses its etcd. It goes on to answer pings, and to
// hold its watches open, on which nothing comes. The balancer sends new connections to the other one, and leaves those that there are where they are.
func TestAPIServerThatLagsBehindABalancer(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, proxied: true})
	east := w.members["east"]
	replica := east.StartReplica()
	web := east.handmade(6)
	w.newTunnel("web", []string{"east"}, "retry: {attempts: 0}")
	east.proxy.Lead(replica.Address())
	w.start("--state", w.state)
	before := w.awaitState("east", fleet.Live)
	w.edge.await("web", web.pods...)
	load := w.load("web", 50)
	w.requests(load, 50)

	east.proxy.Lead(east.Address())
	replica.Store.Blackhole()
	deleted, stay := web.pods[:2], web.pods[2:]
	guard := w.guard("web", stay...)
	begun := time.Now()
	web.set(stay...)
	w.edge.await("web", stay...)
	w.Logf("measured: deleted Pods were served for %s", time.Since(begun))
	for _, p := range deleted {
		p.stop(w)
	}
	require.Equal(w, before.Relists, w.awaitState("east", fleet.Live).Relists)

	// What lagged is well again, and podway's connection is moved to it.
	east.proxy.Lead(replica.Address())
	replica.Store.Pass()
	east.proxy.Cut()
	web.follow("web")
	// And once more, with a connection that is new to a server that lags.
	replica.Store.Blackhole()
	east.proxy.Cut()
	w.awaitState("east", fleet.Stale)
	web.set(append(slices.Clone(stay), east.newPods("web", 1)...)...)
	east.proxy.Lead(east.Address())
	w.Logf("measured: followed in %s", w.edge.await("web", web.pods...))
	w.awaitState("east", fleet.Live)
	guard.end(w)
	w.requireServed(load)
}
