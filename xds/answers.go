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
	// Had is what most of them of which it is known accepted before, and of several such contents what the first of them did: one that has taken
	// nothing for long is no measure for the others. nil where it is known of none.
	Had *api.Resource
	// HadNothing is true where none of them has any version of the name.
	HadNothing bool
}

// Answers asks the Envoys of a Gateway, NAMESPACE/NAME. Its work is in proportion to their number: it is for when something was rejected.
func (s *Server) Answers(gateway string, key api.ResourceKey) Answers {
	var all tally
	for _, st := range s.streamsOf(gateway) {
		st.answer(key, &all)
	}
	all.Had = all.most()
	return all.Answers
}

// tally is Answers that are being collected.
type tally struct {
	Answers
	// had is what the Envoys that reject it accepted before, as far as it is known, in their order.
	had []*record
}

// most is what most of them had.
func (t *tally) most() *api.Resource {
	counts := map[string]int{}
	for _, r := range t.had {
		counts[r.version]++
	}
	var most *record
	for _, r := range t.had {
		if most == nil || counts[r.version] > counts[most.version] {
			most = r
		}
	}
	if most == nil {
		return nil
	}
	return most.source
}

// streamsOf are the streams of a Gateway by node, the oldest first.
func (s *Server) streamsOf(gateway string) []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.views[gateway]
	if v == nil {
		return nil
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	streams := make([]*stream, 0, len(v.streams))
	for st := range v.streams {
		streams = append(streams, st)
	}
	slices.SortFunc(streams, compareStreams)
	return streams
}

// answer adds what one Envoy says.
func (s *stream) answer(key api.ResourceKey, all *tally) {
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
func (s *stream) rejects(r *record, e *entry, all *tally) {
	all.HadNothing = !e.present() && (all.HadNothing || len(all.Rejected) == 0)
	all.Version = r.version
	if known := s.server.refusals.of(s.node, r.key); all.Message == "" && known.version == r.version {
		all.Message = known.message
	}
	if e.has.record != nil {
		all.had = append(all.had, e.has.record)
	}
	if !slices.Contains(all.Rejected[max(0, len(all.Rejected)-1):], s.node.id) { // as two streams of one Envoy are, for a moment
		all.Rejected = append(all.Rejected, s.node.id)
	}
}
