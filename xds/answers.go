package xds

import (
	"cmp"
	"slices"
	"strings"

	"github.com/podway/podway/api"
)

// Answers is what the connected Envoys say of the present content of a resource.
type Answers struct {
	// Accepted is how many of the Envoys that subscribe to it have it, Rejected how many refused it, and Waiting how many have
	// yet to be sent it or to answer.
	Accepted, Rejected, Waiting int
	// Had is what the first of the rejecting Envoys, by node id, accepted before: nil where it is nothing or not known.
	Had *api.Resource
	// HadNothing is true where that Envoy has no version of the name.
	HadNothing bool
}

// Answers asks all streams. Its work is in proportion to them: it is for when something was rejected.
func (s *Server) Answers(key api.ResourceKey) Answers {
	s.mu.Lock()
	streams := make([]*stream, 0, len(s.streams))
	for st := range s.streams {
		streams = append(streams, st)
	}
	s.mu.Unlock()
	slices.SortFunc(streams, func(a, b *stream) int {
		return cmp.Or(strings.Compare(a.node.id, b.node.id), a.since.Compare(b.since))
	})
	var all Answers
	for _, st := range streams {
		st.answer(key, &all)
	}
	return all
}

// answer adds what one Envoy says.
func (s *stream) answer(key api.ResourceKey, all *Answers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.mu.RLock()
	defer s.view.mu.RUnlock()
	r := s.view.record(key.Type, key.Name)
	st := s.find(key.Type)
	if !s.view.known || r == nil || st == nil || !st.sub.covers(key.Name) {
		return
	}
	// What has been published and not been looked at yet counts. An error ends the stream when it looks itself.
	_ = s.absorb()
	e := st.entries[key.Name]
	switch {
	case !st.synced:
		all.Waiting++
	case e == nil, e.flight == nil && e.maybe == nil && e.has.version == r.version:
		all.Accepted++
	case e.refused != r.version:
		all.Waiting++
	default:
		if all.Rejected == 0 {
			all.HadNothing = !e.present()
			if e.has.record != nil {
				all.Had = e.has.record.source
			}
		}
		all.Rejected++
	}
}
