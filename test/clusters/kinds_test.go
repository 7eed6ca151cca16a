//go:build clusters

package clusters

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// TestKindsOfServices has the real controller make EndpointSlices of all kinds of Services, and looks at what Envoy gets. No requests are sent.
func TestKindsOfServices(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, controllers: true}, memberConfig{name: "west", network: 72})
	east := w.members["east"]
	w.start()
	w.awaitState("east", fleet.Live)
	service := func(name string, change func(*corev1.Service)) *corev1.Service {
		s := kubetest.Service(namespace, name, kubetest.Port("http", 80, "http"))
		if change != nil {
			change(s)
		}
		east.Create(s)
		return s
	}
	run := func(app, address string, ports ...corev1.ContainerPort) *corev1.Pod {
		p := kubetest.Pod(namespace, fmt.Sprintf("%s-%s", app, netip.MustParseAddr(address).StringExpanded()[8:]), app, address, ports...)
		p.Name = app + "-" + fmt.Sprint(len(address)) + "-" + address[len(address)-1:]
		east.Run(p)
		return p
	}

	w.run("a named port that is another number in each Pod", func() {
		service("named", nil)
		run("named", "10.71.9.1", kubetest.PodPort("http", 8080))
		run("named", "10.71.9.2", kubetest.PodPort("http", 9090))
		w.newTunnel("named", []string{"east/shop/named"})
		w.awaitAddresses("named", "10.71.9.1:8080", "10.71.9.2:9090")
	})
	w.run("a port that is renamed", func() {
		s := service("renamed", func(s *corev1.Service) { s.Spec.Ports[0].Name = "web" })
		run("renamed", "10.71.8.1", kubetest.PodPort("http", 8080))
		w.newTunnel("renamed", []string{"east/shop/renamed"})
		w.awaitProblem("MissingPort", "renamed", "Service east:shop/renamed has no port http")
		s.Spec.Ports[0].Name = "http"
		east.Update(s)
		w.awaitAddresses("renamed", "10.71.8.1:8080")
		w.awaitNoProblem("MissingPort", "renamed")
	})
	w.run("a number", func() {
		service("number", func(s *corev1.Service) { s.Spec.Ports[0] = kubetest.Port("http", 80, "8081") })
		run("number", "10.71.10.1")
		w.newTunnel("number", []string{"east/shop/number"})
		w.awaitAddresses("number", "10.71.10.1:8081")
	})
	w.run("headless", func() {
		service("headless", func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone })
		run("headless", "10.71.11.1", kubetest.PodPort("http", 8080))
		w.newTunnel("headless", []string{"east/shop/headless"})
		w.awaitAddresses("headless", "10.71.11.1:8080")
	})
	w.run("no selector", func() {
		s := service("byhand", func(s *corev1.Service) { s.Spec.Selector = nil })
		slice := kubetest.Slice(s, "byhand-1", []discoveryv1.EndpointPort{kubetest.SlicePort("http", 7070)}, discoveryv1.Endpoint{Addresses: []string{"192.0.2.9"}})
		slice.Labels[discoveryv1.LabelManagedBy] = "somebody"
		east.Create(slice)
		w.newTunnel("byhand", []string{"east/shop/byhand"})
		w.awaitAddresses("byhand", "192.0.2.9:7070")
	})
	for family, want := range map[corev1.IPFamily]string{corev1.IPv4Protocol: "10.71.12.1:8080", corev1.IPv6Protocol: "[fd00:71::1]:8080"} {
		w.run("dual stack, first "+string(family), func() {
			name := "dual" + string(family[3])
			service(name, func(s *corev1.Service) {
				policy := corev1.IPFamilyPolicyRequireDualStack
				other := corev1.IPv4Protocol
				if family == other {
					other = corev1.IPv6Protocol
				}
				s.Spec.IPFamilyPolicy, s.Spec.IPFamilies = &policy, []corev1.IPFamily{family, other}
			})
			p := kubetest.Pod(namespace, name, name, "10.71.12.1", kubetest.PodPort("http", 8080))
			p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: "fd00:71::1"})
			east.Run(p)
			w.newTunnel(name, []string{"east/shop/" + name})
			w.awaitAddresses(name, want)
			list, err := east.Client().DiscoveryV1().EndpointSlices(namespace).List(w.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + name})
			require.NoError(w, err)
			require.Len(w, list.Items, 2)
		})
	}
	w.run("terminating Pods serve where there is no other", func() {
		service("ending", nil)
		first := run("ending", "10.71.13.1", kubetest.PodPort("http", 8080))
		second := run("ending", "10.71.13.2", kubetest.PodPort("http", 8080))
		w.newTunnel("ending", []string{"east/shop/ending"})
		w.awaitAddresses("ending", "10.71.13.1:8080", "10.71.13.2:8080")
		east.Terminate(first)
		w.awaitAddresses("ending", "10.71.13.2:8080")
		east.Terminate(second)
		w.awaitAddresses("ending", "10.71.13.1:8080", "10.71.13.2:8080")
		east.Delete(first, second)
		w.awaitAddresses("ending")
		w.awaitProblem("EmptyTunnel", "ending", "no Pod can take a request")
	})
	w.run("several slices, by more Pods than one may have", func() {
		service("many", nil)
		var pods []*corev1.Pod
		var want []string
		for i := range 150 {
			address := fmt.Sprintf("10.71.20.%d", i+1)
			pods = append(pods, kubetest.Pod(namespace, fmt.Sprintf("many-%d", i), "many", address, kubetest.PodPort("http", 8080)))
			want = append(want, address+":8080")
		}
		east.Run(pods...)
		w.newTunnel("many", []string{"east/shop/many"})
		w.awaitAddresses("many", want...)
		list, err := east.Client().DiscoveryV1().EndpointSlices(namespace).List(w.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=many"})
		require.NoError(w, err)
		require.Greater(w, len(list.Items), 1)
	})
	w.run("podSelector", func() {
		service("labeled", nil)
		first := run("labeled", "10.71.14.1", kubetest.PodPort("http", 8080))
		run("labeled", "10.71.14.2", kubetest.PodPort("http", 8080))
		w.write("tunnel-labeled.yaml", selectingYAML("labeled", "version: v2")+routeYAML("labeled"))
		w.eventually("the tunnel is there, and empty", func() bool { have, err := w.edge.pods("labeled"); return err == nil && len(have) == 0 })
		kubetest.Modify(east.Cluster, first, func(p *corev1.Pod) { p.Labels["version"] = "v2" })
		took := w.awaitAddresses("labeled", "10.71.14.1:8080")
		w.Logf("measured: a label is followed in %s", took)
		kubetest.Modify(east.Cluster, first, func(p *corev1.Pod) { delete(p.Labels, "version") })
		w.awaitAddresses("labeled")
		w.awaitState("east", fleet.Live)
	})
	w.run("appProtocol", func() {
		h2c := "kubernetes.io/h2c"
		service("proto", func(s *corev1.Service) { s.Spec.Ports[0].AppProtocol = &h2c })
		run("proto", "10.71.15.1", kubetest.PodPort("http", 8080))
		w.newTunnel("proto", []string{"east/shop/proto"})
		w.awaitAddresses("proto", "10.71.15.1:8080")
		dump, err := w.edge.Admin().ConfigDump(w.Context(), map[string][]string{"name_regex": {"tunnel/edge/proto"}})
		require.NoError(w, err)
		require.Contains(w, string(dump), "http2_protocol_options")
	})
	w.run("a Pod moves between two slices, the removal first", w.moves)
	w.run("the same address in two clusters", w.ambiguous)
}

