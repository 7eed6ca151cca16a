package main

import (
	"net/http"
	"slices"
	"syscall"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
	"github.com/podway/podway/test/ads"
)

// takeover is two control planes that read the same files. What the second found, the first has seen grow.
type takeover struct {
	*world
	east, west *demo.Service
	one, two   *servePlane
	relay      *ads.Relay
	// held is what Envoy has of the first.
	held ads.Held
}

const (
	appTunnel = "tunnel/edge/app"
	// spread leaves five seconds between the ends of three streams.
	spread = "15s"
)

func newTakeover(t *testing.T) *takeover {
	t.Helper()
	w := &takeover{world: newWorld(t)}
	w.east = w.service(w.world.east, demo.ServiceConfig{Name: "app"}, 2)
	w.west = w.service(w.world.west, demo.ServiceConfig{Name: "app"}, 2)
	w.service(w.world.west, demo.ServiceConfig{Name: "tls", TLS: serverTLS(t, "pods", nil)}, 1)
	w.write("gateway.yaml", w.gatewayYAML(httpsListener(w.world, "a", "a.example.com")))
	w.write("secrets.yaml", caYAML("pods", pair("pods").certificate)+tlsSecretYAML("edge", "a", pair("a").certificate, pair("a").key))
	w.write("routes.yaml", routeYAML("app", "app.example", []string{"app"})+routeYAML("a", "a.example.com", []string{"app"}))
	w.write("app.yaml", tunnelYAML("app", members("east/app=80", "west/app=100")))
	w.one = w.startServe(w.anyPort(), "--xds-shutdown-spread", spread)
	var err error
	w.relay, err = ads.NewRelay()
	require.NoError(t, err)
	t.Cleanup(w.relay.Close)
	w.relay.Point(w.one.xds)
	w.xdsAddress = w.relay.Address()
	w.startEnvoy()

	w.write("tls.yaml", tunnelYAML("tls", members("west/tls=100"), "tls: {hostname: api.example.com, caCertificateRefs: [{name: pods}]}")+
		routeYAML("tls", "tls.example", []string{"tls"}))
	w.scale(w.east, 4)
	w.awaitWeights("app", weightsOfPods(w.east, 80, w.west, 100))
	w.scale(w.west, 3)
	w.scale(w.east, 1)
	w.write("app.yaml", tunnelYAML("app", members("east/app=50", "west/app=100")))
	w.awaitApp()
	w.awaitStatus("tls.example", "/", http.StatusOK)
	w.two = w.startServe(w.anyPort(), "--xds-shutdown-spread", spread)
	w.held = w.heldOf(w.one, "test")
	return w
}

func (w *takeover) awaitApp() {
	w.Helper()
	w.awaitWeights("app", weightsOfPods(w.east, 50, w.west, 100))
}

// heldOf is what a client has of a control plane, once it has all.
func (w *takeover) heldOf(plane *servePlane, node string) (held ads.Held) {
	w.Helper()
	eventually(w.T, node+" has everything", func() (has bool) {
		var err error
		held, err = ads.HeldBy(w.Context(), plane.xds, node)
		return err == nil && len(held) >= len(w.held) // one that has just come has not asked for all types yet
	})
	return held
}

// connect opens a stream for what Envoy has.
func (w *takeover) connect(node string, world bool) *ads.Client {
	w.Helper()
	client, err := ads.Connect(ads.Config{Address: w.relay.Address(), Node: node, Gateway: "edge/front", World: world, Wanted: map[string][]string{
		resource.ClusterType: nil, resource.EndpointType: w.held.Names(resource.EndpointType), resource.ListenerType: nil,
		resource.RouteType: w.held.Names(resource.RouteType), resource.SecretType: w.held.Names(resource.SecretType),
	}})
	require.NoError(w, err)
	w.Cleanup(client.Close)
	require.Equal(w, w.held, w.heldOf(w.one, node))
	return client
}

