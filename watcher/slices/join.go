package slices

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

// Labels looks up the labels of a Pod. It returns nil where they are not known.
type Labels func(types.NamespacedName) map[string]string

// Joiner makes Sets. Its zero value is ready; it keeps scratch memory from one
// Join to the next and belongs to one goroutine.
type Joiner struct {
	found []candidate
	// order and kept point into found: a candidate is too large to be moved about by a sort.
	order []*candidate
	kept  []*candidate
	ports [][]pods.Port
}

// candidate is one endpoint on its way into a Set.
type candidate struct {
	pods.Pod
	preferred bool
	slice     string
}

// Join makes the Set of a Service of a cluster from its EndpointSlices, in any
// order. Slices with FQDNs, endpoints without a usable address and slices
// without ports are left out: nothing can be sent there. Of an endpoint only
// the first address counts, as Kubernetes says: all of them are one backend.
// labels may be nil where nobody asks for them.
func (j *Joiner) Join(cluster string, service *corev1.Service, endpoints []*discoveryv1.EndpointSlice, labels Labels) *pods.Set {
	set := &pods.Set{Key: pods.ServiceKey{Cluster: cluster, Namespace: service.Namespace, Name: service.Name}}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return set
	}
	j.collect(endpoints, preferredFamily(service))
	j.dropOtherFamily()
	j.dedupe()
	if len(j.kept) > 0 {
		set.Pods = make([]pods.Pod, len(j.kept))
	}
	for i := range j.kept {
		set.Pods[i] = j.kept[i].Pod
		if pod := &set.Pods[i]; labels != nil && pod.Name != "" {
			pod.Labels = labels(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
		}
	}
	slices.SortFunc(set.Pods, comparePods)
	// What is kept for the next Join must not keep this one's strings alive.
	clear(j.found)
	clear(j.order)
	clear(j.kept)
	clear(j.ports)
	return set
}

// preferredFamily is the Service's first IP family, IPv4 where it names none.
func preferredFamily(service *corev1.Service) discoveryv1.AddressType {
	if len(service.Spec.IPFamilies) > 0 && service.Spec.IPFamilies[0] == corev1.IPv6Protocol {
		return discoveryv1.AddressTypeIPv6
	}
	return discoveryv1.AddressTypeIPv4
}

func (j *Joiner) collect(endpoints []*discoveryv1.EndpointSlice, family discoveryv1.AddressType) {
	j.found, j.ports = j.found[:0], j.ports[:0]
	for _, slice := range endpoints {
		if slice.AddressType != discoveryv1.AddressTypeIPv4 && slice.AddressType != discoveryv1.AddressTypeIPv6 {
			continue
		}
		ports := j.sharedPorts(slice.Ports)
		if len(ports) == 0 {
			continue
		}
		for i := range slice.Endpoints {
			pod, ok := endpointPod(slice, &slice.Endpoints[i])
			if !ok {
				continue
			}
			pod.Ports = ports
			j.found = append(j.found, candidate{Pod: pod, preferred: slice.AddressType == family, slice: slice.Name})
		}
	}
}

// sharedPorts converts a slice's ports, sorted; equal ports of other slices of the same Service are shared. A port
// without a number stands for all ports, which says nothing about where to send.
func (j *Joiner) sharedPorts(in []discoveryv1.EndpointPort) []pods.Port {
	ports := make([]pods.Port, 0, len(in))
	for _, port := range in {
		if port.Port == nil || *port.Port < 1 || *port.Port > 65535 {
			continue
		}
		ports = append(ports, pods.Port{Name: value(port.Name), Number: *port.Port})
	}
	slices.SortFunc(ports, comparePorts)
	ports = slices.Compact(ports)
	for _, known := range j.ports {
		if slices.Equal(known, ports) {
			return known
		}
	}
	j.ports = append(j.ports, ports)
	return ports
}

