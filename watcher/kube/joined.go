package kube

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher"
	join "github.com/podway/podway/watcher/slices"
)

// take joins what changed. at is when to join again in any case, zero for never.
func (s *Session) take(now time.Time) (*Change, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.published {
		return nil, time.Time{}
	}
	if until := s.catchesUp(now); !until.IsZero() {
		return nil, until
	}
	found := s.index.Join(now, s.joined)
	change := &Change{Sets: found.Sets, Gone: found.Gone}
	fresh := s.facts == nil || found.Services
	if s.facts == nil {
		s.leaveOut(change)
	}
	for _, u := range s.units {
		if u.synced() && !u.counted {
			s.count(u, change)
			fresh = true
		}
	}
	if fresh {
		change.Facts = s.newFacts()
		s.facts = change.Facts
	}
	if change.Facts == nil && len(change.Sets)+len(change.Gone) == 0 {
		s.stamps = map[pods.ServiceKey]watcher.Stamp{}
		return nil, found.Again
	}
	change.Stamps = make(map[pods.ServiceKey]watcher.Stamp, len(s.stamps))
	for key := range change.Sets {
		if stamp, ok := s.stamps[key]; ok {
			change.Stamps[key] = stamp
		}
	}
	s.stamps = map[pods.ServiceKey]watcher.Stamp{}
	return change, found.Again
}

// joined says whether a namespace is known whole.
func (s *Session) joined(namespace string) bool {
	u := s.unit(namespace)
	return u != nil && u.synced()
}

// count takes up a unit that is known whole for the first time: what was published before and is as it was is no change, and what was
// and is no more has gone.
func (s *Session) count(u *unit, change *Change) {
	u.counted = true
	for key, service := range s.known.Services {
		if u.covers(key.Namespace) {
			s.index.KeepService(service)
		}
	}
	now := s.index.Sets()
	for key, before := range s.known.Sets {
		if !u.covers(key.Namespace) {
			continue
		}
		set, there := now[key]
		switch {
		case !there:
			change.Gone = append(change.Gone, key)
		case join.EqualSets(set, before):
			s.index.Keep(before)
			delete(change.Sets, key)
		}
	}
	s.forgetKnown(func(key pods.ServiceKey) bool { return u.covers(key.Namespace) })
}

// newFacts are the Services of all units that are known whole, and of the others what was known before.
func (s *Session) newFacts() *watcher.Facts {
	facts := &watcher.Facts{Services: s.index.Services(s.joined)}
	scope := &snapshot.Scope{}
	for _, u := range s.units {
		if u.namespace == "" {
			if u.synced() {
				facts.Scope = snapshot.Everything
			} else {
				facts.Scope = s.known.Scope
				facts.Services = slices.AppendSeq(facts.Services, maps.Values(s.known.Services))
			}
			return facts
		}
		if u.synced() || s.known.Scope.Covers(u.namespace) {
			scope.Namespaces = append(scope.Namespaces, u.namespace)
		}
	}
	facts.Services = slices.AppendSeq(facts.Services, maps.Values(s.known.Services))
	facts.Scope = scope
	return facts
}

// Sizes are how many Services are known, and Pods behind them.
func (s *Session) Sizes() (services, podCount int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.Sizes()
}

// Snapshot is all that is published of the cluster.
func (s *Session) Snapshot() Known {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := Known{Sets: s.index.Sets()}
	maps.Copy(known.Sets, s.known.Sets)
	if s.facts != nil {
		known.Scope, known.Services = s.facts.Scope, make(map[pods.ServiceKey]*pods.Service, len(s.facts.Services))
		for _, service := range s.facts.Services {
			known.Services[service.Key] = service
		}
	}
	return known
}

// stamp notes when a Service's change was first seen. s.mu is held.
func (s *Session) stamp(name types.NamespacedName, stamp watcher.Stamp) {
	key := pods.ServiceKey{Cluster: s.config.Cluster, Namespace: name.Namespace, Name: name.Name}
	s.stamps[key] = s.stamps[key].Older(stamp)
}
