package files

import (
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	join "github.com/podway/podway/watcher/slices"
)

// index holds the objects of a member cluster, and joins those Services again that a change concerns: its work grows with what
// changed, not with the cluster.
type index struct {
	cluster string
	// holders are the places of each object, in path order; the first is the one in force.
	holders map[itemKey][]holding
	// touched are the keys that changed since the last join, with what was in force before, nil for nothing.
	touched map[itemKey]*item
	// repeated are the keys with several places.
	repeated map[itemKey]bool

	slices   map[types.NamespacedName]map[types.NamespacedName]bool // Service to the names of its EndpointSlices
	users    map[types.NamespacedName]map[types.NamespacedName]int  // Pod to the Services whose slices name it, and how many do
	services map[pods.ServiceKey]*pods.Service
	sets     map[pods.ServiceKey]*pods.Set
	origins  map[api.ObjectRef]*snapshot.Origin
	joiner   join.Joiner
}

// holding is an object in a file.
type holding struct {
	path string
	held
}

func newIndex(cluster string) *index {
	return &index{
		cluster: cluster, holders: map[itemKey][]holding{}, touched: map[itemKey]*item{}, repeated: map[itemKey]bool{},
		slices: map[types.NamespacedName]map[types.NamespacedName]bool{}, users: map[types.NamespacedName]map[types.NamespacedName]int{},
		services: map[pods.ServiceKey]*pods.Service{}, sets: map[pods.ServiceKey]*pods.Set{}, origins: map[api.ObjectRef]*snapshot.Origin{},
	}
}

// replace takes up that a file holds other objects now.
func (x *index) replace(path string, old, next []held) {
	before, after := setOf(old), setOf(next)
	for _, h := range old {
		if !after[h] {
			x.touch(h.itemKey())
			x.remove(path, h)
		}
	}
	for _, h := range next {
		if !before[h] {
			x.touch(h.itemKey())
			x.add(path, h)
		}
	}
}

func setOf(items []held) map[held]bool {
	out := make(map[held]bool, len(items))
	for _, h := range items {
		out[h] = true
	}
	return out
}

func (x *index) touch(key itemKey) {
	if _, ok := x.touched[key]; !ok {
		x.touched[key] = x.item(key)
	}
}

// item is the object in force, or nil.
func (x *index) item(key itemKey) *item {
	if holders := x.holders[key]; len(holders) > 0 {
		return holders[0].item
	}
	return nil
}

func (x *index) add(path string, h held) {
	key := h.itemKey()
	holders := x.holders[key]
	at := len(holders)
	for at > 0 && after(holders[at-1], path, h.line) {
		at--
	}
	x.holders[key] = slices.Insert(holders, at, holding{path: path, held: h})
	if len(holders) > 0 {
		x.repeated[key] = true
	}
}

// after says whether a holding comes after a place.
func after(h holding, path string, line int) bool {
	if order := comparePaths(h.path, path); order != 0 {
		return order > 0
	}
	return h.line > line
}

func (x *index) remove(path string, h held) {
	key := h.itemKey()
	holders := x.holders[key]
	if i := slices.Index(holders, holding{path: path, held: h}); i >= 0 {
		holders = slices.Delete(holders, i, i+1)
	}
	if len(holders) < 2 {
		delete(x.repeated, key)
	}
	if len(holders) == 0 {
		delete(x.holders, key)
		return
	}
	x.holders[key] = holders
}

// join joins what changed since the last one. It says whether a Service or its place is another one now.
func (x *index) join() (changed bool) {
	services := map[types.NamespacedName]bool{}
	for key, before := range x.touched {
		if now := x.item(key); now != before {
			x.change(key, before, now, services)
		}
	}
	// Which Pods the slices name is known only now.
	for key, before := range x.touched {
		if key.kind == kindPod && x.item(key) != before {
			for service := range x.users[key.NamespacedName] {
				services[service] = true
			}
		}
	}
	for name := range services {
		changed = x.rejoin(name) || changed
	}
	for key := range x.touched {
		changed = x.locate(key) || changed
	}
	clear(x.touched)
	return changed
}

// change notes which Services an object's change concerns.
func (x *index) change(key itemKey, before, now *item, services map[types.NamespacedName]bool) {
	switch key.kind {
	case kindService:
		services[key.NamespacedName] = true
	case kindEndpointSlice:
		if before != nil {
			x.forget(before.endpoint, services)
		}
		if now != nil {
			x.learn(now.endpoint, services)
		}
	}
}

