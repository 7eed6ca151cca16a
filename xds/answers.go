package xds

import (
	"slices"

	"github.com/podway/podway/api"
)

// Answers is what the connected Envoys of a Gateway say of the present content of a resource.
type Answers struct {
	// Accepted is how many of the Envoys that subscribe to it have it, and Waiting how many have yet to be sent it or to answer.
	Accepted, Waiting int
	// Rejected are the nodes that refused it, sorted.
	Rejected []string
	// Version is that of the content, and Message what the first of them said of it, as far as that is remembered.
	Version, Message string
	// Had is what the first of them of which it is known accepted before; nil where it is known of none.
	Had *api.Resource
	// HadNothing is true where none of them has any version of the name.
	HadNothing bool
}

// Answers asks the Envoys of a Gateway, NAMESPACE/NAME. Its work is in proportion to their number: it is for when something was rejected.
func (s *Server) Answers(gateway string, key api.ResourceKey) Answers {
	var all Answers
	for _, st := range s.streamsOf(gateway) {
		st.answer(key, &all)
	}
	return all
}

// streamsOf are the streams of a Gateway by node, the oldest first.
func (s *Server) streamsOf(gateway string) []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.views[gateway]
	if v == nil {
		return nil
	}
	streams := make([]*stream, 0, v.listening.count())
	v.listening.each(func(st *stream) { streams = append(streams, st) })
	slices.SortFunc(streams, compareStreams)
	return streams
}

// answer adds what one Envoy says.
func (s *stream) answer(key api.ResourceKey, all *Answers) {
	s.look(func(p *pass) {
		r, st := p.view.record(key.Type, key.Name), s.find(key.Type)
		if !p.view.known || r == nil || st == nil || !st.sub.covers(key.Name) {
			return
		}
		e := st.entries[key.Name]
		switch {
		case !st.synced:
			all.Waiting++
		case e == nil, e.flight == nil && e.maybe == nil && e.has.version == r.version:
			all.Accepted++
		case e.refused != r.version:
			all.Waiting++
		default:
			s.rejects(r, e, all)
		}
	})
}

// rejects adds that the Envoy refused a content. Stream and view are locked.
func (s *stream) rejects(r *record, e *entry, all *Answers) {
	all.HadNothing = !e.present() && (all.HadNothing || len(all.Rejected) == 0)
	all.Version = r.version
	if known := s.server.refusals.of(s.node, r.key); all.Message == "" && known.version == r.version {
		all.Message = known.message
	}
	if all.Had == nil && e.has.record != nil {
		all.Had = e.has.record.source
	}
	if !slices.Contains(all.Rejected[max(0, len(all.Rejected)-1):], s.node.id) { // as two streams of one Envoy are, for a moment
		all.Rejected = append(all.Rejected, s.node.id)
	}
}