// move waits for a client's stream to end, and has it come back.
func (w *takeover) move(client *ads.Client) *ads.Client {
	w.Helper()
	<-client.Ended()
	require.ErrorContains(w, client.Err(), "podway is shutting down; connect again")
	moved, err := client.Again()
	require.NoError(w, err)
	w.Cleanup(moved.Close)
	return moved
}

// requireOneUpdate fails unless Envoy has been sent new endpoints of the tunnel app, once, and nothing else.
func (w *takeover) requireOneUpdate(before map[string]uint64) {
	w.Helper()
	const changed = "cluster." + appTunnel + ".update_success"
	before[changed]++
	require.Equal(w, before, w.updates(), "one update of the endpoints that changed")
}

// readyStatus is what a control plane answers to /readyz.
func (p *servePlane) readyStatus() int {
	response, err := http.Get("http://" + p.admin + "/readyz")
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// TestTrafficMovesToAnotherReplicaThatSendsNothingNew ends one of two control planes. Its clients move one after the other.
func TestTrafficMovesToAnotherReplicaThatSendsNothingNew(t *testing.T) {
	w := newTakeover(t)
	for _, typeURL := range []string{resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType, resource.SecretType} {
		require.NotEmpty(t, w.held[typeURL], "%s", typeURL)
	}
	// Streams end in the order of their nodes, of which Envoy's is test.
	sotw, delta := w.connect("y-sotw", true), w.connect("z-delta", false)
	require.Equal(t, w.held, delta.Held())
	load := w.load("app.example", 8, 200).Start(t.Context())
	eventually(t, "requests", func() bool { return load.Tally().Requests > 50 })

	updates, versions, seen := w.updates(), w.versions(), len(delta.Came())
	w.relay.Point(w.two.xds)
	require.NoError(t, w.one.Process.Signal(syscall.SIGTERM))
	eventually(t, "being not ready", func() bool { return w.one.readyStatus() == http.StatusServiceUnavailable })
	require.Equal(t, w.held, w.heldOf(w.two, "test"), "the other replica has the same versions")

	// Envoy, which has moved, learns of a change from the one replica, and who has not from the other.
	w.scale(w.east, 2)
	w.awaitApp()
	w.requireOneUpdate(updates)
	eventually(t, "the change on a stream of the replica that ends", func() bool { return len(delta.Came()) > seen })
	select {
	case <-delta.Ended():
		assert.Fail(t, "the stream whose turn is last has ended first")
	default:
	}
	sotw, delta = w.move(sotw), w.move(delta)
	<-w.one.ended
	require.Zero(t, w.one.ProcessState.ExitCode())

	held := w.heldOf(w.two, "test")
	require.Equal(t, held, w.heldOf(w.two, "y-sotw"))
	require.Equal(t, held, w.heldOf(w.two, "z-delta"))
	updates = w.updates()
	w.scale(w.west, 4)
	w.awaitApp()
	w.requireOneUpdate(updates)
	require.Equal(t, versions, w.versions(), "but for endpoints, all is as it was")
	requireCame(t, delta, map[string][]string{resource.EndpointType: {appTunnel}})
	requireCame(t, sotw, map[string][]string{
		resource.EndpointType: append(held.Names(resource.EndpointType), appTunnel),
		resource.RouteType:    held.Names(resource.RouteType), resource.SecretType: held.Names(resource.SecretType),
	})
	require.NoError(t, load.Stop().Err())
}

// requireCame waits for as many names as are wanted, and fails unless they are those, by type and in any order.
func requireCame(t *testing.T, client *ads.Client, want map[string][]string) {
	t.Helper()
	came := func() (names map[string][]string, count int) {
		names = map[string][]string{}
		for _, r := range client.Came() {
			names[r.Type] = append(append(names[r.Type], r.Names...), r.Removed...)
			count += len(r.Names) + len(r.Removed)
		}
		return names, count
	}
	total := 0
	for _, names := range want {
		slices.Sort(names)
		total += len(names)
	}
	eventually(t, "everything that must come", func() bool { _, count := came(); return count >= total })
	got, _ := came()
	for _, names := range got {
		slices.Sort(names)
	}
	require.Equal(t, want, got)
}
