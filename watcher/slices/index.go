package slices

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/watcher/table"
)

// moving is how long a Pod that leaves one slice of a Service while it is ready may take to appear in another one. Kubernetes writes the two in
// any order, one event after the other; a Pod that is deleted is terminating first, and goes at once.
const moving = 50 * time.Millisecond

// Index holds what is known of one cluster, and joins those Services again that a change concerns: its work grows with what
// changed, not with the cluster. It belongs to one goroutine, or to whoever holds its owner's lock.
type Index struct {
	cluster string
	joiner  Joiner

	entries *table.Table[types.NamespacedName, entry]
	slices  *table.Table[types.NamespacedName, Slice]
	// pods are those of namespaces whose labels are followed, by namespace and name: there are very many, and few namespaces.
	pods    map[string]map[string]podLabels
	labeled map[string]bool // namespaces whose labels are followed; true once they are known
	// allLabels is true where the labels of all namespaces are followed and known.
	allLabels bool
	sets      map[LabelSet]*sharedLabels
	dirty     map[types.NamespacedName]struct{}
}

// entry is what is known of a Service, and of slices of that name.
type entry struct {
	name    types.NamespacedName
	service *pods.Service
	// told is the Service as a Join told of it last.
	told    *pods.Service
	set     *pods.Set
	slices  []*Slice
	leaving []leaving
	// renamed are ports that have another name for a while; nil, as most often, where there are none.
	renamed *renamed
}

func (e *entry) key() types.NamespacedName { return e.name }

// leaving is a Pod that has left one slice and may turn up in another one.
type leaving struct {
	pod   pods.Pod
	ipv6  bool
	until time.Time
}

// Changes are what a Join found.
type Changes struct {
	// Services is true where a Service came, went or changed.
	Services bool
	// Sets are those that changed; Gone are the Services that are no more.
	Sets map[pods.ServiceKey]*pods.Set
	Gone []pods.ServiceKey
	// Again is when to join again though nothing has changed; zero for never.
	Again time.Time
}

// NewIndex returns one that holds nothing.
func NewIndex(cluster string) *Index {
	return &Index{
		cluster: cluster, entries: table.New((*entry).key), slices: table.New((*Slice).Key),
		pods: map[string]map[string]podLabels{}, labeled: map[string]bool{}, sets: map[LabelSet]*sharedLabels{},
		dirty: map[types.NamespacedName]struct{}{},
	}
}

// PutService takes up a Service, or that there is none any more: nil. now is for ports whose name changes before it does in the slices: a zero time, and all
// are known together.
func (x *Index) PutService(name types.NamespacedName, service *pods.Service, now time.Time) {
	e := x.entry(name)
	if EqualServices(e.service, service) {
		x.drop(name, e)
		return
	}
	e.rename(service, now)
	e.service = service
	x.dirty[name] = struct{}{}
	x.drop(name, e)
}

// PutSlice takes up an EndpointSlice, or with nil that there is none of that name any more. now is for Pods that move between slices: a zero
// time, and they do not.
func (x *Index) PutSlice(name types.NamespacedName, slice *Slice, now time.Time) {
	before := x.slices.Get(name)
	if before.SameContent(slice) {
		if slice != nil && !slice.Changed.Equal(before.Changed) {
			x.renew(before, slice.Changed)
		}
		return
	}
	if was, ok := before.Of(); ok {
		e := x.entry(was)
		e.slices = slices.DeleteFunc(e.slices, func(s *Slice) bool { return s == before })
		if !now.IsZero() && len(e.slices) > 0 {
			e.leave(before, slice, now.Add(moving))
		}
		x.forget(e, before)
		x.dirty[was] = struct{}{}
	}
	if slice == nil {
		x.slices.Delete(name)
	} else {
		x.slices.Put(slice)
	}
	if is, ok := slice.Of(); ok {
		e := x.entry(is)
		e.slices = append(e.slices, slice)
		x.learn(e, slice)
		x.dirty[is] = struct{}{}
	}
	if was, ok := before.Of(); ok {
		x.drop(was, x.entry(was))
	}
}

