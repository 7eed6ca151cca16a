package holdback

import (
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// CodeRejectedByEnvoy is a resource that an Envoy refused.
const CodeRejectedByEnvoy = "RejectedByEnvoy"

// maxRejections bounds what a Gateway's fleet of confused Envoys can make podway remember.
const maxRejections = 1000

// Rejections remembers what Envoys refused, until that is no longer what they are sent. Any goroutine may use it.
type Rejections struct {
	// Tell hands each on to who looks for what is to blame, as Holdbacks do. It may be nil, and is set before there is any.
	Tell func(api.Rejection)

	translator Translator
	onProblems func([]api.Problem)

	mu     sync.Mutex
	cfg    *snapshot.Config                             // by mu; tells where objects are
	served map[string]map[api.ResourceKey]*api.Resource // by mu; by view
	known  map[rejectionKey]rejected                    // by mu
	views  map[string][]*api.Resource                   // by mu; as Replaced was told last
}

type rejectionKey struct {
	view string
	key  api.ResourceKey
}

type rejected struct {
	problem  api.Problem
	resource *api.Resource
	// last is one of them, by nodes.
	last  api.Rejection
	nodes rejectingNodes
}

// NewRejections returns Rejections that know of none. onProblems is told of all that were made of them, in no order, whenever those change.
func NewRejections(translator Translator, onProblems func([]api.Problem)) *Rejections {
	return &Rejections{translator: translator, onProblems: onProblems, served: map[string]map[api.ResourceKey]*api.Resource{}, known: map[rejectionKey]rejected{}}
}

// Add remembers a rejection.
func (r *Rejections) Add(rejection api.Rejection) {
	if rejection.Outdated {
		return // it is told again should the content come back
	}
	if r.Tell != nil {
		defer r.Tell(rejection)
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
	r.known[key] = rejected{problem: r.problem(rejection, resource, nodes), resource: resource, last: rejection, nodes: nodes}
	r.publish()
}

// problem tells of a rejected resource, of the nodes that rejected it. r.mu is held.
func (r *Rejections) problem(rejection api.Rejection, resource *api.Resource, nodes rejectingNodes) api.Problem {
	// The generations are those that were rejected, which need not be those that are served by now.
	blamed, field := r.translator.Blame(&api.Resource{ResourceKey: rejection.Key, Message: resource.Message, Wire: resource.Wire, Owners: rejection.Owners}, rejection.Message, r.cfg)
	message := strings.TrimRight(rejection.Message, ".\n ")
	problem := api.Problem{
		Code: CodeRejectedByEnvoy, Severity: api.Error, Object: blamed.ObjectRef, Generation: blamed.Generation, Field: field,
		Message: fmt.Sprintf("%s %s %s: %s", nodes.of(api.GatewayOf(rejection.View)), verb(len(nodes)), rejection.Key.Name, message),
		Remedy: "change what the message names or, if only these of the Gateway's Envoys reject it, see what is different about them; " +
			"until then they keep the last version that they accepted",
	}
	if owners := rejection.Owners; len(owners) > 1 && blamed == owners[0] {
		problem.Message += "; it is also made of " + ownerList(owners[1:])
	}
	return problem
}

// Left forgets what nodes rejected in a view that is theirs no more.
func (r *Rejections) Left(view string, nodes map[string]bool) {
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
			known.nodes, known.problem = rest, r.problem(known.last, known.resource, rest)
			r.known[key] = known
		}
		forgotten = true
	}
	if forgotten {
		r.publish()
	}
}

// count is how many are known of a view. r.mu is held.
func (r *Rejections) count(view string) int {
	count := 0
	for key := range r.known {
		if key.view == view {
			count++
		}
	}
	return count
}

// Origin is the object, and where it can be told the field, that a rejection is about; false where nothing is known of it.
func (r *Rejections) Origin(view string, key api.ResourceKey) (object api.ObjectRef, field string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rejected, known := r.known[rejectionKey{view: view, key: key}]
	return rejected.problem.Object, rejected.problem.Field, known
}

// Replaced is told of all views, and forgets what is not in them any more.
func (r *Rejections) Replaced(cfg *snapshot.Config, views map[string][]*api.Resource) {
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

// Changed is told of endpoints, and forgets the rejections of older ones.
func (r *Rejections) Changed(resources []*api.Resource) {
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
func (r *Rejections) forget() bool {
	before := len(r.known)
	for key, known := range r.known {
		if !r.served[key.view][key.key].Shares(known.resource) {
			delete(r.known, key)
		}
	}
	return len(r.known) != before
}

// publish tells of all. r.mu is held.
func (r *Rejections) publish() {
	var problems []api.Problem
	for _, known := range r.known {
		problems = append(problems, r.cfg.Locate(known.problem))
	}
	r.onProblems(problems)
}
