package files

import (
	"maps"
	"slices"
	"time"

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

	joined   *join.Index
	services map[pods.ServiceKey]*pods.Service
	sets     map[pods.ServiceKey]*pods.Set
	origins  map[api.ObjectRef]*snapshot.Origin
}

// holding is an object in a file.
type holding struct {
	path string
	held
}

func newIndex(cluster string) *index {
	joined := join.NewIndex(cluster)
	joined.FollowAllLabels()
	return &index{
		cluster: cluster, holders: map[itemKey][]holding{}, touched: map[itemKey]*item{}, repeated: map[itemKey]bool{}, joined: joined,
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
	for key, before := range x.touched {
		if now := x.item(key); now != before {
			changed = x.change(key, now) || changed
		}
		changed = x.locate(key) || changed
	}
	clear(x.touched)
	found := x.joined.Join(time.Time{}, func(string) bool { return true })
	maps.Copy(x.sets, found.Sets)
	for _, key := range found.Gone {
		delete(x.sets, key)
	}
	return changed
}

// change takes up an object, nil where it has gone, and says whether a Service changed.
func (x *index) change(key itemKey, now *item) (changed bool) {
	switch key.kind {
	case kindService:
		return x.changeService(key.NamespacedName, now)
	case kindEndpointSlice:
		var slice *join.Slice
		if now != nil {
			slice = now.endpoint
		}
		// Files are read together: no Pod is between two slices.
		x.joined.PutSlice(key.NamespacedName, slice, time.Time{})
	case kindPod:
		labels := join.NoLabels
		if now != nil {
			labels = join.LabelSetOf(now.labels)
		}
		x.joined.PutLabels(key.NamespacedName, labels)
	}
	return false
}

func (x *index) changeService(name types.NamespacedName, now *item) (changed bool) {
	key := pods.ServiceKey{Cluster: x.cluster, Namespace: name.Namespace, Name: name.Name}
	var service *pods.Service
	if now != nil {
		service = join.Service(x.cluster, now.service)
	}
	x.joined.PutService(name, service, time.Time{})
	if join.EqualServices(service, x.services[key]) {
		return false
	}
	if service == nil {
		delete(x.services, key)
	} else {
		x.services[key] = service
	}
	return true
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
