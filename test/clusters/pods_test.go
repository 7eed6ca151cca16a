//go:build clusters

package clusters

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/podway/podway/demo"
	kubetest "github.com/podway/podway/test/kube"
)

// podPort is where Pods listen.
const podPort = 8080

// pod is one that answers at its address.
type pod struct {
	*demo.Backend
	name, address string
	// object is nil where the test writes EndpointSlices itself.
	object *corev1.Pod
}

func addressesOf(pods []*pod) []netip.AddrPort {
	var addresses []netip.AddrPort
	for _, p := range pods {
		addresses = append(addresses, p.Address())
	}
	slices.SortFunc(addresses, netip.AddrPort.Compare)
	return addresses
}

// newPod starts what answers, and tells no API server of it.
func (m *member) newPod(app string) *pod {
	m.w.Helper()
	address := m.address()
	p := &pod{name: fmt.Sprintf("%s-%d", app, m.next), address: address}
	backend, err := demo.StartBackend(demo.BackendConfig{
		Cluster: m.name, Namespace: namespace, Name: p.name, Address: netip.AddrPortFrom(netip.MustParseAddr(address), podPort),
	})
	require.NoError(m.w, err)
	m.w.whole.Cleanup(backend.Kill)
	p.Backend = backend
	p.object = kubetest.Pod(namespace, p.name, app, address, kubetest.PodPort("http", podPort))
	return p
}

func (m *member) newPods(app string, count int) []*pod {
	m.w.Helper()
	pods := make([]*pod, count)
	for i := range pods {
		pods[i] = m.newPod(app)
	}
	return pods
}

// stop ends what answers, as a program does that was asked to: it finishes what it has begun.
func (p *pod) stop(w *world) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.Context()), patience)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		w.Errorf("%v", err)
	}
}

func objectsOf(pods []*pod) []*corev1.Pod {
	var objects []*corev1.Pod
	for _, p := range pods {
		objects = append(objects, p.object)
	}
	return objects
}

// web makes the Service shop/web with so many Pods, by the cluster's controllers.
func (m *member) web(count int) (*corev1.Service, []*pod) {
	m.w.Helper()
	service := kubetest.Service(namespace, "web", kubetest.Port("http", 80, "http"))
	m.Create(service)
	pods := m.newPods("web", count)
	m.Run(objectsOf(pods)...)
	return service, pods
}

// handmade is a Service whose one EndpointSlice the test writes.
type handmade struct {
	m     *member
	slice *discoveryv1.EndpointSlice
	pods  []*pod
}

// handmade makes the Service shop/web with so many Pods in one EndpointSlice.
func (m *member) handmade(count int) *handmade {
	m.w.Helper()
	service := kubetest.Service(namespace, "web", kubetest.Port("http", 80, "http"))
	h := &handmade{m: m, pods: m.newPods("web", count)}
	h.slice = kubetest.Slice(service, "web-1", []discoveryv1.EndpointPort{kubetest.SlicePort("http", podPort)})
	h.slice.Endpoints = endpointsOf(h.pods)
	m.Create(service, h.slice)
	return h
}

func endpointsOf(pods []*pod) []discoveryv1.Endpoint {
	var endpoints []discoveryv1.Endpoint
	for _, p := range pods {
		endpoints = append(endpoints, kubetest.Endpoint(namespace, p.name, p.address))
	}
	return endpoints
}

// set writes which Pods there are.
func (h *handmade) set(pods ...*pod) {
	h.m.w.Helper()
	h.pods = pods
	h.slice.Endpoints = endpointsOf(pods)
	h.slice.Annotations[corev1.EndpointsLastChangeTriggerTime] = time.Now().UTC().Format(time.RFC3339Nano)
	h.m.Update(h.slice)
}

// follow adds a Pod and says how long it took until Envoy had it; then it takes it away again, and Envoy must have let it go before it ends.
func (h *handmade) follow(tunnel string, others ...*pod) time.Duration {
	w := h.m.w
	w.Helper()
	before := h.pods
	added := h.m.newPod("web")
	begun := time.Now()
	h.set(append(slices.Clone(before), added)...)
	w.edge.await(tunnel, append(slices.Clone(h.pods), others...)...)
	took := time.Since(begun)
	h.set(before...)
	w.edge.await(tunnel, append(slices.Clone(h.pods), others...)...)
	added.stop(w)
	return took
}

func asObjects(pods []*corev1.Pod) []kubetest.Object {
	var objects []kubetest.Object
	for _, p := range pods {
		objects = append(objects, p)
	}
	return objects
}
