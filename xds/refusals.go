package xds

import (
	"slices"
	"sync"
	"time"

	"github.com/podway/podway/api"
)

const (
	// maxRefusals is how many rejections of a Gateway's Envoys are remembered beyond the stream they came on.
	maxRefusals = 10_000
	// maxRefused is how many contents of one name are remembered that an Envoy rejected: more than stand in for one another.
	maxRefused = 8
	// refusedBefore stands for a message that is not remembered any more.
	refusedBefore = "it was rejected before; see the log of podway or of Envoy"
)

// refuses is true for a version that the client rejected and has not been given another one for that it took.
func (x *extra) refuses(version string) bool { return slices.Contains(x.refused, version) }

func (x *extra) refuse(version string) {
	if x.refuses(version) {
		return
	}
	if len(x.refused) == maxRefused {
		x.refused = slices.Delete(x.refused, 0, 1)
	}
	x.refused = append(x.refused, version)
}

func (x *extra) pardon(version string) {
	x.refused = slices.DeleteFunc(x.refused, func(other string) bool { return other == version })
}

// lookForRefused tells of a content that came back and that the client rejected before: it is not sent again, so that the client says nothing of
// it. r is what the view has, or nil. Stream and view are locked.
func (s *stream) lookForRefused(e *entry, r *record) {
	if r == nil || !e.refuses(r.version) {
		return
	}
	known, now := s.server.refusals.of(s.node, r.key, r.version), s.comingOf(r)
	again := known.version != ""
	switch {
	case !again:
		known.message = refusedBefore
	case known.came == now:
		return // it has been told
	default:
		s.server.refusals.told(s.node, r.key, r.version, now)
	}
	s.tellRejected(r, known.message, again)
}

// comingOf is how a content came to be what the stream's view has. The view is locked.
func (s *stream) comingOf(r *record) coming { return coming{s.view.name, s.view.changed(r.key)} }

// refusals remember what was rejected when an Envoy connects anew. An Envoy that says that it has nothing of a type
// has started anew, and is not remembered.
type refusals struct {
	mu sync.Mutex
	// known are the oldest first.
	known map[refusal][]refused
	// order are those of a Gateway, the oldest first: a name is in it once for each of its contents.
	order map[string][]refusal
}

// refused is a content that was rejected.
type refused struct {
	version, message string
	at               time.Time
	// came is how it came, when it was told of last.
	came coming
}

// coming is a view and, of its changes, that by which a name came to be as it is.
type coming struct {
	view   string
	change uint64
}

type refusal struct {
	node nodeInfo
	key  api.ResourceKey
}

// of is what the node said of a content when it rejected it; the zero value where it is not known to have done so.
func (r *refusals) of(node nodeInfo, key api.ResourceKey, version string) refused {
	r.mu.Lock()
	defer r.mu.Unlock()
	if what := r.find(refusal{node, key}, version); what != nil {
		return *what
	}
	return refused{}
}

// versions are those of a name that the node rejected, the oldest first.
func (r *refusals) versions(node nodeInfo, key api.ResourceKey) (versions []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, what := range r.known[refusal{node, key}] {
		versions = append(versions, what.version)
	}
	return versions
}

// find returns nil for what is not known. r.mu is held.
func (r *refusals) find(k refusal, version string) *refused {
	for i := range r.known[k] {
		if what := &r.known[k][i]; what.version == version {
			return what
		}
	}
	return nil
}

// told notes how a content came that was told again.
func (r *refusals) told(node nodeInfo, key api.ResourceKey, version string, came coming) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if what := r.find(refusal{node, key}, version); what != nil {
		what.came = came
	}
}

// remember notes a rejection. Of what was known already, the latest counts.
func (r *refusals) remember(node nodeInfo, key api.ResourceKey, what refused) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := refusal{node, key}
	if known := r.find(k, what.version); known != nil {
		*known = what
		return
	}
	if r.known == nil {
		r.known, r.order = map[refusal][]refused{}, map[string][]refusal{}
	}
	if len(r.known[k]) == maxRefused {
		r.forgetOldest(k)
	}
	r.known[k] = append(r.known[k], what)
	r.order[node.gateway] = append(r.order[node.gateway], k)
	if order := r.order[node.gateway]; len(order) > maxRefusals {
		r.forgetOldest(order[0])
	}
}

// forgetOldest forgets the first rejection of a name. r.mu is held.
func (r *refusals) forgetOldest(k refusal) {
	if r.known[k] = slices.Delete(r.known[k], 0, 1); len(r.known[k]) == 0 {
		delete(r.known, k)
	}
	order := r.order[k.node.gateway]
	at := slices.Index(order, k)
	r.order[k.node.gateway] = slices.Delete(order, at, at+1)
}

// forget forgets all rejections of a name.
func (r *refusals) forget(node nodeInfo, key api.ResourceKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := refusal{node, key}
	if len(r.known[k]) == 0 {
		return
	}
	delete(r.known, k)
	order := slices.DeleteFunc(r.order[node.gateway], func(other refusal) bool { return other == k })
	if r.order[node.gateway] = order; len(order) == 0 {
		delete(r.order, node.gateway)
	}
}
