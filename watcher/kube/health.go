package kube

import (
	"fmt"
	"time"

	"github.com/podway/podway/api/snapshot"
)

// Phase says how far a cluster is followed.
type Phase string

// The phases.
const (
	// Connecting: not all of it has been seen whole yet.
	Connecting Phase = "Connecting"
	// Live: every watch is open.
	Live Phase = "Live"
	// Stale: it has been seen whole, and a watch is away.
	Stale Phase = "Stale"
	// Refused: the server does not accept the credential, does not permit what is needed, or is that of another cluster.
	Refused Phase = "Refused"
)

// grace is how long a watch may take to be opened again before the cluster is Stale: servers end watches every few minutes.
const grace = 1500 * time.Millisecond

// Health is how a Session is.
type Health struct {
	Phase Phase
	// Reason says why it is not Live.
	Reason string
	// Waiting is true where nothing is wrong but that not all has been seen yet.
	Waiting bool
	// Synced is true once all of the scope has been seen whole, and all labels that are asked for.
	Synced bool
	// Watched is true while, in addition, every watch is open: a cluster is Live for a moment before it is known whether there will be any.
	Watched bool
	// Scope is the part that has been seen whole.
	Scope *snapshot.Scope
	// UID of the cluster's kube-system namespace; "" where it is not known.
	UID string
	// LastEvent is when anything was last heard of the cluster's objects; zero for never.
	LastEvent time.Time
	// Relists counts complete lists after the first.
	Relists int
}

// same says whether two Healths tell a person the same.
func (h Health) same(other Health) bool {
	return h.Phase == other.Phase && h.Reason == other.Reason && h.Synced == other.Synced && h.Watched == other.Watched && h.UID == other.UID && h.Scope.Equal(other.Scope)
}

// Health says how the Session is now.
func (s *Session) Health() Health {
	uid, failure := s.gate.state()
	silence := s.client.silence(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	h := Health{UID: uid, LastEvent: s.lastEvent, Relists: s.relists}
	some, whole := false, true
	for _, u := range s.units {
		some = some || u.synced()
		whole = whole && u.synced()
	}
	h.Synced = whole
	h.Watched = true
	for _, source := range s.all() {
		h.Synced = h.Synced && source.synced
		h.Watched = h.Watched && source.synced && source.streaming && !source.listing && source.failure == nil
	}
	h.Scope = s.syncedScope()
	reason, refused := s.trouble(failure, silence)
	switch {
	case refused:
		h.Phase, h.Reason = Refused, reason
	case reason == "" && whole:
		h.Phase = Live
	case some:
		h.Phase, h.Reason = Stale, reason
	default:
		h.Phase, h.Reason = Connecting, reason
	}
	if h.Phase != Live && h.Reason == "" {
		h.Waiting, h.Reason = true, "waiting for the first complete list"
	}
	return h
}

// syncedScope is the part of the cluster that has been seen whole. s.mu is held.
func (s *Session) syncedScope() *snapshot.Scope {
	scope := &snapshot.Scope{}
	for _, u := range s.units {
		switch {
		case !u.synced():
		case u.namespace == "":
			return snapshot.Everything
		default:
			scope.Namespaces = append(scope.Namespaces, u.namespace)
		}
	}
	return scope
}

// trouble says what is wrong, "" for nothing, and whether the server was there and refuses. s.mu is held.
func (s *Session) trouble(failure error, silence time.Duration) (reason string, refused bool) {
	if failure != nil {
		return Plain(failure), isRefusal(failure)
	}
	for _, source := range s.all() {
		if source.failure != nil && isRefusal(source.failure) {
			return Plain(source.failure), true
		}
	}
	if silence > 0 {
		// Not for how long: the words of a state must not change while it lasts.
		return silent, false
	}
	now := time.Now()
	for _, source := range s.all() {
		late := now.Sub(source.since) > grace
		switch {
		case source.failure != nil: // though a watch may be open: nobody reads it until another one has taken its place
			return Plain(source.failure), false
		case source.endsAtOnce(now):
			return fmt.Sprintf("the watch of %s ends as soon as it is open", source.resource), false
		case source.synced && source.streaming && !source.listing:
		case !source.synced && source.resource == podMetadata && late:
			return "waiting for the labels of the Pods in namespace " + source.namespace, false
		case source.synced && source.listing && late:
			return fmt.Sprintf("waiting for a complete list of %s", source.resource), false
		case source.synced && late:
			return fmt.Sprintf("the watch of %s is away", source.resource), false
		}
	}
	return "", false
}

// all are the sources, in a fixed order as far as there is one.
func (s *Session) all() []*source {
	var out []*source
	for _, u := range s.units {
		out = append(out, u.services, u.slices)
	}
	for _, source := range s.labels {
		out = append(out, source)
	}
	return out
}

// refusedPause is the longest pause of a watch after a refusal, by how many are refused. s.mu is held.
func (s *Session) refusedPause() time.Duration {
	refused := 0
	for _, source := range s.all() {
		if source.failure != nil && isRefusal(source.failure) {
			refused++
		}
	}
	return max(refusedMost, time.Duration(refused)*refusedEach)
}
