package slices

import (
	"slices"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

// Slice is what podway reads of an EndpointSlice, in a tenth of its memory. It is immutable.
type Slice struct {
	// Group is that of its Pods, but for those in another namespace. Where nothing can be sent to any, there are no Ports.
	pods.Group
	Name string
	// Service is the name of the Service that it belongs to, by the label kubernetes.io/service-name; "" for none.
	Service string
	// IPv6 is true for a slice of IPv6 addresses.
	IPv6 bool
	// Pods to which something can be sent, in the order of a Set, each once. All have its Ports.
	Pods []pods.Pod
	// Changed is when the last change of a Pod or Service was seen that led to this slice, by the annotation
	// endpoints.kubernetes.io/last-change-trigger-time; zero where it is missing.
	Changed time.Time
}

// NewSlice takes what podway reads off an EndpointSlice, and shares strings that repeat. Of a slice with FQDNs or without a usable port it
// keeps no Pods, and leaves out endpoints without a usable address: nothing can be sent there. Of an endpoint only the first
// address counts, as Kubernetes says: all of them are one backend.
func NewSlice(from *discoveryv1.EndpointSlice) *Slice {
	d := drafts.Get().(*draft)
	defer drafts.Put(d)
	d.reset()
	d.namespace, d.name, d.service = from.Namespace, from.Name, from.Labels[discoveryv1.LabelServiceName]
	d.changed, d.addressType = from.Annotations[corev1.EndpointsLastChangeTriggerTime], string(from.AddressType)
	for i := range from.Ports {
		port := &from.Ports[i]
		d.ports = append(d.ports, draftPort{name: value(port.Name), number: value(port.Port)})
	}
	for i := range from.Endpoints {
		d.endpoints = append(d.endpoints, draftEndpointOf(&from.Endpoints[i]))
	}
	return d.slice()
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

// value is what a pointer leads to, or nothing.
func value[T any](pointer *T) (v T) {
	if pointer != nil {
		v = *pointer
	}
	return v
}
