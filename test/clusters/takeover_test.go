//go:build clusters

package clusters

import (
	"net/http"
	"slices"
	"syscall"
	"testing"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/podway/podway/test/ads"
	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// replicas are control planes that watch the same clusters, each on its own.
type replicas struct {
	*world
	east *member
	// pods of east come and go by its controllers; those of west, in two EndpointSlices, by hand.
	pods   []*pod
	west   *handmade
	second *discoveryv1.EndpointSlice
}

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	w := newWorld(t, memberConfig{name: "east", network: 71, controllers: true, proxied: true}, memberConfig{name: "west", network: 72, proxied: true})
	r := &replicas{world: w, east: w.members["east"]}
	_, r.pods = r.east.web(5)
	r.west = w.members["west"].handmade(4)
	r.second = r.west.slice.DeepCopy()
	r.second.ObjectMeta = *kubetest.Slice(kubetest.Service(namespace, "web"), "web-2", nil).ObjectMeta.DeepCopy()
	r.second.Endpoints = nil
	w.members["west"].Create(r.second)
	w.newTunnel("web", []string{"east", "west"})
	// Two entries of one Service, each with Pods of its own choice.
	w.write("tunnel-picked.yaml", "---\napiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: picked, namespace: edge}\nspec:\n  services:\n"+
		"  - {cluster: east, namespace: shop, name: web, port: http, podWeight: 20, podSelector: {matchLabels: {track: canary}}}\n"+
		"  - {cluster: east, namespace: shop, name: web, port: http, podWeight: 70}\n"+
		"  - {cluster: west, namespace: shop, name: web, port: http, podWeight: 30}\n"+routeYAML("picked"))
	return r
}

// churn replaces a Pod of east, relabels another, and moves those of west between EndpointSlices, in another order each time.
func (r *replicas) churn(round int) {
	r.Helper()
	come := r.east.newPods("web", 1)
	if round%2 == 0 {
		come[0].object.Labels["track"] = "canary"
	}
	r.pods = append(r.pods, come...)
	r.east.Run(come[0].object)
	r.edge.await("web", slices.Concat(r.pods, r.west.pods)...)
	gone := r.pods[0]
	r.pods = r.pods[1:]
	r.east.Delete(gone.object)

	kubetest.Modify(r.east.Cluster, r.pods[round%len(r.pods)].object, func(p *corev1.Pod) { p.Labels["round"] = string(rune('a' + round)) })
	endpoints := endpointsOf(r.west.pods)
	if round%2 == 1 {
		slices.Reverse(endpoints)
	}
	at := round % len(endpoints)
	// Added to the one before they leave the other, as the controller does.
	r.west.slice.Endpoints = endpoints
	r.west.m.Update(r.west.slice)
	r.second.Endpoints = endpoints[at:]
	r.west.m.Update(r.second)
	r.west.slice.Endpoints = endpoints[:at]
	r.west.m.Update(r.west.slice)
	r.edge.await("web", slices.Concat(r.pods, r.west.pods)...)
	gone.stop(r.world)
}

// replica starts one more control plane, and waits until it is up to date with all clusters.
func (r *replicas) replica() *plane {
	r.Helper()
	before := r.plane
	r.plane = nil
	r.startPlane("--xds-shutdown-spread", "3s")
	r.awaitState("east", fleet.Live)
	r.awaitState("west", fleet.Live)
	now := r.plane
	if before != nil {
		r.plane = before
	}
	return now
}

// heldOf is what a client has of a control plane, once it has all.
func (r *replicas) heldOf(p *plane, node string) (held ads.Held) {
	r.Helper()
	var err error
	r.eventually(node+" has everything", func() bool {
		held, err = ads.HeldBy(r.Context(), p.xds, node)
		return err == nil
	})
	return held
}

// follow connects a client to a control plane that asks for what Envoy has.
func (r *replicas) follow(p *plane, has ads.Held) *ads.Client {
	r.Helper()
	client, err := ads.Connect(ads.Config{Address: p.xds, Node: "look", Gateway: "edge/front", Wanted: map[string][]string{
		resource.ClusterType: nil, resource.EndpointType: has.Names(resource.EndpointType), resource.ListenerType: nil,
		resource.RouteType: has.Names(resource.RouteType),
	}})
	require.NoError(r, err)
	r.whole.Cleanup(client.Close)
	return client
}

// TestReplicasThatWatchSeparatelyServeTheSame has three control planes come to the same clusters at different times, and ends the first.
func TestReplicasThatWatchSeparatelyServeTheSame(t *testing.T) {
	r := newReplicas(t)
	relay, err := ads.NewRelay()
	require.NoError(t, err)
	t.Cleanup(relay.Close)
	one := r.replica()
	relay.Point(one.xds)
	r.relay = relay.Address()
	r.edge = r.startEnvoy("front")
	r.edge.await("web", slices.Concat(r.pods, r.west.pods)...)
	load := r.load("web", 100)
	for round := range 4 {
		r.churn(round)
	}
	two := r.replica()
	held := r.heldOf(one, "front")
	looks := []*ads.Client{r.follow(one, held), r.follow(two, held)}
	for round := range 4 {
		// Their watches break, and they take them up again, each from where it was.
		if round == 2 {
			r.east.cut()
			r.west.m.cut()
		}
		r.churn(4 + round)
	}
	looks = append(looks, r.follow(r.replica(), held))
	r.requireSame(one, looks)

	held, updates := r.heldOf(one, "front"), r.updates()
	relay.Point(two.xds)
	require.NoError(t, one.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, held, r.heldOf(two, "front"), "Envoy has moved to the same versions")
	if _, err := one.ask(http.MethodGet, "/readyz"); err == nil {
		require.Fail(t, "a control plane that ends says that it is ready")
	}
	<-one.ended
	require.Zero(t, one.cmd.ProcessState.ExitCode())
	r.plane = two
	r.requests(load, 50)
	require.Equal(t, updates, r.updates(), "Envoy was sent nothing")
	r.churn(9)
	r.requireServed(load)
}

// requireSame waits until all have what the Envoy of a control plane has, and fails unless they come to agree.
func (r *replicas) requireSame(p *plane, looks []*ads.Client) {
	r.Helper()
	var held, differs ads.Held
	defer func() {
		if r.Failed() {
			r.Logf("Envoy has %v, another client %v", held, differs)
		}
	}()
	r.eventually("all replicas serve the same versions", func() bool {
		var err error
		if held, err = ads.HeldBy(r.Context(), p.xds, "front"); err != nil {
			return false
		}
		for _, look := range looks {
			if differs = look.Held(); !differs.Equal(held) {
				return false
			}
		}
		return true
	})
}

// updates counts what Envoy has been sent and accepted, of each type and name.
func (r *replicas) updates() map[string]uint64 {
	r.Helper()
	stats, err := r.edge.Admin().Stats(r.Context(), `update_success$|config_reload$`)
	require.NoError(r, err)
	return stats
}