// endpointPod converts one endpoint, and says whether anything can be sent to it.
func endpointPod(slice *discoveryv1.EndpointSlice, endpoint *discoveryv1.Endpoint) (pods.Pod, bool) {
	if len(endpoint.Addresses) == 0 {
		return pods.Pod{}, false
	}
	address, err := netip.ParseAddr(endpoint.Addresses[0])
	if err != nil || address.Zone() != "" || address.IsUnspecified() {
		return pods.Pod{}, false
	}
	conditions := &endpoint.Conditions
	ready := conditions.Ready == nil || *conditions.Ready
	pod := pods.Pod{
		Namespace: slice.Namespace, Node: value(endpoint.NodeName), Zone: value(endpoint.Zone),
		Address: address.Unmap(),
		Ready:   ready, Serving: ready, Terminating: conditions.Terminating != nil && *conditions.Terminating,
	}
	if conditions.Serving != nil {
		pod.Serving = *conditions.Serving
	}
	if ref := endpoint.TargetRef; ref != nil && ref.Kind == "Pod" {
		pod.Name, pod.UID = ref.Name, string(ref.UID)
		if ref.Namespace != "" {
			pod.Namespace = ref.Namespace
		}
	}
	return pod, true
}

// dropOtherFamily leaves one family of the endpoints that no targetRef ties together: nothing says which two addresses
// are one backend, and it must not count twice.
func (j *Joiner) dropOtherFamily() {
	preferred := slices.ContainsFunc(j.found, func(c candidate) bool { return c.Name == "" && c.preferred })
	if !preferred {
		return
	}
	j.found = slices.DeleteFunc(j.found, func(c candidate) bool { return c.Name == "" && !c.preferred })
}

// dedupe keeps one candidate of each Pod. A Pod that moves between slices is in both for a while; a dual-stack Pod is
// in one of each family. A Pod in two slices with no port name in common is kept for each.
func (j *Joiner) dedupe() {
	j.order, j.kept = j.order[:0], j.kept[:0]
	for i := range j.found {
		j.order = append(j.order, &j.found[i])
	}
	slices.SortFunc(j.order, compareCandidates)
	group := 0
	for _, c := range j.order {
		if len(j.kept) == 0 || !sameBackend(&j.kept[group].Pod, &c.Pod) {
			group = len(j.kept)
		}
		if !slices.ContainsFunc(j.kept[group:], func(k *candidate) bool { return sharePort(k.Ports, c.Ports) }) {
			j.kept = append(j.kept, c)
		}
	}
}

// compareCandidates puts those of one backend together, the best first.
func compareCandidates(a, b *candidate) int {
	return cmp.Or(
		compareIdentity(&a.Pod, &b.Pod),
		trueFirst(a.preferred, b.preferred),
		trueFirst(a.Ready, b.Ready), trueFirst(a.Serving, b.Serving), trueFirst(!a.Terminating, !b.Terminating),
		a.Address.Compare(b.Address), slices.CompareFunc(a.Ports, b.Ports, comparePorts),
		strings.Compare(a.slice, b.slice),
		strings.Compare(a.Node, b.Node), strings.Compare(a.Zone, b.Zone),
	)
}

// compareIdentity compares by Pod and UID; an endpoint that is no Pod is its address.
func compareIdentity(a, b *pods.Pod) int {
	order := cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.UID, b.UID))
	if order == 0 && a.Name == "" {
		return a.Address.Compare(b.Address)
	}
	return order
}

func sameBackend(a, b *pods.Pod) bool { return compareIdentity(a, b) == 0 }

func sharePort(a, b []pods.Port) bool {
	return slices.ContainsFunc(a, func(p pods.Port) bool {
		return slices.ContainsFunc(b, func(q pods.Port) bool { return p.Name == q.Name })
	})
}

// comparePods is the order of a Set.
func comparePods(a, b pods.Pod) int {
	return cmp.Or(
		strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), a.Address.Compare(b.Address),
		slices.CompareFunc(a.Ports, b.Ports, comparePorts), strings.Compare(a.UID, b.UID),
	)
}

func comparePorts(a, b pods.Port) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Number, b.Number))
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