// renew replaces a slice that is as it was but for the time of its change.
func (x *Index) renew(before *Slice, changed time.Time) {
	renewed := *before
	renewed.Changed = changed
	x.slices.Put(&renewed)
	if of, ok := before.Of(); ok {
		endpoints := x.entry(of).slices
		endpoints[slices.Index(endpoints, before)] = &renewed
	}
}

// leave notes the ready Pods that a slice has no more.
func (e *entry) leave(before, after *Slice, until time.Time) {
	for i := range before.Pods {
		pod := &before.Pods[i]
		if !pod.Ready || pod.Terminating || !pod.HasName() || after.has(pod) {
			continue
		}
		e.leaving = append(e.leaving, leaving{pod: *pod, ipv6: before.IPv6, until: until})
	}
}

// has says whether a Pod is in the slice.
func (s *Slice) has(pod *pods.Pod) bool {
	if s == nil {
		return false
	}
	i, _ := slices.BinarySearchFunc(s.Pods, pod, func(p pods.Pod, pod *pods.Pod) int {
		return cmp.Or(strings.Compare(p.Namespace, pod.Namespace), p.CompareName(pod))
	})
	for ; i < len(s.Pods) && s.Pods[i].Namespace == pod.Namespace && s.Pods[i].CompareName(pod) == 0; i++ {
		if sameBackend(&s.Pods[i], pod) {
			return true
		}
	}
	return false
}

// endpoints are the Service's slices, and Pods that are between two of them.
func (e *entry) endpoints(now time.Time) (endpoints []*Slice, again time.Time) {
	e.leaving = slices.DeleteFunc(e.leaving, func(l leaving) bool {
		return !now.Before(l.until) || slices.ContainsFunc(e.slices, func(s *Slice) bool { return s.has(&l.pod) })
	})
	if len(e.leaving) == 0 {
		e.leaving = nil
		return e.slices, time.Time{}
	}
	endpoints = slices.Clone(e.slices)
	for _, l := range e.leaving {
		endpoints = append(endpoints, &Slice{Group: *l.pod.Group, IPv6: l.ipv6, Pods: []pods.Pod{l.pod}})
		if again.IsZero() || l.until.Before(again) {
			again = l.until
		}
	}
	return endpoints, again
}

func (x *Index) entry(name types.NamespacedName) *entry {
	e := x.entries.Get(name)
	if e == nil {
		e = &entry{name: name}
		x.entries.Put(e)
	}
	return e
}

// drop forgets an entry of which nothing is known, and nobody was told.
func (x *Index) drop(name types.NamespacedName, e *entry) {
	if _, dirty := x.dirty[name]; !dirty && e.service == nil && e.set == nil && len(e.slices) == 0 {
		x.entries.Delete(name)
	}
}

// Join joins what changed since the last time, in the namespaces that are to be joined; what changed elsewhere waits.
func (x *Index) Join(now time.Time, joined func(namespace string) bool) Changes {
	out := Changes{Sets: map[pods.ServiceKey]*pods.Set{}}
	dirty := x.dirty
	x.dirty = map[types.NamespacedName]struct{}{} // one that was large once would cost its size for ever
	for name := range dirty {
		if !joined(name.Namespace) {
			x.dirty[name] = struct{}{}
			continue
		}
		x.join(name, now, &out)
	}
	slices.SortFunc(out.Gone, pods.ServiceKey.Compare)
	return out
}