// learn takes up an EndpointSlice.
func (x *index) learn(slice *discoveryv1.EndpointSlice, services map[types.NamespacedName]bool) {
	service, ok := join.ServiceOf(slice)
	if !ok {
		return
	}
	services[service] = true
	if x.slices[service] == nil {
		x.slices[service] = map[types.NamespacedName]bool{}
	}
	x.slices[service][types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name}] = true
	for pod := range podsOf(slice) {
		if x.users[pod] == nil {
			x.users[pod] = map[types.NamespacedName]int{}
		}
		x.users[pod][service]++
	}
}

// forget lets go of an EndpointSlice.
func (x *index) forget(slice *discoveryv1.EndpointSlice, services map[types.NamespacedName]bool) {
	service, ok := join.ServiceOf(slice)
	if !ok {
		return
	}
	services[service] = true
	delete(x.slices[service], types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name})
	if len(x.slices[service]) == 0 {
		delete(x.slices, service)
	}
	for pod := range podsOf(slice) {
		if x.users[pod][service]--; x.users[pod][service] <= 0 {
			delete(x.users[pod], service)
		}
		if len(x.users[pod]) == 0 {
			delete(x.users, pod)
		}
	}
}

func podsOf(slice *discoveryv1.EndpointSlice) map[types.NamespacedName]bool {
	out := make(map[types.NamespacedName]bool, len(slice.Endpoints))
	for i := range slice.Endpoints {
		if ref := slice.Endpoints[i].TargetRef; ref != nil && ref.Kind == kindPod {
			namespace := ref.Namespace
			if namespace == "" {
				namespace = slice.Namespace
			}
			out[types.NamespacedName{Namespace: namespace, Name: ref.Name}] = true
		}
	}
	return out
}

// rejoin joins a Service again, and says whether the Service itself changed. What comes out equal keeps its pointer.
func (x *index) rejoin(name types.NamespacedName) (changed bool) {
	key := pods.ServiceKey{Cluster: x.cluster, Namespace: name.Namespace, Name: name.Name}
	i := x.item(itemKey{kind: kindService, NamespacedName: name})
	if i == nil {
		_, changed = x.services[key]
		delete(x.services, key)
		delete(x.sets, key)
		return changed
	}
	if service := join.Service(x.cluster, i.service); !join.EqualServices(service, x.services[key]) {
		x.services[key], changed = service, true
	}
	if set := x.joiner.Join(x.cluster, i.service, x.endpoints(name), x.labels); !join.EqualSets(set, x.sets[key]) {
		x.sets[key] = set
	}
	return changed
}

func (x *index) endpoints(service types.NamespacedName) []*discoveryv1.EndpointSlice {
	out := make([]*discoveryv1.EndpointSlice, 0, len(x.slices[service]))
	for name := range x.slices[service] {
		if i := x.item(itemKey{kind: kindEndpointSlice, NamespacedName: name}); i != nil {
			out = append(out, i.endpoint)
		}
	}
	return out
}

func (x *index) labels(pod types.NamespacedName) map[string]string {
	if i := x.item(itemKey{kind: kindPod, NamespacedName: pod}); i != nil {
		return i.labels
	}
	return nil
}

// locate notes where a Service is, and says whether that is another place now.
func (x *index) locate(key itemKey) (changed bool) {
	if key.kind != kindService {
		return false
	}
	ref := api.ObjectRef{Cluster: x.cluster, Kind: kindService, Namespace: key.Namespace, Name: key.Name}
	before := x.origins[ref]
	holders := x.holders[key]
	if len(holders) == 0 {
		delete(x.origins, ref)
		return before != nil
	}
	if before != nil && before.File == holders[0].path && before.Line == holders[0].line {
		return false
	}
	x.origins[ref] = &snapshot.Origin{File: holders[0].path, Line: holders[0].line}
	return true
}

// problems are the objects that are there several times.
func (x *index) problems() []api.Problem {
	var out []api.Problem
	for key := range x.repeated {
		ref := api.ObjectRef{Cluster: x.cluster, Kind: key.kind, Namespace: key.Namespace, Name: key.Name}
		first := x.holders[key][0]
		for _, h := range x.holders[key][1:] {
			out = append(out, duplicate(ref, h.path, h.line, first.path, first.line))
		}
	}
	return out
}
