//go:build clusters

package clusters

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
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

// TestHoldsAndPodsAreRememberedTogether kills podway when Pods have come into a hold, and when some have left it, and has it start again with the cluster
// away: no Pod that was served may be out.
func TestHoldsAndPodsAreRememberedTogether(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, controllers: true, proxied: true}, memberConfig{name: "west", network: 72})
	east := w.members["east"]
	_, pods := east.web(20)
	all := slices.Concat(pods, w.members["west"].handmade(2).pods)
	w.newTunnel("web", []string{"east", "west"}, "retry: {attempts: 0}")
	w.start("--state", w.state)
	w.awaitState("east", fleet.Live)
	w.edge.await("web", all...)
	load := w.load("web", 100)
	restart := func() {
		w.Helper()
		east.proxy.Refuse()
		w.plane.kill()
		w.startPlane("--state", w.state)
		w.awaitState("east", fleet.Stale, "connection refused")
	}
	back := func(held int) {
		w.Helper()
		w.requests(load, 200) // what was remembered counts by then
		w.edge.await("web", all...)
		east.proxy.Accept()
		w.awaitState("east", fleet.Live)
		w.eventually(fmt.Sprintf("%d Pods are held", held), func() bool { return w.held("east") == held })
		w.edge.await("web", all...)
	}
	begins := regexp.MustCompile(`"lost":[1-9]`)
	remembered := func() (held int) {
		content, err := os.ReadFile(filepath.Join(w.state, "pods", ".holds"))
		require.True(w, err == nil || errors.Is(err, fs.ErrNotExist), "%v", err)
		if begins.Match(content) {
			held = bytes.Count(content, []byte(`"uid":`))
		}
		return held
	}
	w.eventually("the Pods are remembered", func() bool {
		_, err := os.Stat(filepath.Join(w.state, "pods", "east"))
		return err == nil
	})
	for round := range 3 {
		w.run(fmt.Sprintf("round %d", round), func() {
			east.SetReady(false, objectsOf(pods)...)
			w.eventually("20 Pods are held", func() bool { return w.held("east") == 20 })
			w.edge.await("web", all...)
			w.eventually("the hold is remembered", func() bool { return remembered() > 0 })
			guard := w.guard("web", all...)
			restart()
			back(20)

			east.SetReady(true, objectsOf(pods[:7])...)
			w.eventually("13 Pods are held", func() bool { return w.held("east") == 13 })
			w.eventually("13 are remembered", func() bool { return remembered() == 13 }) // and so the Pods of the cluster are
			restart()
			back(13)
			east.SetReady(true, objectsOf(pods[7:])...)
			w.eventually("no Pod is held", func() bool { return w.held("east") == 0 })
			require.Equal(w, len(all), guard.end(w))
			w.eventually("no hold is remembered", func() bool { return remembered() == 0 })
		})
	}
	w.requireServed(load)
}
