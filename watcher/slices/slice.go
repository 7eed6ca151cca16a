package slices

import (
	"net/netip"
	"slices"
	"strings"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

// Slice is what podway reads of an EndpointSlice, in a tenth of its memory. It is immutable.
type Slice struct {
	Namespace, Name string
	// Service is the name of the Service that it belongs to, by the label kubernetes.io/service-name; "" for none.
	Service string
	// IPv6 is true for a slice of IPv6 addresses.
	IPv6 bool
	// Pods to which something can be sent, in the order of a Set, each once. All have the same Ports.
	Pods []pods.Pod
	// Changed is when the last change of a Pod or Service was seen that led to this slice, by the annotation
	// endpoints.kubernetes.io/last-change-trigger-time; zero where it is missing.
	Changed time.Time
}

// NewSlice takes what podway reads off an EndpointSlice, and shares strings that repeat. Of a slice with FQDNs or without a usable port it
// keeps no Pods, and leaves out endpoints without a usable address: nothing can be sent there. Of an endpoint only the first
// address counts, as Kubernetes says: all of them are one backend.
func NewSlice(from *discoveryv1.EndpointSlice) *Slice {
	out := &Slice{
		Namespace: shared(from.Namespace), Name: from.Name, Service: shared(from.Labels[discoveryv1.LabelServiceName]),
		IPv6:    from.AddressType == discoveryv1.AddressTypeIPv6,
		Changed: triggerTime(from.Annotations[corev1.EndpointsLastChangeTriggerTime]),
	}
	ports := usablePorts(from.Ports)
	if len(ports) == 0 || !out.IPv6 && from.AddressType != discoveryv1.AddressTypeIPv4 {
		return out
	}
	found := make([]pods.Pod, 0, len(from.Endpoints))
	for i := range from.Endpoints {
		if pod, ok := endpointPod(out.Namespace, &from.Endpoints[i]); ok {
			pod.Ports = ports
			found = append(found, pod)
		}
	}
	out.Pods = inSetOrder(found)
	packStrings(out.Pods)
	return out
}

// packStrings puts the names and UIDs of Pods into one piece of memory. They come one by one, between all that is not kept of an object, and would
// each keep a part of that place.
func packStrings(all []pods.Pod) {
	size := 0
	for i := range all {
		size += len(all[i].Name) + len(all[i].UID)
	}
	var b strings.Builder
	b.Grow(size)
	for i := range all {
		b.WriteString(all[i].Name)
		b.WriteString(all[i].UID)
	}
	rest := b.String()
	for i := range all {
		pod := &all[i]
		pod.Name, rest = rest[:len(pod.Name)], rest[len(pod.Name):]
		pod.UID, rest = rest[:len(pod.UID)], rest[len(pod.UID):]
	}
}

// inSetOrder sorts Pods as a Set does, and keeps the best of each backend. It may change its argument.
func inSetOrder(found []pods.Pod) []pods.Pod {
	slices.SortFunc(found, compareBest)
	out := slices.CompactFunc(found, func(a, b pods.Pod) bool { return sameBackend(&a, &b) })
	slices.SortFunc(out, comparePods)
	if len(out) == 0 {
		return nil
	}
	return slices.Clip(out)
}

// SameContent says whether two slices say the same, the time of the change aside.
func (s *Slice) SameContent(other *Slice) bool {
	if s == nil || other == nil {
		return s == other
	}
	return s.Namespace == other.Namespace && s.Name == other.Name && s.Service == other.Service && s.IPv6 == other.IPv6 &&
		slices.EqualFunc(s.Pods, other.Pods, equalPods)
}

// Key names the slice.
func (s *Slice) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
}

// Of names the Service that the slice belongs to, and says whether it belongs to any.
func (s *Slice) Of() (types.NamespacedName, bool) {
	if s == nil {
		return types.NamespacedName{}, false
	}
	return types.NamespacedName{Namespace: s.Namespace, Name: s.Service}, s.Service != ""
}

// usablePorts converts a slice's ports, sorted. A port without a number stands for all ports, which says nothing about where
// to send.
func usablePorts(in []discoveryv1.EndpointPort) []pods.Port {
	ports := make([]pods.Port, 0, len(in))
	for _, port := range in {
		if port.Port == nil || *port.Port < 1 || *port.Port > 65535 {
			continue
		}
		ports = append(ports, pods.Port{Name: shared(value(port.Name)), Number: *port.Port})
	}
	slices.SortFunc(ports, comparePorts)
	return slices.Clip(slices.Compact(ports))
}

// endpointPod converts one endpoint, and says whether anything can be sent to it.
func endpointPod(namespace string, endpoint *discoveryv1.Endpoint) (pods.Pod, bool) {
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
		Namespace: namespace, Node: shared(value(endpoint.NodeName)), Zone: shared(value(endpoint.Zone)),
		Address: address.Unmap(),
		Ready:   ready, Serving: ready, Terminating: conditions.Terminating != nil && *conditions.Terminating,
	}
	if conditions.Serving != nil {
		pod.Serving = *conditions.Serving
	}
	if ref := endpoint.TargetRef; ref != nil && ref.Kind == "Pod" {
		pod.Name, pod.UID = ref.Name, string(ref.UID)
		if ref.Namespace != "" {
			pod.Namespace = shared(ref.Namespace)
		}
	}
	return pod, true
}

func triggerTime(annotation string) time.Time {
	if annotation == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339Nano, annotation)
	if err != nil {
		return time.Time{} // it only serves to measure
	}
	return at
}

// shared is the one copy of a string that repeats.
func shared(s string) string {
	if s == "" {
		return ""
	}
	return unique.Make(s).Value() // which clones what it has not seen
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
