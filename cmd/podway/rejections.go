package main

import (
	"maps"
	"sync"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/xds"
)

// codeRejectedByEnvoy is a resource that an Envoy refused.
const codeRejectedByEnvoy = "RejectedByEnvoy"

// maxRejections bounds what a Gateway's fleet of confused Envoys can make podway remember.
const maxRejections = 1000

// rejections remembers what Envoys refused, until that is no longer what they are sent.
type rejections struct {
	board *problemBoard
	// tell hands each on to who looks for what is to blame; it may be nil.
	tell func(xds.Rejection)

	mu     sync.Mutex
	cfg    *snapshot.Config                             // by mu; tells where objects are
	served map[string]map[api.ResourceKey]*api.Resource // by mu; by view
	known  map[rejectionKey]rejected                    // by mu
	views  map[string][]*api.Resource                   // by mu; as replaced was told last
}

type rejectionKey struct {
	view string
	key  api.ResourceKey
}

type rejected struct {
	problem  api.Problem
	resource *api.Resource
	// last is one of them, by nodes.
	last  xds.Rejection
	nodes rejectingNodes
}

func newRejections(board *problemBoard) *rejections {
	return &rejections{board: board, served: map[string]map[api.ResourceKey]*api.Resource{}, known: map[rejectionKey]rejected{}}
}

// add remembers a rejection. It is called by the goroutines of streams.
func (r *rejections) add(rejection xds.Rejection) {
	if rejection.Outdated {
		return // it is told again should the content come back
	}
	if r.tell != nil {
		defer r.tell(rejection)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := rejectionKey{view: rejection.View, key: rejection.Key}
	resource := r.served[key.view][key.key]
	known, there := r.known[key]
	if resource == nil || !there && r.count(key.view) >= maxRejections {
		return // it has changed meanwhile, or there is more than anybody reads
	}
	if known.last.Version != rejection.Version {
		known.nodes = nil
	}
	nodes, more := known.nodes.with(rejection.Node)
	if there && known.last.Version == rejection.Version && !more {
		return
	}
	r.known[key] = rejected{problem: rejectionProblem(rejection, resource, nodes, r.cfg), resource: resource, last: rejection, nodes: nodes}
	r.publish()
}

// left forgets what nodes rejected in a view that is theirs no more.
func (r *rejections) left(view string, nodes map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	forgotten := false
	for key, known := range r.known {
		rest := known.nodes.without(nodes)
		switch {
		case key.view != view || len(rest) == len(known.nodes):
			continue
		case len(rest) == 0:
			delete(r.known, key)
		default:
			known.nodes, known.problem = rest, rejectionProblem(known.last, known.resource, rest, r.cfg)
			r.known[key] = known
		}
		forgotten = true
	}
	if forgotten {
		r.publish()
	}
}

// count is how many are known of a view. r.mu is held.
func (r *rejections) count(view string) int {
	count := 0
	for key := range r.known {
		if key.view == view {
			count++
		}
	}
	return count
}

// origin is the object, and where it can be told the field, that a rejection is about; false where nothing is known of it.
func (r *rejections) origin(view string, key api.ResourceKey) (object api.ObjectRef, field string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rejected, known := r.known[rejectionKey{view: view, key: key}]
	return rejected.problem.Object, rejected.problem.Field, known
}

// replaced is told of all views, and forgets what is not in them any more.
func (r *rejections) replaced(cfg *snapshot.Config, views map[string][]*api.Resource) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg = cfg
	maps.DeleteFunc(r.served, func(view string, _ map[api.ResourceKey]*api.Resource) bool { return views[view] == nil })
	for view, resources := range views {
		byKey := r.served[view]
		if byKey == nil {
			byKey = make(map[api.ResourceKey]*api.Resource, len(resources))
			r.served[view] = byKey
		}
		for _, d := range api.Differences(r.views[view], resources) {
			if d.After == nil {
				delete(byKey, d.Key())
			} else {
				byKey[d.Key()] = d.After
			}
		}
	}
	r.views = views
	r.forget()
	r.publish() // also where nothing was forgotten: lines move
}

// changed is told of endpoints, and forgets the rejections of older ones.
func (r *rejections) changed(resources []*api.Resource) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range resources {
		for _, byKey := range r.served {
			if _, there := byKey[resource.ResourceKey]; there {
				byKey[resource.ResourceKey] = resource
			}
		}
	}
	if r.forget() {
		r.publish()
	}
}

// forget drops what is no longer served, and says whether there was any. r.mu is held.
func (r *rejections) forget() bool {
	before := len(r.known)
	for key, known := range r.known {
		if !r.served[key.view][key.key].Shares(known.resource) {
			delete(r.known, key)
		}
	}
	return len(r.known) != before
}

// publish puts all on the board. r.mu is held.
func (r *rejections) publish() {
	var problems []api.Problem // in no order: the board sorts
	for _, known := range r.known {
		problems = append(problems, r.cfg.Locate(known.problem))
	}
	r.board.set(partRejections, problems)
}
