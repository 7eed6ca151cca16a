package slices

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"unsafe"

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
	// groups are those with labels.
	groups map[labeling]*pods.Group
}

// labeling is a Group, and which map of labels it is to have.
type labeling struct {
	of     *pods.Group
	labels unsafe.Pointer
}

// candidate is one endpoint on its way into a Set.
type candidate struct {
	*pods.Pod
	preferred bool
	slice     string
}

// Join makes the Set of a Service from its Slices, in any order. labels may be nil where nobody asks for them. A Set may share its Pods with a
// Slice: both are immutable.
func (j *Joiner) Join(service *pods.Service, endpoints []*Slice, labels Labels) *pods.Set {
	set := &pods.Set{Key: service.Key}
	if service.ExternalName {
		return set
	}
	if len(endpoints) == 1 && labels == nil {
		set.Pods = endpoints[0].Pods
		return set
	}
	j.collect(endpoints, service.IPv6)
	j.dropOtherFamily()
	j.dedupe()
	if len(j.kept) > 0 {
		set.Pods = make([]pods.Pod, len(j.kept))
	}
	for i := range j.kept {
		set.Pods[i] = *j.kept[i].Pod
		if pod := &set.Pods[i]; labels != nil && pod.HasName() {
			pod.Group = j.labeled(pod.Group, labels(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name()}))
		}
	}
	slices.SortFunc(set.Pods, comparePods)
	// What is kept for the next Join must not keep this one's Pods alive.
	clear(j.found)
	clear(j.order)
	clear(j.kept)
	clear(j.groups)
	return set
}

// labeled is a Group with labels: one for all Pods that have the same map.
func (j *Joiner) labeled(of *pods.Group, labels map[string]string) *pods.Group {
	if labels == nil {
		return of
	}
	key := labeling{of, reflect.ValueOf(labels).UnsafePointer()}
	group := j.groups[key]
	if group == nil {
		made := *of
		made.Labels = labels
		group = &made
		if j.groups == nil {
			j.groups = map[labeling]*pods.Group{}
		}
		j.groups[key] = group
	}
	return group
}

func (j *Joiner) collect(endpoints []*Slice, ipv6 bool) {
	j.found = j.found[:0]
	for _, slice := range endpoints {
		for i := range slice.Pods {
			j.found = append(j.found, candidate{Pod: &slice.Pods[i], preferred: slice.IPv6 == ipv6, slice: slice.Name})
		}
	}
}

// dropOtherFamily leaves one family of the endpoints that no targetRef ties together: nothing says which two addresses
// are one backend, and it must not count twice.
func (j *Joiner) dropOtherFamily() {
	preferred := slices.ContainsFunc(j.found, func(c candidate) bool { return !c.HasName() && c.preferred })
	if !preferred {
		return
	}
	j.found = slices.DeleteFunc(j.found, func(c candidate) bool { return !c.HasName() && !c.preferred })
}

// dedupe keeps one candidate of each Pod. A Pod that moves between slices is in both for a while; a dual-stack Pod is
// in one of each family. A Pod in two slices with no port name in common is kept for each; an address that is no Pod, for each number of a port too: several
// servers may share a machine.
func (j *Joiner) dedupe() {
	j.order, j.kept = j.order[:0], j.kept[:0]
	for i := range j.found {
		j.order = append(j.order, &j.found[i])
	}
	slices.SortFunc(j.order, compareCandidates)
	group := 0
	for _, c := range j.order {
		if len(j.kept) == 0 || !sameBackend(j.kept[group].Pod, c.Pod) {
			group = len(j.kept)
		}
		if !slices.ContainsFunc(j.kept[group:], func(k *candidate) bool { return sharePort(k.Ports, c.Ports, !c.HasName()) }) {
			j.kept = append(j.kept, c)
		}
	}
}

// What follows compares nothing that does not matter, as cmp.Or does: nearly all Pods differ in their names, and each may have a hundred ports.

// compareCandidates puts those of one backend together, the best first.
func compareCandidates(a, b *candidate) int {
	if order := compareIdentity(a.Pod, b.Pod); order != 0 {
		return order
	}
	return cmp.Or(
		trueFirst(a.preferred, b.preferred),
		compareUse(a.Pod, b.Pod),
		strings.Compare(a.slice, b.slice),
		comparePlaces(a.Place, b.Place),
	)
}

// compareBest puts the Pods of one backend in one slice together, the best first.
func compareBest(a, b pods.Pod) int {
	if order := compareIdentity(&a, &b); order != 0 {
		return order
	}
	return cmp.Or(compareUse(&a, &b), comparePlaces(a.Place, b.Place))
}

func comparePlaces(a, b pods.Place) int {
	if a == b {
		return 0
	}
	return cmp.Or(strings.Compare(a.Node(), b.Node()), strings.Compare(a.Zone(), b.Zone()))
}

// compareUse puts what is of more use first.
func compareUse(a, b *pods.Pod) int {
	return cmp.Or(
		trueFirst(a.Ready, b.Ready), trueFirst(a.Serving, b.Serving), trueFirst(!a.Terminating, !b.Terminating),
		a.Address.Compare(b.Address), slices.CompareFunc(a.Ports, b.Ports, comparePorts),
	)
}

// compareIdentity compares by Pod and UID; an endpoint that is no Pod is its address.
func compareIdentity(a, b *pods.Pod) int {
	order := cmp.Or(strings.Compare(a.Namespace, b.Namespace), a.CompareName(b))
	switch {
	case order != 0:
		return order
	case a.UID != b.UID:
		return a.UID.Compare(b.UID)
	case !a.HasName():
		return a.Address.Compare(b.Address)
	}
	return 0
}

func sameBackend(a, b *pods.Pod) bool { return compareIdentity(a, b) == 0 }

// sharePort says whether two lists have a port in common, by its name or, where that is asked for, by its number as well.
func sharePort(a, b []pods.Port, byNumber bool) bool {
	return slices.ContainsFunc(a, func(p pods.Port) bool {
		return slices.ContainsFunc(b, func(q pods.Port) bool { return p.Name == q.Name && (!byNumber || p.Number == q.Number) })
	})
}

// comparePods is the order of a Set.
func comparePods(a, b pods.Pod) int {
	if order := cmp.Or(strings.Compare(a.Namespace, b.Namespace), a.CompareName(&b), a.Address.Compare(b.Address)); order != 0 {
		return order
	}
	return cmp.Or(slices.CompareFunc(a.Ports, b.Ports, comparePorts), a.UID.Compare(b.UID))
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
