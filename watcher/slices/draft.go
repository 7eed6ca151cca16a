package slices

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/podway/podway/api/pods"
)

// draft is what is read of an EndpointSlice before it is a Slice, or of the metadata of a Pod. Its strings may be parts of larger ones: nothing of them is kept.
type draft struct {
	namespace, name, service, addressType, changed string

	ports     []draftPort
	endpoints []draftEndpoint
	names     []string // of those that are Pods
	labels    []pods.Label
}

// draftPort is a port; a number of 0 is none.
type draftPort struct {
	name   string
	number int32
}

type draftEndpoint struct {
	// address is the first, "" for none.
	address, node, zone         string
	ready, serving, terminating condition
	// kind, namespace, name and uid are those of its targetRef.
	kind, namespace, name, uid string
}

// condition may be unset.
type condition uint8

const (
	unset condition = iota
	isFalse
	isTrue
)

// or is the condition, or what it is by default.
func (c condition) or(preset bool) bool {
	if c == unset {
		return preset
	}
	return c == isTrue
}

func conditionOf(b *bool) condition {
	switch {
	case b == nil:
		return unset
	case *b:
		return isTrue
	}
	return isFalse
}

// drafts are used again: a slice may have a thousand endpoints.
var drafts = sync.Pool{New: func() any { return &draft{} }}

func (d *draft) reset() {
	*d = draft{ports: d.ports[:0], endpoints: d.endpoints[:0], names: d.names[:0], labels: d.labels[:0]}
}

func draftEndpointOf(from *discoveryv1.Endpoint) draftEndpoint {
	e := draftEndpoint{
		node: value(from.NodeName), zone: value(from.Zone),
		ready: conditionOf(from.Conditions.Ready), serving: conditionOf(from.Conditions.Serving), terminating: conditionOf(from.Conditions.Terminating),
	}
	if len(from.Addresses) > 0 {
		e.address = from.Addresses[0]
	}
	if ref := from.TargetRef; ref != nil {
		e.kind, e.namespace, e.name, e.uid = ref.Kind, ref.Namespace, ref.Name, string(ref.UID)
	}
	return e
}

// slice makes a Slice of the draft.
func (d *draft) slice() *Slice {
	out := &Slice{
		Group: pods.Group{Namespace: shared(d.namespace)}, Name: strings.Clone(d.name), Service: shared(d.service),
		IPv6:    d.addressType == string(discoveryv1.AddressTypeIPv6),
		Changed: triggerTime(d.changed),
	}
	ports := d.usablePorts()
	if len(ports) == 0 || !out.IPv6 && d.addressType != string(discoveryv1.AddressTypeIPv4) {
		return out
	}
	out.Ports = ports
	found := make([]pods.Pod, 0, len(d.endpoints))
	group := &out.Group
	for i := range d.endpoints {
		if pod, ok := d.endpoints[i].pod(); ok {
			group = d.endpoints[i].group(&out.Group, group)
			pod.Group = group
			found = append(found, pod)
			d.names = append(d.names, d.endpoints[i].podName())
		}
	}
	pods.GiveNames(found, d.names)
	out.Pods = inSetOrder(found)
	return out
}

// usablePorts are the ports, sorted. A port without a number stands for all ports, which says nothing about where to send.
func (d *draft) usablePorts() []pods.Port {
	ports := make([]pods.Port, 0, len(d.ports))
	for _, port := range d.ports {
		if port.number >= 1 && port.number <= 65535 {
			ports = append(ports, pods.Port{Name: shared(port.name), Number: port.number})
		}
	}
	slices.SortFunc(ports, comparePorts)
	return slices.Clip(slices.Compact(ports))
}

// group is the Group of an endpoint's Pod: that of the slice, or that of the Pod before where both are in another namespace.
func (e *draftEndpoint) group(slice, before *pods.Group) *pods.Group {
	namespace := slice.Namespace
	if e.kind == podKind && e.namespace != "" {
		namespace = e.namespace
	}
	switch namespace {
	case slice.Namespace:
		return slice
	case before.Namespace:
		return before
	}
	return &pods.Group{Namespace: shared(namespace), Ports: slice.Ports}
}

// podKind is the kind of a targetRef that names a Pod.
const podKind = "Pod"

// podName is the name of an endpoint's Pod, "" for none.
func (e *draftEndpoint) podName() string {
	if e.kind != podKind {
		return ""
	}
	return e.name
}

// pod makes a Pod of an endpoint, but for its Group and its name, and says whether anything can be sent to it.
func (e *draftEndpoint) pod() (pods.Pod, bool) {
	address, err := netip.ParseAddr(e.address)
	if err != nil || address.Zone() != "" || address.IsUnspecified() {
		return pods.Pod{}, false
	}
	ready := e.ready.or(true)
	pod := pods.Pod{
		Place: pods.PlaceOf(e.node, e.zone), Address: pods.AddressOf(address),
		Ready: ready, Serving: e.serving.or(ready), Terminating: e.terminating.or(false),
	}
	if e.kind == podKind {
		pod.UID = pods.UIDOf(e.uid)
	}
	return pod, true
}
