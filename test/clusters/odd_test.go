//go:build clusters

package clusters

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// odd is a Service whose slices the test writes, and a tunnel of its name.
type odd struct {
	*member
	service *corev1.Service
	slices  int
}

func (m *member) odd(name string) *odd {
	o := &odd{member: m, service: kubetest.Service(namespace, name, kubetest.Port("http", 80, "http"))}
	m.Create(o.service)
	m.w.newTunnel(name, []string{m.name + "/" + namespace + "/" + name})
	return o
}

// slice makes one more slice with a port http.
func (o *odd) slice(port int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	made := o.draft(port, endpoints...)
	o.Create(made)
	return made
}

func (o *odd) draft(port int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	o.slices++
	return kubetest.Slice(o.service, fmt.Sprintf("%s-%d", o.service.Name, o.slices), []discoveryv1.EndpointPort{kubetest.SlicePort("http", port)}, endpoints...)
}

// bare is an endpoint with nothing but an address.
func bare(address string) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}}
}

// TestOddSlices writes EndpointSlices as no controller of Kubernetes does, but others may, and looks at what Envoy gets.
func TestOddSlices(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71})
	east := w.members["east"]
	east.Create(kubetest.Namespace("other"))
	w.start()
	w.awaitState("east", fleet.Live)
	endpoint := func(name, address string) discoveryv1.Endpoint { return kubetest.Endpoint(namespace, name, address) }

	w.run("slices with other ports", func() {
		o := east.odd("ports")
		o.slice(8080, endpoint("a", "10.71.1.1"))
		two := o.draft(9090, endpoint("b", "10.71.1.2"))
		two.Ports = append(two.Ports, kubetest.SlicePort("metrics", 9091))
		without := o.draft(0, endpoint("c", "10.71.1.3"))
		without.Ports = nil
		other := o.draft(7070, endpoint("d", "10.71.1.4"))
		*other.Ports[0].Name = "metrics"
		all := o.draft(7070, endpoint("e", "10.71.1.5"))
		all.Ports[0].Port = nil
		east.Create(two, without, other, all)
		w.awaitAddresses("ports", "10.71.1.1:8080", "10.71.1.2:9090")
		kubetest.Modify(east.Cluster, without, func(s *discoveryv1.EndpointSlice) {
			s.Ports = []discoveryv1.EndpointPort{kubetest.SlicePort("http", 6060)}
		})
		w.awaitAddresses("ports", "10.71.1.1:8080", "10.71.1.2:9090", "10.71.1.3:6060")
		kubetest.Modify(east.Cluster, two, func(s *discoveryv1.EndpointSlice) { s.Ports = nil })
		w.awaitAddresses("ports", "10.71.1.1:8080", "10.71.1.3:6060")
	})
	w.run("an endpoint in two slices with other conditions", func() {
		o := east.odd("twice")
		ready, not := endpoint("a", "10.71.2.1"), endpoint("a", "10.71.2.1")
		kubetest.SetConditions(&not, false, false, false)
		one := o.slice(8080, ready)
		two := o.slice(8080, not, endpoint("b", "10.71.2.2"))
		w.awaitAddresses("twice", "10.71.2.1:8080", "10.71.2.2:8080")
		kubetest.Modify(east.Cluster, one, func(s *discoveryv1.EndpointSlice) { s.Endpoints[0] = not })
		w.awaitAddresses("twice", "10.71.2.2:8080")
		kubetest.Modify(east.Cluster, two, func(s *discoveryv1.EndpointSlice) { s.Endpoints[0] = ready })
		w.awaitAddresses("twice", "10.71.2.1:8080", "10.71.2.2:8080")
		east.Delete(one)
		kubetest.Modify(east.Cluster, two, func(s *discoveryv1.EndpointSlice) { s.Endpoints = s.Endpoints[1:] })
		w.awaitAddresses("twice", "10.71.2.2:8080")
	})
	w.run("two Pods with one address", func() {
		o := east.odd("reused")
		one := o.slice(8080, endpoint("old", "10.71.12.1"), endpoint("new", "10.71.12.1"), endpoint("b", "10.71.12.2"))
		w.awaitAddresses("reused", "10.71.12.1:8080", "10.71.12.2:8080")
		clusters, err := w.edge.Admin().Clusters(w.Context())
		require.NoError(w, err)
		for _, host := range clusters["tunnel/edge/reused"] {
			require.EqualValues(w, 100, host.Weight)
		}
		kubetest.Modify(east.Cluster, one, func(s *discoveryv1.EndpointSlice) { s.Endpoints = s.Endpoints[1:] })
		w.never("the new one goes with the old one", 300*time.Millisecond, func() bool {
			have, err := w.edge.pods("reused")
			return err == nil && len(have) != 2
		})
	})
	w.run("mirrored", func() {
		o := east.odd("mirrored")
		s := o.draft(8080, bare("10.71.3.1"), bare("10.71.3.2"))
		s.Labels[discoveryv1.LabelManagedBy] = "endpointslicemirroring-controller.k8s.io"
		s.OwnerReferences = nil
		mine := o.draft(8080, bare("10.71.3.2"), bare("10.71.3.3"))
		east.Create(s, mine)
		w.awaitAddresses("mirrored", "10.71.3.1:8080", "10.71.3.2:8080", "10.71.3.3:8080")
		kubetest.Modify(east.Cluster, mine, func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })
		w.awaitAddresses("mirrored", "10.71.3.1:8080", "10.71.3.2:8080")
	})
	w.run("names beside addresses", func() {
		o := east.odd("fqdn")
		s := o.draft(8080, bare("example.com"))
		s.AddressType = discoveryv1.AddressTypeFQDN
		east.Create(s)
		w.awaitProblem("EmptyTunnel", "fqdn")
		o.slice(8080, bare("10.71.4.1"))
		w.awaitAddresses("fqdn", "10.71.4.1:8080")
		w.awaitNoProblem("EmptyTunnel", "fqdn")
	})
	w.run("conditions", func() {
		o := east.odd("conditions")
		end := func(e discoveryv1.Endpoint, ready, serving, terminating *bool) discoveryv1.Endpoint {
			e.Conditions = discoveryv1.EndpointConditions{Ready: ready, Serving: serving, Terminating: terminating}
			return e
		}
		yes, no := new(bool), new(bool)
		*yes = true
		unset := end(endpoint("unset", "10.71.5.1"), nil, nil, nil)
		ending := end(endpoint("ending", "10.71.5.2"), no, yes, yes)
		gone := end(endpoint("gone", "10.71.5.3"), no, no, yes)
		unready := end(endpoint("unready", "10.71.5.4"), no, nil, nil)
		always := end(endpoint("always", "10.71.5.5"), yes, yes, yes) // publishNotReadyAddresses
		s := o.slice(8080, unset, ending, gone, unready, always)
		w.awaitAddresses("conditions", "10.71.5.1:8080", "10.71.5.5:8080")
		kubetest.Modify(east.Cluster, s, func(s *discoveryv1.EndpointSlice) { s.Endpoints = []discoveryv1.Endpoint{ending, gone, unready} })
		w.awaitAddresses("conditions", "10.71.5.2:8080")
		kubetest.Modify(east.Cluster, s, func(s *discoveryv1.EndpointSlice) { s.Endpoints = []discoveryv1.Endpoint{gone, unready} })
		w.awaitAddresses("conditions")
		kubetest.Modify(east.Cluster, s, func(s *discoveryv1.EndpointSlice) { s.Endpoints = []discoveryv1.Endpoint{unset} })
		w.awaitAddresses("conditions", "10.71.5.1:8080")
	})
	w.run("1000 endpoints in a slice", func() {
		o := east.odd("large")
		var endpoints []discoveryv1.Endpoint
		var want []string
		for i := range 1000 {
			address := fmt.Sprintf("10.71.%d.%d", 100+i/200, i%200+1)
			endpoints = append(endpoints, endpoint(fmt.Sprintf("a-%d", i), address))
			want = append(want, address+":8080")
		}
		s := o.slice(8080, endpoints...)
		w.awaitAddresses("large", want...)
		kubetest.Modify(east.Cluster, s, func(s *discoveryv1.EndpointSlice) { s.Endpoints = s.Endpoints[1:] })
		w.Logf("measured: one of 1000 goes in %s", w.awaitAddresses("large", want[1:]...))
	})
	w.run("a slice changes its Service", func() {
		from, to := east.odd("from"), east.odd("to")
		s := from.slice(8080, endpoint("a", "10.71.6.1"))
		to.slice(8080, endpoint("b", "10.71.6.2"))
		w.awaitAddresses("from", "10.71.6.1:8080")
		kubetest.Modify(east.Cluster, s, func(s *discoveryv1.EndpointSlice) { s.Labels[discoveryv1.LabelServiceName] = "to" })
		w.awaitAddresses("from")
		w.awaitAddresses("to", "10.71.6.1:8080", "10.71.6.2:8080")
		kubetest.Modify(east.Cluster, s, func(s *discoveryv1.EndpointSlice) { delete(s.Labels, discoveryv1.LabelServiceName) })
		w.awaitAddresses("to", "10.71.6.2:8080")
		kubetest.Modify(east.Cluster, s, func(s *discoveryv1.EndpointSlice) { s.Labels[discoveryv1.LabelServiceName] = "from" })
		w.awaitAddresses("from", "10.71.6.1:8080")
		w.awaitNoProblem("EmptyTunnel", "from")
	})
	w.run("a Service is made again while slices linger", func() {
		o := east.odd("again")
		o.slice(8080, endpoint("a", "10.71.7.1"))
		w.awaitAddresses("again", "10.71.7.1:8080")
		east.Delete(o.service)
		w.awaitProblem("MissingService", "again")
		w.awaitAddresses("again")
		o.service = kubetest.Service(namespace, "again", kubetest.Port("http", 80, "http"))
		east.Create(o.service)
		w.awaitNoProblem("MissingService", "again")
		w.awaitAddresses("again", "10.71.7.1:8080")
		o.slices = 10
		o.slice(8080, endpoint("b", "10.71.7.2"))
		w.awaitAddresses("again", "10.71.7.1:8080", "10.71.7.2:8080")
		east.Delete(&discoveryv1.EndpointSlice{ObjectMeta: kubetest.Slice(o.service, "again-1", nil).ObjectMeta})
		w.awaitAddresses("again", "10.71.7.2:8080")
	})
	w.run("a Service becomes a name and back", func() {
		o := east.odd("external")
		o.slice(8080, endpoint("a", "10.71.8.1"))
		w.awaitAddresses("external", "10.71.8.1:8080")
		kubetest.Modify(east.Cluster, o.service, func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalName, s.Spec.ClusterIP, s.Spec.ClusterIPs = corev1.ServiceTypeExternalName, "example.com", "", nil
			s.Spec.Selector = nil
		})
		w.awaitAddresses("external")
		w.awaitProblem("ExternalNameService", "external")
		kubetest.Modify(east.Cluster, o.service, func(s *corev1.Service) { s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeClusterIP, "" })
		w.awaitAddresses("external", "10.71.8.1:8080")
	})
	w.run("a targetRef of another namespace, and of no Pod", func() {
		o := east.odd("refs")
		elsewhere := kubetest.Endpoint("other", "a", "10.71.9.1")
		node := bare("10.71.9.2")
		node.TargetRef = &corev1.ObjectReference{Kind: "Node", Name: "node"}
		two := endpoint("b", "10.71.9.3")
		two.Addresses = append(two.Addresses, "10.71.9.4")
		o.slice(8080, elsewhere, node, two)
		w.awaitAddresses("refs", "10.71.9.1:8080", "10.71.9.2:8080", "10.71.9.3:8080")
	})
	require.Zero(t, w.awaitState("east", fleet.Live).Relists)
}