func (x *Index) join(name types.NamespacedName, now time.Time, out *Changes) {
	e := x.entry(name)
	key := pods.ServiceKey{Cluster: x.cluster, Namespace: name.Namespace, Name: name.Name}
	if e.service == nil {
		if e.set != nil {
			out.Gone, out.Services = append(out.Gone, key), true
			e.set, e.told, e.renamed = nil, nil, nil
		}
		x.drop(name, e)
		return
	}
	endpoints, again := e.endpoints(now)
	x.again(name, again, out)
	var labels Labels
	followed, known := x.follows(name.Namespace)
	if followed {
		labels = x.labels
	}
	set := x.joiner.Join(e.service, endpoints, labels)
	set.Unlabeled = followed && !known
	set.Pods, again = e.renamedPods(set.Pods, now)
	x.again(name, again, out)
	if e.service != e.told {
		e.told, out.Services = e.service, true
	}
	if !EqualSets(set, e.set) {
		e.set = set
		out.Sets[key] = set
	}
}

// again has a Service joined again, whatever happens; at a zero time it does not.
func (x *Index) again(name types.NamespacedName, at time.Time, out *Changes) {
	if at.IsZero() {
		return
	}
	x.dirty[name] = struct{}{}
	if out.Again.IsZero() || at.Before(out.Again) {
		out.Again = at
	}
}

// IsEmpty is true where nothing is known, and nothing waits.
func (x *Index) IsEmpty() bool {
	return x.entries.Len()+x.slices.Len()+len(x.pods)+len(x.sets)+len(x.dirty) == 0
}

// Services returns those of the namespaces that are joined, in no order. The slice is the caller's own.
func (x *Index) Services(joined func(namespace string) bool) []*pods.Service {
	out := make([]*pods.Service, 0, x.entries.Len())
	for e := range x.entries.All() {
		if e.service != nil && joined(e.name.Namespace) {
			out = append(out, e.service)
		}
	}
	return out
}

// Sets returns all Sets that a Join has made. The map is the caller's own.
func (x *Index) Sets() map[pods.ServiceKey]*pods.Set {
	out := make(map[pods.ServiceKey]*pods.Set, x.entries.Len())
	for e := range x.entries.All() {
		if e.set != nil {
			out[e.set.Key] = e.set
		}
	}
	return out
}

// Sizes are how many Services have a Set, and Pods in them.
func (x *Index) Sizes() (services, podCount int) {
	for e := range x.entries.All() {
		if e.set != nil {
			services++
			podCount += len(e.set.Pods)
		}
	}
	return services, podCount
}

// Keep replaces a Set that was made by an equal one that is published already, so that nobody takes it for a change.
func (x *Index) Keep(published *pods.Set) {
	name := types.NamespacedName{Namespace: published.Key.Namespace, Name: published.Key.Name}
	if e := x.entries.Get(name); e != nil && e.set != nil && EqualSets(e.set, published) {
		e.set = published
	}
}

// KeepService replaces a Service by an equal one that is published already.
func (x *Index) KeepService(published *pods.Service) {
	name := types.NamespacedName{Namespace: published.Key.Namespace, Name: published.Key.Name}
	if e := x.entries.Get(name); e != nil && e.service != nil && EqualServices(e.service, published) {
		if e.told == e.service {
			e.told = published
		}
		e.service = published
	}
}

// Slice is a slice as it was last put; nil where there is none.
func (x *Index) Slice(name types.NamespacedName) *Slice { return x.slices.Get(name) }

// SliceNames are the names of all slices of the namespaces.
func (x *Index) SliceNames(in func(namespace string) bool) []types.NamespacedName {
	var out []types.NamespacedName
	for slice := range x.slices.All() {
		if in(slice.Namespace) {
			out = append(out, slice.Key())
		}
	}
	return out
}

// ServiceNames are the names of all Services of the namespaces.
func (x *Index) ServiceNames(in func(namespace string) bool) []types.NamespacedName {
	var out []types.NamespacedName
	for e := range x.entries.All() {
		if e.service != nil && in(e.name.Namespace) {
			out = append(out, e.name)
		}
	}
	return out
}
