package fleet

import (
	"fmt"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/kube"
)

// State says what podway knows of a cluster.
type State string

// The states.
const (
	// Unknown: never seen whole, and nothing is remembered.
	Unknown State = "Unknown"
	// Live: every watch is open.
	Live State = "Live"
	// Stale: the watch is away; the Pods that were last known stay in force.
	Stale State = "Stale"
	// Refused: by its credential or permissions, or because it is another cluster than the pinned one. What was last known stays in force.
	Refused State = "Refused"
	// Removed: there is no such MemberCluster any more.
	Removed State = "Removed"
)

// Status is what a person is told of a cluster.
type Status struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Reason says why the cluster is not Live.
	Reason string `json:"reason,omitempty"`
	// Since is when the state became this one.
	Since time.Time `json:"since"`
	// LastEvent is when anything was last heard of the cluster's objects; zero for never.
	LastEvent time.Time `json:"lastEvent,omitzero"`
	Services  int       `json:"services"`
	Pods      int       `json:"pods"`
	// Server is where the API server is; UID that of the cluster's kube-system namespace, where it is known.
	Server string `json:"server,omitempty"`
	UID    string `json:"uid,omitempty"`
	// CredentialExpires is zero where the credential does not say, or there is none.
	CredentialExpires time.Time `json:"credentialExpires,omitzero"`
	// Candidate says why a changed credential or scope is not in force yet; empty where there is none.
	Candidate string `json:"candidate,omitempty"`
	// Remembered is when what is in force was kept on disk; zero where it was seen since podway started.
	Remembered time.Time `json:"remembered,omitzero"`
	// Relists counts complete lists after the first.
	Relists int `json:"relists"`
}

// status is how the cluster is now.
func (m *member) status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.describe()
}

// describe makes the status. m.mu is held.
func (m *member) describe() Status {
	out := m.told
	if m.active == nil {
		out.Services, out.Pods = len(m.known.Services), countPods(m.known)
		return out
	}
	health := m.active.session.Health()
	out.Services, out.Pods = m.active.session.Sizes()
	if out.Services == 0 && health.Scope.IsEmpty() {
		out.Services, out.Pods = len(m.known.Services), countPods(m.known)
	}
	out.LastEvent, out.Relists, out.UID = health.LastEvent, health.Relists, health.UID
	used := m.active.credential()
	out.Server, out.CredentialExpires = used.Server, used.Expires
	if !health.Synced {
		out.Remembered = m.origin.saved
	}
	if m.candidate != nil {
		out.Candidate = "waiting for its first complete list"
		if next := m.candidate.session.Health(); next.Reason != "" {
			out.Candidate = next.Reason
		}
	}
	return out
}

func countPods(known kube.Known) (count int) {
	for _, set := range known.Sets {
		count += len(set.Pods)
	}
	return count
}

// update notes which state the cluster is in, and tells of a change.
func (m *member) update() {
	m.mu.Lock()
	m.compareUID()
	state, reason := m.judge()
	before := m.told
	m.told.Reason = reason
	well := state == Live
	if state != before.State {
		well = well || m.active != nil && m.active.session.Health().Waiting
		m.told.State, m.told.Since = state, time.Now()
		if before.State == Live {
			m.ill = m.told.Since
		}
	}
	m.mu.Unlock()
	if state == before.State {
		return
	}
	m.fleet.metrics.transitions.WithLabelValues(m.name, string(state)).Inc()
	attrs := []any{"from", before.State, "to", state}
	if reason != "" {
		attrs = append(attrs, "reason", reason)
	}
	if well {
		m.log.Info("Cluster changed its state", attrs...)
	} else {
		m.log.Warn("Cluster changed its state", attrs...)
	}
	select {
	case m.fleet.changed <- struct{}{}:
	default: // it is about to tell anyway
	}
}

// compareUID tells of a cluster in whose place there is another one, which nothing forbids where no UID is pinned. m.mu is held.
func (m *member) compareUID() {
	if m.active == nil {
		return
	}
	uid := m.active.session.Health().UID
	if uid == "" || uid == m.answered {
		return
	}
	if m.answered != "" {
		m.log.Warn("Another cluster answers now, and its Pods take the place of those of the one before", "uid", uid, "before", m.answered, "remedy", "pin spec.clusterUID where that must not be")
	}
	m.answered = uid
}

// judge says which state the cluster is in, and why. m.mu is held.
func (m *member) judge() (State, string) {
	nothing := m.known.Scope.IsEmpty()
	if m.active == nil {
		for _, problem := range m.refusal {
			if problem.Severity == api.Error {
				return Refused, problem.Message
			}
		}
		if nothing {
			return Unknown, "not connected yet"
		}
		return Stale, "not connected yet; its Pods are those that were remembered"
	}
	health := m.active.session.Health()
	switch health.Phase {
	case kube.Live:
		if m.active.target.scope.IsEmpty() {
			return Unknown, "spec.allowedTunnels lets no tunnel use the cluster, so that nothing of it is watched"
		}
		return Live, ""
	case kube.Refused:
		return Refused, health.Reason
	case kube.Stale:
		return Stale, health.Reason
	}
	if nothing {
		return Unknown, health.Reason
	}
	return Stale, health.Reason
}

func (m *member) removedStatus() Status {
	status := m.status()
	return Status{Name: m.name, State: Removed, Reason: "there is no such MemberCluster any more", Since: time.Now(), LastEvent: status.LastEvent}
}

func objectOf(name string) api.ObjectRef {
	return api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindMemberCluster, Name: name}
}

func fieldCredential(cluster *v1alpha1.MemberCluster) string {
	if source := cluster.Spec.Source.Kubeconfig; source != nil && source.SecretRef != nil {
		return "spec.source.kubeconfig.secretRef"
	}
	return "spec.source.kubeconfig.file"
}

// since says how long ago something was, for a message that does not change every second.
func since(at time.Time) string {
	return fmt.Sprintf("since %s", at.UTC().Format(time.RFC3339))
}
