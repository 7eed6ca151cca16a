package kube

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/watcher"
	join "github.com/podway/podway/watcher/slices"
)

// put takes up one event of a watch, and hands on what it changes: a goroutine more on the way of each event would cost more than it saves.
func (s *Session) put(from *source, i *item, gone bool, read time.Time) {
	s.mu.Lock()
	runs, published := s.runs(from), s.published
	if runs {
		s.lastEvent = read
		from.follow(read)
		s.apply(from, i, gone, read, true)
	}
	waits := !s.catchesUp(read).IsZero()
	s.mu.Unlock()
	if !runs || !published || waits {
		return
	}
	if again := s.hand(read); !again.IsZero() {
		s.poke() // it has the timer
	}
}

// runs is false for a source that was stopped: what it still says counts no more.
func (s *Session) runs(from *source) bool {
	return from.resource != podMetadata || s.labels[from.namespace] == from
}

// apply takes up an object, or that it has gone.
func (s *Session) apply(from *source, i *item, gone bool, read time.Time, event bool) {
	name := i.name
	switch from.resource {
	case services:
		service := i.service
		if gone {
			service = nil
		}
		if event {
			s.stamp(name, watcher.Stamp{Read: read})
		}
		s.index.PutService(name, service, read)
	case endpointSlices:
		slice := i.slice
		if event {
			s.stampSlice(name, slice, read)
		}
		if gone {
			slice = nil
		}
		s.index.PutSlice(name, slice, read)
	case podMetadata:
		labels := i.labels
		if gone {
			labels = join.NoLabels
		}
		s.index.PutLabels(name, labels)
	}
}

// stampSlice notes when a slice's change was read, for its Service. The trigger time counts where it is a new one: an update of a slice for
// another reason leaves it as it was.
func (s *Session) stampSlice(name types.NamespacedName, slice *join.Slice, read time.Time) {
	service, ok := slice.Of()
	if !ok {
		return
	}
	stamp := watcher.Stamp{Read: read}
	if before := s.index.Slice(name); before == nil || !before.Changed.Equal(slice.Changed) {
		stamp.Triggered = slice.Changed
	}
	s.stamp(service, stamp)
}

// replace takes up a complete list: what is not in it has gone.
func (s *Session) replace(from *source, items []*item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.runs(from) {
		return
	}
	now := time.Now()
	present := make(map[types.NamespacedName]struct{}, len(items))
	for _, i := range items {
		present[i.name] = struct{}{}
		s.apply(from, i, false, now, false)
	}
	for _, name := range s.names(from) {
		if _, there := present[name]; !there {
			s.apply(from, &item{name: name}, true, now, false)
		}
	}
	if from.resource == podMetadata {
		s.index.LabelsKnown(from.namespace)
	}
	if from.synced {
		s.relists++
	}
	from.synced, from.listing = true, false
	from.caughtUp(now)
	from.listed()
	from.pace.listed(now, max(listAgainMost, s.failing(now)*listEach))
	s.lastEvent = now
	s.poke()
}

// names are those of all objects that a source has told of.
func (s *Session) names(from *source) []types.NamespacedName {
	in := func(namespace string) bool { return from.namespace == "" || from.namespace == namespace }
	switch from.resource {
	case services:
		return s.index.ServiceNames(in)
	case endpointSlices:
		return s.index.SliceNames(in)
	}
	return s.index.PodNames(from.namespace)
}

func (s *Session) heard(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastEvent = now
}

// What happens to a source.

// began notes the begin of a request; a list is one for all objects.
func (s *source) began(list bool) {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	s.listing = list
}

// listed notes that the server has given a complete list. That says nothing of a watch that it does not give. session.mu is held.
func (s *source) listed() {
	var request *requestError
	if !errors.As(s.failure, &request) || request.verb != watchVerb {
		s.failure, s.failures = nil, 0
	}
}

// opened notes that the server streams: where it resumes, from where a watch before ended.
func (s *source) opened(resumes bool) {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	if resumes && s.synced {
		s.resumes(time.Now())
	}
	s.streaming, s.since = true, time.Now()
	if s.failure != nil {
		s.failure, s.failures = nil, 0
	}
	s.session.poke()
}

// closed notes that a watch has ended.
func (s *source) closed() {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	if now := time.Now(); s.streaming {
		s.pace.lasted(now.Sub(s.since))
		s.streaming, s.since = false, now
		s.heard = time.Unix(0, s.session.client.heard.Load())
	}
	s.session.poke()
}

// answered notes that the server does what it did not do before: what is asked for next need not wait. What it was stays told until a watch is open. That a
// watch may not begin with a list is no such thing.
func (s *source) answered(verb string) {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	var request *requestError
	if errors.As(s.failure, &request) && request.verb == verb && (verb != watchVerb || !s.listing) {
		s.failures = 0
	}
}

// failed notes why a request failed.
func (s *source) failed(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	if isRefusal(err) != isRefusal(s.failure) {
		s.failures = 0
	}
	// Who gives no watch is asked for a list, in turns, and gives none either: that is one failure, and has one name.
	if !isAlike(err, s.failure) {
		s.failure = err
	}
	s.failures++
	s.session.poke()
}
