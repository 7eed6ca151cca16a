//go:build clusters

package clusters

import (
	"testing"

	"github.com/stretchr/testify/require"

	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// TestReplacedAPIServerIsNotBelieved has something else answer at the address of an API server: the Pods stay as they were until a person says
// that it is right.
func TestReplacedAPIServerIsNotBelieved(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71})
	east := w.members["east"]
	web := east.handmade(4)
	before := web.pods
	w.newTunnel("web", []string{"east"})
	w.start("--state", w.state)
	w.awaitState("east", fleet.Live)
	w.edge.await("web", before...)
	guard := w.guard("web", before...)
	load := w.load("web", 100)

	w.run("another certificate", func() {
		east.Restart(kubetest.RestartOptions{OtherCA: true})
		w.awaitState("east", fleet.Stale, "x509: certificate signed by unknown authority")
		w.awaitProblem(fleet.CodeClusterStale, "east", "x509: certificate signed by unknown authority", "its 4 Pods that were last known stay in force")
		w.requests(load, 50)
		// The kubeconfig with the new authority is all that it needs.
		east.authorize(east.TokenOf(viewer))
		w.awaitState("east", fleet.Live)
		w.awaitNoProblem(fleet.CodeClusterStale, "east")
		w.requireSaid("The changed credential or scope is in force", "cluster=east")
		require.Less(w, web.follow("web"), followedWithin)
	})
	w.run("another cluster", func() {
		pinned := string(east.ClusterUID())
		east.Replace()
		found := string(east.ClusterUID())
		require.NotEqual(w, pinned, found)
		east.Allow(kubetest.User(viewer), everything()...)
		east.Create(kubetest.Namespace(namespace))
		said := []string{"this is another cluster", pinned, found}
		w.awaitState("east", fleet.Refused, said...)
		w.awaitProblem(fleet.CodeClusterRefused, "east", append(said, "its 4 Pods that were last known stay in force")...)
		w.requests(load, 50)
		w.plane.stop()
		w.startPlane("--state", w.state)
		w.awaitState("east", fleet.Refused, said...)
		w.edge.await("web", before...)
		w.requests(load, 50)
		east.PutBack()
		require.Equal(w, pinned, string(east.ClusterUID()))
		w.awaitState("east", fleet.Live)
		require.Less(w, web.follow("web"), followedWithin)
	})
	guard.end(w)
	w.run("another cluster that is meant", func() {
		east.Replace()
		east.Allow(kubetest.User(viewer), everything()...)
		east.Create(kubetest.Namespace(namespace))
		come := east.handmade(2).pods
		w.awaitState("east", fleet.Refused, "this is another cluster")
		east.configure()
		w.awaitState("east", fleet.Live)
		w.edge.await("web", come...)
		w.requests(load, 50)
	})
	w.requireServed(load)
}
