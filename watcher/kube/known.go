package kube

import (
	"maps"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// Known is what was known of a cluster before a Session knows better. It is immutable.
type Known struct {
	Scope    *snapshot.Scope
	Services map[pods.ServiceKey]*pods.Service
	Sets     map[pods.ServiceKey]*pods.Set
}

func (u *unit) covers(namespace string) bool { return u.namespace == "" || u.namespace == namespace }

// leaveOut forgets what was known of namespaces that are followed no more: nobody may use it, and nobody would tell when it goes.
func (s *Session) leaveOut(change *Change) {
	outside := func(key pods.ServiceKey) bool { return s.unit(key.Namespace) == nil }
	for key := range s.known.Sets {
		if outside(key) {
			change.Gone = append(change.Gone, key)
		}
	}
	s.forgetKnown(outside)
}

// forgetKnown forgets some of what was known before. The maps are others' too.
func (s *Session) forgetKnown(which func(pods.ServiceKey) bool) {
	s.known.Services, s.known.Sets = maps.Clone(s.known.Services), maps.Clone(s.known.Sets)
	maps.DeleteFunc(s.known.Services, func(key pods.ServiceKey, _ *pods.Service) bool { return which(key) })
	maps.DeleteFunc(s.known.Sets, func(key pods.ServiceKey, _ *pods.Set) bool { return which(key) })
}