// selectingYAML is a tunnel over a Service of the namespace shop of east, of which it takes the Pods with a label.
func selectingYAML(name, label string) string {
	return fmt.Sprintf("---\napiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: %[1]s, namespace: edge}\nspec:\n"+
		"  services: [{cluster: east, namespace: shop, name: %[1]s, port: http, podSelector: {matchLabels: {%[2]s}}}]\n", name, label)
}

// awaitAddresses waits until Envoy has exactly these in a tunnel.
func (w *world) awaitAddresses(tunnel string, addresses ...string) time.Duration {
	w.Helper()
	var want, have []netip.AddrPort
	for _, address := range addresses {
		want = append(want, netip.MustParseAddrPort(address))
	}
	slices.SortFunc(want, netip.AddrPort.Compare)
	var err error
	defer func() {
		if w.Failed() {
			w.Logf("Envoy has %v (%v)", have, err)
		}
	}()
	return w.eventually(fmt.Sprintf("Envoy has %v in tunnel %s", want, tunnel), func() bool {
		have, err = w.edge.pods(tunnel)
		return err == nil && slices.Equal(have, want)
	})
}

// moves has a Pod leave one slice before it is in another one: Envoy must not notice.
func (w *world) moves() {
	west := w.members["west"]
	s := kubetest.Service(namespace, "moving", kubetest.Port("http", 80, "http"))
	ports := []discoveryv1.EndpointPort{kubetest.SlicePort("http", podPort)}
	stays, goes := kubetest.Endpoint(namespace, "stays", "10.72.9.1"), kubetest.Endpoint(namespace, "goes", "10.72.9.2")
	from, to := kubetest.Slice(s, "moving-1", ports, stays, goes), kubetest.Slice(s, "moving-2", ports)
	west.Create(s, from, to)
	w.newTunnel("moving", []string{"west/shop/moving"})
	w.awaitAddresses("moving", "10.72.9.1:8080", "10.72.9.2:8080")
	// It counts only where both writes came close together, which a busy machine may prevent.
	const apart, tries = 25 * time.Millisecond, 40
	for range tries {
		before := w.edge.stat("cluster.tunnel/edge/moving.membership_change")
		begun := time.Now()
		from.Endpoints, to.Endpoints = []discoveryv1.Endpoint{stays}, []discoveryv1.Endpoint{goes}
		west.Update(from)
		west.Update(to)
		took := time.Since(begun)
		w.never("Envoy is told of a Pod that moved", 150*time.Millisecond, func() bool {
			return took < apart && w.edge.stat("cluster.tunnel/edge/moving.membership_change") != before
		})
		if took < apart {
			w.Logf("measured: both writes took %s", took)
			from.Endpoints, to.Endpoints = []discoveryv1.Endpoint{stays}, nil
			west.Update(to)
			w.awaitAddresses("moving", "10.72.9.1:8080")
			return
		}
		to.Endpoints, from.Endpoints = nil, []discoveryv1.Endpoint{stays, goes}
		west.Update(from)
		west.Update(to)
		w.awaitAddresses("moving", "10.72.9.1:8080", "10.72.9.2:8080")
	}
	w.Fatalf("two writes never came within %s in %d tries", apart, tries)
}

