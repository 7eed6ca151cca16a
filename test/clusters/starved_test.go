//go:build clusters

package clusters

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/watcher/fleet"
)

// TestAPIServerThatHasNoTimeForPodway has requests of podway wait in a queue of the API server, which nobody empties: what is known is served, a person is told, and
// watches that are open go on.
func TestAPIServerThatHasNoTimeForPodway(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, proxied: true})
	east := w.members["east"]
	web := east.handmade(4)
	w.newTunnel("web", []string{"east"}, "retry: {attempts: 0}")
	w.start()
	before := w.awaitState("east", fleet.Live)
	w.edge.await("web", web.pods...)
	load, guard := w.load("web", 50), w.guard("web", web.pods...)

	feed := east.Starve(viewer)
	w.awaitState("east", fleet.Stale, "the server does not answer")
	w.awaitProblem(fleet.CodeClusterStale, "east", "the server does not answer", "its 4 Pods that were last known stay in force")
	w.Logf("measured: followed in %s over watches that were open", web.follow("web"))
	east.proxy.Cut()
	w.awaitState("east", fleet.Stale)
	w.requests(load, 200)
	w.awaitState("east", fleet.Stale, "the server does not answer")

	feed()
	w.Logf("measured: followed %s after it had time again", web.follow("web"))
	require.Equal(t, before.Relists, w.awaitState("east", fleet.Live).Relists)
	guard.end(w)
	w.requireServed(load)
}
