package xds

import (
	"slices"
	"time"
)

// mayOwe is false where there is surely nothing to send before something else happens: all that is not current is endpoints on their way.
func (s *stream) mayOwe() bool {
	for _, st := range s.types {
		if st.owesAnswer || !st.synced || len(st.retry) > 0 || len(st.untold) > 0 || st.url != endpointType && st.entries.len() > 0 {
			return true
		}
		for _, e := range st.entries.all() {
			if e.flight == nil || e.again {
				return true
			}
		}
	}
	return false
}

// flush sends what the stream is owed, and returns when to look again even if nothing happens.
func (s *stream) flush() (wakeAt time.Time, err error) {
	responses, wakeAt, err := s.owed(time.Now())
	s.tell(s.takeRejections())
	if err != nil {
		return wakeAt, err
	}
	told := false
	for _, r := range responses {
		if err := s.variant.send(r); err != nil {
			return wakeAt, err
		}
		told, r.absent = told || len(r.absent) > 0, nil
		s.server.metrics.sent(r.state.url, r.size)
	}
	if told {
		s.sentAbsent()
	}
	s.responses = emptied(responses)
	return wakeAt, nil
}

// owed works out the next responses. They count as sent from here on: only this goroutine sends.
func (s *stream) owed(now time.Time) ([]*response, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.rLock()
	defer s.view.mu.RUnlock()
	if !s.view.known {
		return nil, time.Time{}, nil
	}
	if err := s.absorb(); err != nil {
		return nil, time.Time{}, err
	}
	p := &pass{stream: s, view: s.view, now: now, responses: s.responses}
	s.responses = nil
	for _, st := range s.types {
		p.sends(st)
		s.due = emptied(s.due)
	}
	for _, st := range slices.Backward(s.types) {
		p.removals(st)
	}
	s.awaited.Store(s.onlyOnItsWay())
	_ = s.pay() // mostly it is less than before; more is refused when the client asks for something
	return p.responses, p.wakeAt, nil
}

// onlyOnItsWay is the ClusterLoadAssignment that is being sent or not acknowledged, where all others are up to date, or nil.
func (s *stream) onlyOnItsWay() *record {
	st := s.find(endpointType)
	if st == nil || !st.synced || st.entries.len() != 1 {
		return nil
	}
	for _, e := range st.entries.all() {
		if e.flight != nil && e.sent != nil && !e.again {
			return e.sent
		}
	}
	return nil
}

// fewKept is how many elements a slice may have room for that is kept while it is empty.
const fewKept = 16

// emptied is the slice without its elements, for use again where it is small.
func emptied[E any](all []E) []E {
	if cap(all) > fewKept {
		return nil
	}
	clear(all)
	return all[:0]
}
