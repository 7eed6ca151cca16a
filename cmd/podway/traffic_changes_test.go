package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
)

// TestTrafficNoRequestFailsWhileThingsChange has a constant load on all the while, which never sees anything of it.
func TestTrafficNoRequestFailsWhileThingsChange(t *testing.T) {
	w := newWorld(t)
	east := w.service(w.east, demo.ServiceConfig{Name: "app"}, 3)
	west := w.service(w.west, demo.ServiceConfig{Name: "app"}, 2)
	app := func(eastWeight, westWeight int, extra ...string) string {
		return tunnelYAML("a", members(fmt.Sprintf("east/app=%d", eastWeight), fmt.Sprintf("west/app=%d", westWeight))) +
			routeYAML("app", "app.example", []string{"a"}, extra...)
	}
	w.write("app.yaml", app(50, 100))
	w.start()
	w.awaitWeights("a", weightsOfPods(east, 50, west, 100))

	under := func(name string, change func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			load := w.load("app.example", 16, 400).Start(t.Context())
			begun := func(more int) {
				before := load.Tally().Requests
				eventually(t, "more requests", func() bool { return load.Tally().Requests >= before+more })
			}
			begun(50)
			change(t)
			begun(100)
			tally := load.Stop()
			assert.NoError(t, tally.Err())
			t.Logf("%d requests", tally.Requests)
		})
	}

	under("rolling replacement of all Pods", func(t *testing.T) {
		for _, service := range []*demo.Service{east, west} {
			for _, old := range service.Pods() {
				_, err := service.Replace(old)
				require.NoError(t, err)
				eventually(t, "the new Pod", func() bool { return sameWeights(w, "a", weightsOfPods(east, 50, west, 100)) })
			}
		}
		require.NoError(t, east.Settled(t.Context()))
		require.NoError(t, west.Settled(t.Context()))
	})
	under("all Pods replaced at once", func(t *testing.T) {
		_, err := east.Replace(east.Pods()...)
		require.NoError(t, err)
		_, err = west.Replace(west.Pods()...)
		require.NoError(t, err)
		require.NoError(t, east.Settled(t.Context()))
		require.NoError(t, west.Settled(t.Context()))
		eventually(t, "the new Pods", func() bool { return sameWeights(w, "a", weightsOfPods(east, 50, west, 100)) })
	})
	under("a weight", func(t *testing.T) {
		w.write("app.yaml", app(10, 90))
		eventually(t, "the weights", func() bool { return sameWeights(w, "a", weightsOfPods(east, 10, west, 90)) })
	})
	under("all weights become equal, and with it another load balancer", func(t *testing.T) {
		w.write("app.yaml", app(30, 30))
		eventually(t, "the weights", func() bool { return sameWeights(w, "a", weightsOfPods(east, 30, west, 30)) })
	})
	checked := func(services ...string) string {
		return tunnelYAML("a", members(services...), "healthCheck: {active: {path: /anything, interval: 30s, timeout: 1s}}") +
			routeYAML("app", "app.example", []string{"a"})
	}
	under("all traffic moves to Pods that have not been checked yet", func(t *testing.T) {
		for range 5 {
			for _, to := range [][]string{{"east/app=30", "west/app=0"}, {"east/app=0", "west/app=30"}, {"east/app=30"}, {"west/app=30"}} {
				w.write("app.yaml", checked(to...))
				weight := map[bool]int{true: 30}
				toEast := to[0] == "east/app=30"
				eventually(t, "the weights", func() bool { return sameWeights(w, "a", weightsOfPods(east, weight[toEast], west, weight[!toEast])) })
			}
		}
		w.write("app.yaml", app(30, 30))
		eventually(t, "the weights", func() bool { return sameWeights(w, "a", weightsOfPods(east, 30, west, 30)) })
	})
	under("a cluster is drained and put back", func(t *testing.T) {
		w.write("west.yaml", memberClusterYAML("west", "Drained"))
		eventually(t, "west drained", func() bool { return sameWeights(w, "a", weightsOfPods(east, 30, west, 0)) })
		w.write("west.yaml", memberClusterYAML("west", "Active"))
		eventually(t, "west back", func() bool { return sameWeights(w, "a", weightsOfPods(east, 30, west, 30)) })
	})
	under("a route", func(t *testing.T) {
		w.write("app.yaml", app(30, 30,
			"filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: x-route, value: changed}]}}]"))
		eventually(t, "the new route", func() bool {
			got, err := w.try("app.example", "/", nil)
			return err == nil && got.header.Get("X-Route") == "changed"
		})
	})
	under("another route comes and goes", func(t *testing.T) {
		w.write("other.yaml", routeYAML("other", "other.example", []string{"a"}))
		w.awaitStatus("other.example", "/", http.StatusOK)
		require.NoError(t, os.Remove(filepath.Join(w.directory, "other.yaml")))
		w.awaitStatus("other.example", "/", http.StatusNotFound)
	})
	under("the listener", func(t *testing.T) {
		w.write("gateway.yaml", strings.Replace(w.gatewayYAML(""), "x-podway-pod", "x-other", 1))
		eventually(t, "the new header", func() bool {
			got, err := w.try("app.example", "/", nil)
			return err == nil && got.header.Get("X-Other") != ""
		})
	})
	under("a tunnel swap in one change of one file", func(t *testing.T) {
		w.write("app.yaml", tunnelYAML("b", members("east/app=50", "west/app=100"))+routeYAML("app", "app.example", []string{"b"}))
		eventually(t, "tunnel b instead of a", func() bool {
			return sameWeights(w, "b", weightsOfPods(east, 50, west, 100)) && w.hosts("a") == nil
		})
	})
	under("a tunnel swap in three changes, at once", func(t *testing.T) {
		w.write("c.yaml", tunnelYAML("c", members("east/app=50", "west/app=100")))
		w.write("app.yaml", tunnelYAML("b", members("east/app=50", "west/app=100"))+routeYAML("app", "app.example", []string{"c"}))
		w.write("app.yaml", routeYAML("app", "app.example", []string{"c"}))
		eventually(t, "tunnel c instead of b", func() bool {
			return sameWeights(w, "c", weightsOfPods(east, 50, west, 100)) && w.hosts("b") == nil
		})
	})
}

