//go:build clusters

package clusters

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// TestRestartWhileAClusterIsAway ends podway in several ways, and starts it again with an API server that is away.
func TestRestartWhileAClusterIsAway(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71}, memberConfig{name: "west", network: 72})
	east, west := w.members["east"].handmade(4), w.members["west"].handmade(3)
	all := slices.Concat(east.pods, west.pods)
	w.newTunnel("web", []string{"east", "west"})
	w.start("--state", w.state)
	w.awaitState("east", fleet.Live)
	w.awaitState("west", fleet.Live)
	w.edge.await("web", all...)
	guard := w.guard("web", all...)
	load := w.load("web", 100)

	w.run("with what is remembered", func() {
		w.members["west"].Kill()
		w.awaitState("west", fleet.Stale)
		w.plane.stop()
		w.startPlane("--state", w.state)
		w.requireRemembered("west", 3)
		fresh := w.startEnvoy("spare")
		fresh.await("web", all...)
		require.NoError(w, fresh.Stop())
		w.members["west"].Restart(kubetest.RestartOptions{})
		now := w.awaitState("west", fleet.Live)
		require.True(w, now.Remembered.IsZero())
		require.Equal(w, 3, now.Pods)
	})
	w.run("killed while Pods come and go", func() {
		added := w.members["west"].newPod("web")
		for range 5 {
			west.set(append(slices.Clone(west.pods), added)...)
			w.edge.await("web", append(slices.Clone(all), added)...)
			w.plane.kill()
			west.set(west.pods[:3]...)
			w.startPlane("--state", w.state)
			w.awaitState("west", fleet.Live)
			w.edge.await("web", all...)
		}
		added.stop(w)
	})
	w.run("with a torn file", func() {
		w.plane.stop()
		w.members["west"].Kill()
		w.tear("west")
		w.startPlane("--state", w.state)
		w.awaitState("west", fleet.Unknown, "connection refused")
		w.requireSaid("level=WARN", "What was remembered of a cluster is not used", "cluster=west", "is torn")
		w.requireRest(all, east.pods)
		w.members["west"].Restart(kubetest.RestartOptions{})
		w.awaitState("west", fleet.Live)
		west.follow("web", east.pods...)
	})
	w.run("with nothing remembered", func() {
		w.plane.stop()
		w.members["west"].Kill()
		w.startPlane()
		w.awaitState("west", fleet.Unknown, "connection refused")
		w.awaitProblem(fleet.CodeClusterUnknown, "west", "connection refused")
		ready, err := w.plane.ask("GET", "/readyz")
		require.NoError(w, err, "no cluster delays the start")
		require.Contains(w, ready, "nothing is known yet of: west")
		w.requireRest(all, east.pods)
		w.members["west"].Restart(kubetest.RestartOptions{})
		w.awaitState("west", fleet.Live)
		west.follow("web", east.pods...)
	})
	guard.end(w)
	w.requireServed(load)
}

// requireRemembered fails unless a cluster that is away is served from what was kept on disk, and a person can see that.
func (w *world) requireRemembered(name string, pods int) {
	w.Helper()
	now := w.awaitState(name, fleet.Stale, "connection refused")
	require.False(w, now.Remembered.IsZero(), "a person must see that this was remembered")
	require.Equal(w, pods, now.Pods)
	require.Equal(w, 2, now.Services, "shop/web and default/kubernetes")
	w.awaitProblem(fleet.CodeClusterStale, name, "connection refused", "stay in force")
	w.requireSaid("Remembered what a cluster last had", "cluster="+name)
}

// requireRest fails unless an Envoy that has all Pods keeps them, and one that has none gets those of the cluster that is there.
func (w *world) requireRest(all, there []*pod) {
	w.Helper()
	fresh := w.startEnvoy("spare")
	fresh.await("web", there...)
	require.NoError(w, fresh.Stop())
	w.edge.await("web", all...)
}

// tear cuts off the end of what is remembered of a cluster.
func (w *world) tear(name string) {
	w.Helper()
	torn := 0
	require.NoError(w, filepath.WalkDir(w.state, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(entry.Name(), name) {
			return err
		}
		torn++
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()-10)
	}))
	require.Equal(w, 1, torn)
}
