package xds

import (
	"slices"
	"time"
)

// answered takes in the ACK or NACK of a response. One that is not, or no longer, known says nothing. The view is locked.
func (s *stream) answered(st *typeState, r request) {
	i := slices.IndexFunc(st.flight, func(sent *response) bool { return sent.nonce == r.nonce })
	if i < 0 || r.nonce == "" {
		return
	}
	if r.rejected {
		s.rejected(st, i, r.message)
		return
	}
	st.lastACK = time.Now()
	if s.variant.complete(st.url) {
		// Everything in an earlier answer is in this one too.
		for range i {
			s.accepted(st, st.settle(0))
		}
		i = 0
	}
	s.accepted(st, st.settle(i))
}

// settle ends the flight of a response.
func (st *typeState) settle(i int) *response {
	r := st.flight[i]
	st.flight = slices.Delete(st.flight, i, i+1)
	if len(st.flight) == 0 && cap(st.flight) > fewKept {
		st.flight = nil
	}
	st.flightBytes -= r.size
	if r.own = r.onlyOwn[:]; len(r.items) != 1 {
		r.own = make([]bool, len(r.items))
	}
	for n, i := range r.items {
		if e := st.entries.get(i.name); e != nil && e.flight == r {
			e.flight, e.sent = nil, nil
			r.own[n] = true
		}
	}
	return r
}

// doubt notes what the client may or may not have taken.
func (st *typeState) doubt(number uint64, items []item) {
	for _, i := range items {
		if e := st.entries.get(i.name); e != nil && i.record != nil && number > e.removed {
			st.edit(e).maybe = i.record
		}
	}
}

// accepted notes what the client has now.
func (s *stream) accepted(st *typeState, r *response) {
	for _, record := range r.everything {
		// A SotW Envoy that is stuck at a cluster which it rejected takes it for one that it knows, the next time.
		if e := st.entries.get(record.key.Name); e != nil && r.number > e.removed && !(r.tainted && e.refuses(record.version)) {
			st.took(e, formerly(record))
		}
	}
	records := s.view.records(st.url)
	for n, i := range r.items {
		e := st.entries.get(i.name)
		if e == nil || r.number < e.removed || !r.own[n] && e.flight == nil && len(e.refused) == 0 {
			continue // what was sent after it has been accepted already
		}
		st.took(e, formerly(i.record))
		if i.record == nil {
			continue
		}
		now := records[i.name]
		if len(e.refused) > 0 && (now == nil || !e.refuses(now.version) || e.refuses(i.record.version)) {
			s.server.refusals.forget(s.node, i.record.key)
			st.edit(e).refused = nil
		}
		if r.own[n] && e.sentSince != nil {
			s.server.metrics.acked(st.url, e.sentSince)
		}
		if e.isCurrent(now) {
			st.drop(i.name)
		}
	}
	s.cured(st, r)
}