// weightsOfPods are those of all Pods of two Services; a weight of 0 leaves them out.
func weightsOfPods(a *demo.Service, weightA int, b *demo.Service, weightB int) map[netip.AddrPort]uint32 {
	weights := map[netip.AddrPort]uint32{}
	for service, weight := range map[*demo.Service]int{a: weightA, b: weightB} {
		for _, pod := range service.Pods() {
			if weight > 0 {
				weights[pod.Address()] = uint32(weight)
			}
		}
	}
	return weights
}

func sameWeights(w *world, tunnel string, want map[netip.AddrPort]uint32) bool {
	got := weightsOf(w.hosts(tunnel))
	if len(got) != len(want) {
		return false
	}
	for address, weight := range want {
		if got[address] != weight {
			return false
		}
	}
	return true
}

// TestTrafficEmptyTunnelAnswers503AndServesItsFirstPodAtOnce also shows that a rule without its tunnel costs no other rule.
func TestTrafficEmptyTunnelAnswers503AndServesItsFirstPodAtOnce(t *testing.T) {
	w := newWorld(t)
	service := w.service(w.east, demo.ServiceConfig{Name: "app"}, 0)
	other := w.service(w.west, demo.ServiceConfig{Name: "other"}, 1)
	w.write("tunnels.yaml", tunnelYAML("app", members("east/app=100"))+tunnelYAML("other", members("west/other=100"))+
		tunnelYAML("nowhere", members("nowhere/app=100"))+tunnelYAML("refused", members("west/other=100"), `hostHeader: "not a host"`))
	w.write("routes.yaml", routeYAML("app", "app.example", []string{"app"})+routeYAML("other", "other.example", []string{"other"})+
		routeYAML("missing", "missing.example", []string{"missing"})+routeYAML("refused", "refused.example", []string{"refused"})+
		routeYAML("nowhere", "nowhere.example", []string{"nowhere"}))
	w.start()
	w.awaitHosts("other", 100, other.Pods()...)

	assert.Equal(t, http.StatusServiceUnavailable, w.get("app.example", "/").status)
	assert.Equal(t, http.StatusServiceUnavailable, w.get("nowhere.example", "/").status, "a tunnel without a Pod, for all that is known")
	assert.Equal(t, http.StatusInternalServerError, w.get("missing.example", "/").status)
	assert.Equal(t, http.StatusInternalServerError, w.get("refused.example", "/").status)
	assert.Equal(t, http.StatusOK, w.get("other.example", "/").status)
	assert.Equal(t, http.StatusNotFound, w.get("unknown.example", "/").status)

	begun := time.Now()
	w.scale(service, 1)
	got := w.awaitStatus("app.example", "/", http.StatusOK)
	t.Logf("200 after %s", time.Since(begun))
	assert.Equal(t, service.Pods()[0].Name, got.echo.Pod)

	// The Pod goes again: it takes traffic until its end, and then there is none.
	w.scale(service, 0)
	w.awaitStatus("app.example", "/", http.StatusServiceUnavailable)
	w.awaitHosts("app", 0)
	assert.Equal(t, http.StatusServiceUnavailable, w.get("app.example", "/").status)

	// What was missing appears.
	w.write("missing.yaml", tunnelYAML("missing", members("west/other=100")))
	assert.Equal(t, other.Pods()[0].Name, w.awaitStatus("missing.example", "/", http.StatusOK).echo.Pod)
	assert.Equal(t, http.StatusOK, w.get("other.example", "/").status)
}
