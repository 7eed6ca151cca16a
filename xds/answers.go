package xds

import (
	"slices"
	"time"

	"github.com/podway/podway/api"
)

// Answers asks the Envoys that have a view, of a Gateway, NAMESPACE/NAME, or of a minority (SetMinorities). Its work is in proportion to their number: it
// is for when something was rejected.
func (s *Server) Answers(view string, key api.ResourceKey) api.Answers {
	var all tally
	for _, st := range s.streamsOf(view) {
		st.answer(key, &all)
	}
	return all.finish()
}

// Asking tells how many Envoys of a view subscribe to a name, also where there is nothing of that name, and whether an Envoy is connected for
// which is returns true, whatever it subscribes to: it is given when one connected that had nothing, as one that has just been started, and the zero time of
// one that came with what it had. is must not block.
func (s *Server) Asking(view string, key api.ResourceKey, is func(member api.Member, anew time.Time) bool) (envoys int, connected bool) {
	for _, st := range s.streamsOf(view) {
		if st.asksFor(key) {
			envoys++
		}
		connected = connected || is(api.Member{Node: st.node.id, Build: st.node.build}, st.anew())
	}
	return envoys, connected
}

// anew is when an Envoy connected that had nothing.
func (s *stream) anew() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.returning {
		return time.Time{}
	}
	return s.since
}

func (s *stream) asksFor(key api.ResourceKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.find(key.Type)
	return st != nil && st.sub.covers(key.Name)
}

// tally is Answers that are being collected.
type tally struct {
	api.Answers
	// messages are what the Envoys that reject it say, and had what they accepted before, as far as either is known, in their order.
	messages []string
	had      []*record
}

// finish chooses what most of them said and had, and of several such the first.
func (t *tally) finish() api.Answers {
	if len(t.messages) > 0 {
		t.Message = mostOf(t.messages, func(message string) string { return message })
	}
	if len(t.had) > 0 {
		// What cannot be decoded was never made here: it is as good as not known.
		t.Had, _ = mostOf(t.had, func(r *record) string { return r.version }).source.Decoded()
	}
	return t.Answers
}

func mostOf[T any](list []T, key func(T) string) (most T) {
	counts, best := map[string]int{}, 0
	for _, one := range list {
		counts[key(one)]++
	}
	for _, one := range list {
		if count := counts[key(one)]; count > best {
			most, best = one, count
		}
	}
	return most
}

// streamsOf are the streams of a view by node, the oldest first.
func (s *Server) streamsOf(view string) []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.views[view]
	if v == nil {
		return nil
	}
	streams := make([]*stream, 0, v.listening.count())
	v.listening.each(func(st *stream) { streams = append(streams, st) })
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
		e := st.entries.get(key.Name)
		switch {
		case !st.synced:
			all.Waiting++
		case e == nil, e.flight == nil && e.maybe == nil && e.has.version == r.version:
			all.Accepted++
		case !e.refuses(r.version):
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
	if known := s.server.refusals.of(s.node, r.key, r.version); known.version != "" {
		all.messages = append(all.messages, known.message)
	}
	if e.has.record != nil {
		all.had = append(all.had, e.has.record)
	}
	if !slices.Contains(all.Rejected[max(0, len(all.Rejected)-1):], s.node.id) { // as two streams of one Envoy are, for a moment
		all.Rejected, all.Builds = append(all.Rejected, s.node.id), append(all.Builds, s.node.build)
	}
}
