// Package pods holds the live side of a Service of a member cluster: its
// ports, and the set of its Pods. Everything here is an immutable value once
// it has been published by a watcher.
package pods

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// ServiceKey names a Service in a member cluster.
type ServiceKey struct {
	Cluster, Namespace, Name string
}

// String is cluster:namespace/name.
func (k ServiceKey) String() string { return k.Cluster + ":" + k.Namespace + "/" + k.Name }

// Compare orders by cluster, namespace and name. It looks at no more than it needs, unlike cmp.Or: large lists of one cluster are sorted by it.
func (k ServiceKey) Compare(other ServiceKey) int {
	if order := strings.Compare(k.Cluster, other.Cluster); order != 0 {
		return order
	}
	if order := strings.Compare(k.Namespace, other.Namespace); order != 0 {
		return order
	}
	return strings.Compare(k.Name, other.Name)
}

// Service is what a tunnel needs of a Service object. It changes rarely and
// belongs to the configuration lane.
type Service struct {
	Key   ServiceKey
	Ports []ServicePort
	// Selector are the labels that its Pods have, sorted by name.
	Selector []Label
	// ExternalName is true for a Service of that type: it has no Pods.
	ExternalName bool
	// IPv6 is true where the Service's first IP family is IPv6.
	IPv6 bool
}

// Label is a label and its value.
type Label struct{ Name, Value string }

// LabelsOf are labels sorted by name; nil only for nil.
func LabelsOf(labels map[string]string) []Label {
	if labels == nil {
		return nil
	}
	out := make([]Label, 0, len(labels))
	for name, value := range labels {
		out = append(out, Label{name, value})
	}
	slices.SortFunc(out, func(a, b Label) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// ServicePort is one port of a Service.
type ServicePort struct {
	// Name is what EndpointSlices call the port; empty for the only port of a Service.
	Name string
	// Port is the Service's own number, 1 to 65535.
	Port int32
	// Protocol is TCP, UDP or SCTP.
	Protocol string
	// AppProtocol is as in Kubernetes, "" where unset.
	AppProtocol string
}

// Set is all Pods of one Service, sorted by Namespace, Name, Address and then
// Ports, and without repeats.
// A Pod of two address families appears once, with the address of the
// Service's first family.
type Set struct {
	Key  ServiceKey
	Pods []Pod
	// Unlabeled is true while the labels of the Pods are asked for and not known yet: which Pods a selector takes is Unknown.
	Unlabeled bool
}

// ServiceKey is the key of its Service.
func (s *Set) ServiceKey() ServiceKey { return s.Key }

// Pod is one address of a Pod behind a Service. For an endpoint with no
// targetRef, such as of a Service without a selector, the name and UID are empty.
// There are very many: what several have in common, each only points to.
type Pod struct {
	// Group has the Namespace, the Ports, the Labels and the names; never nil.
	*Group
	Place
	UID     UID
	Address Address
	// name is where it is in the names of the Group; 0 for none.
	name uint32
	// Ready, Serving and Terminating are the endpoint's conditions, with Kubernetes' defaults for unset ones
	// (ready and serving true, terminating false).
	Ready, Serving, Terminating bool
}

// Group is what Pods of an EndpointSlice have in common. It is immutable.
type Group struct {
	Namespace string
	// Ports are the ports of the slice.
	Ports []Port
	// Labels are the Pods' own, nil where they are not known: EndpointSlices do not carry them.
	Labels map[string]string
	names  names
}

// Port is a port of an EndpointSlice: the Service port's name, and the Pod's number.
type Port struct {
	Name   string
	Number int32
}

// Equal says whether two Groups are the same but for the names.
func (g *Group) Equal(other *Group) bool {
	return g == other || g.Namespace == other.Namespace && slices.Equal(g.Ports, other.Ports) &&
		maps.Equal(g.Labels, other.Labels) && (g.Labels == nil) == (other.Labels == nil)
}

// Port returns the number that the Service port of that name has on this Pod,
// and false where its slice has no such port.
func (p *Pod) Port(name string) (int32, bool) {
	for _, port := range p.Ports {
		if port.Name == name {
			return port.Number, true
		}
	}
	return 0, false
}

// Live looks up the current Pods of a Service. It returns nil where the
// cluster has not synced yet, so that nothing is known of the Service: an
// Unknown part of a tunnel. A Service that is known to have no Pods has an empty Set.
type Live func(ServiceKey) *Set

// Use says which Pods a tunnel takes: those of a Service, or some of them.
type Use struct {
	Service ServiceKey
	// Selector of the Pods by their own labels; nil takes all.
	Selector labels.Selector
}

// Takes says whether a Pod of the Service is among them. One whose labels are not known is not, where there is a Selector.
func (u *Use) Takes(pod *Pod) bool {
	return u.Selector == nil || (pod.Labels != nil && u.Selector.Matches(labels.Set(pod.Labels)))
}
