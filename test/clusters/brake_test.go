//go:build clusters

package clusters

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/watcher/fleet"
)

// TestPodsThatLoseReadinessTogetherStay has 20 Pods of one cluster lose readiness together, as by a broken probe: they answer still.
func TestPodsThatLoseReadinessTogetherStay(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, controllers: true}, memberConfig{name: "west", network: 72})
	east := w.members["east"]
	_, lost := east.web(20)
	rest := w.members["west"].handmade(2).pods
	w.newTunnel("web", []string{"east", "west"})
	w.start("--state", w.state)
	w.awaitState("east", fleet.Live)
	all := slices.Concat(lost, rest)
	w.edge.await("web", all...)
	load := w.load("web", 150)
	updates := w.edge.stat("cluster.tunnel/edge/web.update_success")

	w.run("held", func() {
		guard := w.guard("web", rest...)
		east.SetReady(false, objectsOf(lost)...)
		w.awaitProblem("PodsHeld", "web", "of the tunnel's 20 Pods in cluster east lost readiness within 10s without being deleted: they stay in the tunnel")
		w.eventually("20 Pods are held", func() bool { return w.held("east") == 20 })
		w.edge.await("web", all...)
		w.requests(load, 200)
		w.edge.await("web", all...)
		// They lose it one after the other, and podway cannot know that more will follow before 70 % have.
		fewest := guard.end(w)
		require.GreaterOrEqual(w, fewest, 6+len(rest))
	})
	w.run("held across restarts", func() {
		guard := w.guard("web", all...)
		for _, end := range []func(*plane){(*plane).stop, (*plane).kill} {
			end(w.plane)
			w.startPlane("--state", w.state)
			w.awaitState("east", fleet.Live)
			require.Equal(w, 20, w.held("east"))
			w.awaitProblem("PodsHeld", "web", "of the tunnel's 20 Pods in cluster east lost readiness within 10s without being deleted: they stay in the tunnel")
			fresh := w.startEnvoy("spare")
			fresh.await("web", all...)
			require.NoError(w, fresh.Stop())
			w.edge.await("web", all...)
		}
		require.Equal(w, len(all), guard.end(w))
		w.requests(load, 50)
	})
	w.run("deleted ones go at once", func() {
		east.Delete(asObjects(objectsOf(lost[:5]))...)
		took := w.edge.await("web", all[5:]...)
		w.Logf("measured: deleted Pods had left Envoy %s after the API server had deleted them", took)
		for _, p := range lost[:5] {
			p.stop(w)
		}
		require.Equal(w, 15, w.held("east"))
	})
	w.run("ready ones stay", func() {
		east.SetReady(true, objectsOf(lost[5:10])...)
		w.eventually("10 Pods are held", func() bool { return w.held("east") == 10 })
		w.edge.await("web", all[5:]...)
	})
	w.run("released by hand", func() {
		_, err := w.plane.ask(http.MethodPost, "/clusters/nowhere/release")
		require.ErrorContains(w, err, `there is no MemberCluster "nowhere"`)
		body, err := w.plane.ask(http.MethodPost, "/clusters/east/release")
		require.NoError(w, err)
		var released struct{ Pods int }
		require.NoError(w, json.Unmarshal([]byte(body), &released))
		require.Equal(w, 10, released.Pods)
		w.edge.await("web", slices.Concat(lost[5:10], rest)...)
		w.awaitNoProblem("PodsHeld", "web")
		require.Zero(w, w.held("east"))
		w.requests(load, 50)
	})
	w.run("ready again", func() {
		east.SetReady(true, objectsOf(lost[10:])...)
		w.edge.await("web", all[5:]...)
	})
	w.requireServed(load)
	t.Logf("Envoy was sent %d updates", w.edge.stat("cluster.tunnel/edge/web.update_success")-updates)
}

// held is how many Pods of a cluster are held, as a person is told.
func (w *world) held(cluster string) int {
	w.Helper()
	now, err := w.plane.cluster(cluster)
	require.NoError(w, err)
	held := 0
	for _, hold := range now.Holds {
		held += hold.Held
	}
	return held
}