// ambiguous has a Pod of each of two clusters have one address.
func (w *world) ambiguous() {
	for _, name := range []string{"east", "west"} {
		s := kubetest.Service(namespace, "same", kubetest.Port("http", 80, "http"))
		s.Spec.Selector = nil
		slice := kubetest.Slice(s, "same-1", []discoveryv1.EndpointPort{kubetest.SlicePort("http", podPort)}, kubetest.Endpoint(namespace, "same-"+name, "10.73.0.1"))
		slice.Labels[discoveryv1.LabelManagedBy] = "somebody"
		w.members[name].Create(s, slice)
	}
	w.newTunnel("same", []string{"east/shop/same", "west/shop/same"})
	w.awaitAddresses("same", "10.73.0.1:8080")
	w.awaitProblem("AmbiguousAddress", "same", "10.73.0.1:8080 is the address of Pod shop/same-east in cluster east and of Pod shop/same-west in cluster west")
	w.requireSaid("Problem appeared", "AmbiguousAddress", "10.73.0.1:8080")
	w.newTunnel("mine", []string{"east/shop/same"})
	w.awaitProblem("AmbiguousAddress", "mine", "10.73.0.1:8080 is the address of Pod shop/same-east in cluster east and of Pod shop/same-west in cluster west, "+
		"which Tunnel edge/same uses")
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "same-1"}}
	w.members["west"].Delete(slice)
	w.awaitNoProblem("AmbiguousAddress", "same")
	w.awaitNoProblem("AmbiguousAddress", "mine")
	w.awaitAddresses("same", "10.73.0.1:8080")
}
