package fleet

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/kube"
)

// The codes of Problems of clusters.
const (
	// CodeClusterUnknown is a cluster that has not been seen whole yet.
	CodeClusterUnknown = "ClusterUnknown"
	// CodeClusterStale is a cluster whose watch is away.
	CodeClusterStale = "ClusterStale"
	// CodeClusterRefused is a cluster that refuses podway, or that podway refuses.
	CodeClusterRefused = "ClusterRefused"
	// CodeCandidateNotInForce is a changed credential or scope that is not in force.
	CodeCandidateNotInForce = "CandidateNotInForce"
	// CodeTokenNotRenewed is a token that podway could not renew, or not keep.
	CodeTokenNotRenewed = "TokenNotRenewed"
	// CodeCredentialExpires is a credential that nobody renews, and that ends soon.
	CodeCredentialExpires = "CredentialExpires"
	// CodeSameCluster is a cluster that has two MemberClusters.
	CodeSameCluster = "SameCluster"
)

const (
	// toldAfter is how long a cluster may be away before it is a Problem.
	toldAfter = 2 * time.Second
	// toldAfterListing is how long a changed credential or scope may be at its first lists before it is one.
	toldAfterListing = 30 * time.Second
	// expiresSoon is when the end of a credential that podway cannot renew becomes a Problem.
	expiresSoon = 7 * 24 * time.Hour
)

// sameCluster tells of clusters that have more than one MemberCluster. There may be a reason, such as two credentials.
func sameCluster(members map[string]*member) (problems []api.Problem) {
	names := map[string][]string{}
	for name, m := range members {
		if uid := m.uid(); uid != "" {
			names[uid] = append(names[uid], name)
		}
	}
	for _, same := range names {
		slices.Sort(same)
		for i, name := range same {
			if len(same) == 1 {
				continue
			}
			other := same[(i+1)%len(same)]
			problems = append(problems, members[name].sameAs(other))
		}
	}
	return problems
}

// uid is that of the cluster's kube-system namespace, "" where it is not known.
func (m *member) uid() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active == nil {
		return m.origin.uid
	}
	return m.active.session.Health().UID
}

func (m *member) sameAs(other string) api.Problem {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.problem(CodeSameCluster, api.Warning, "spec.source",
		fmt.Sprintf("this is the cluster of MemberCluster %s too: its namespace kube-system has the same UID; a Pod that a tunnel takes through both counts twice", other),
		"use one MemberCluster for each cluster, or take care that no tunnel takes the same Pods through both")
}

// problems are those of the cluster now.
func (m *member) problems() []api.Problem {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := append([]api.Problem(nil), m.refusal...)
	if m.active != nil && !hasEnded(m.active.credential()) {
		for i := range out {
			if out[i].Severity == api.Error {
				out[i].Message += "; the credential that was in force before still is"
			}
		}
	}
	out = append(out, m.stateProblems()...)
	return append(out, m.credentialProblems()...)
}

// tellsAfter is how long a candidate may take: longer where nothing is wrong but that there is much to list, for meanwhile the one before serves.
func tellsAfter(candidate kube.Health) time.Duration {
	if candidate.Waiting {
		return toldAfterListing
	}
	return toldAfter
}

// hasEnded says whether a credential says that its time is over: it may be the one that is refused.
func hasEnded(of *credential.Credential) bool {
	return !of.Expires.IsZero() && !of.Expires.After(time.Now())
}

// stateProblems say why the cluster is not Live. That it is ill in another way than a moment ago is told at once. m.mu is held.
func (m *member) stateProblems() []api.Problem {
	if m.active == nil || time.Since(m.ill) < toldAfter {
		return nil
	}
	check := fmt.Sprintf("see podway clusters check %s --config DIR", m.name)
	switch m.told.State {
	case Unknown:
		if m.active.target.scope.IsEmpty() {
			return []api.Problem{m.problem(CodeClusterUnknown, api.Warning, "spec.allowedTunnels", "nothing of the cluster is watched: no tunnel may use it",
				"say which namespaces of tunnels may use which of the cluster's, or remove the MemberCluster")}
		}
		return []api.Problem{m.problem(CodeClusterUnknown, api.Warning, "spec.source",
			"the cluster has not been seen whole yet: "+m.told.Reason, "see that its API server can be reached: "+check)}
	case Stale:
		return []api.Problem{m.problem(CodeClusterStale, api.Warning, "spec.source",
			fmt.Sprintf("the cluster is away %s: %s; %s", since(m.ill), m.told.Reason, m.stays()), "see that its API server can be reached: "+check)}
	case Refused:
		return []api.Problem{m.problem(CodeClusterRefused, api.Error, "spec.source",
			fmt.Sprintf("%s; %s", m.told.Reason, m.stays()), "give podway a credential that may do this, for the right cluster: "+check)}
	}
	return nil
}

// stays says what of the cluster is in force. m.mu is held. It counts all that there is: only what is ill is worth that.
func (m *member) stays() string {
	services, pods := m.active.session.Sizes()
	if services == 0 {
		if m.known.Scope.IsEmpty() {
			return "no Pod of it is known"
		}
		pods = countPods(m.known)
	}
	return fmt.Sprintf("its %d Pods that were last known stay in force", pods)
}

// credentialProblems say what is wrong with changes and renewals of credentials. m.mu is held.
func (m *member) credentialProblems() []api.Problem {
	var out []api.Problem
	if m.active == nil {
		return nil
	}
	if m.candidate != nil {
		if next := m.candidate.session.Health(); next.Reason != "" && time.Since(m.candidate.begun) > tellsAfter(next) {
			out = append(out, m.problem(CodeCandidateNotInForce, api.Error, m.fieldChanged(),
				"the changed credential or scope is not in force: "+next.Reason+"; the one before still is",
				fmt.Sprintf("correct it, or take the change back; see podway clusters check %s --config DIR", m.name)))
		}
	}
	used := m.active.credential()
	left := time.Until(used.Expires)
	switch {
	case m.renewal.failure != nil:
		out = append(out, m.problem(CodeTokenNotRenewed, api.Warning, fieldCredential(m.cluster),
			fmt.Sprintf("the token ends at %s and could not be renewed: %s", used.Expires.UTC().Format(time.RFC3339), kube.Plain(m.renewal.failure)), m.renewRemedy()))
	case m.renewal.unsaved != nil:
		out = append(out, m.problem(CodeTokenNotRenewed, api.Warning, fieldCredential(m.cluster),
			fmt.Sprintf("the token was renewed, but could not be kept: %v; after a restart podway begins with the one that is configured, which ends at %s",
				m.renewal.unsaved, m.active.target.credential.Expires.UTC().Format(time.RFC3339)), m.keepRemedy()))
	case !used.Expires.IsZero() && renewAt(used).IsZero() && left < expiresSoon:
		out = append(out, m.problem(CodeCredentialExpires, api.Warning, fieldCredential(m.cluster),
			fmt.Sprintf("the credential ends at %s, and podway cannot renew one of this kind", used.Expires.UTC().Format(time.RFC3339)),
			fmt.Sprintf("replace it in time, or use one that is renewed: podway clusters authorize %s --kubeconfig ADMIN", m.name)))
	}
	return out
}

// fieldChanged is what the candidate has other than the active attempt. m.mu is held.
func (m *member) fieldChanged() string {
	switch to := m.candidate.target; {
	case !m.active.had(to.credential):
		return fieldCredential(m.cluster)
	case m.active.target.uid != to.uid:
		return "spec.clusterUID"
	}
	return "spec.allowedTunnels"
}

// renewRemedy says how a token is renewed: no rights help where the server was not there. m.mu is held.
func (m *member) renewRemedy() string {
	if !kube.IsAnswer(m.renewal.failure) {
		return fmt.Sprintf("podway tries again every %s; see that the API server can be reached: podway clusters check %s --config DIR", renewAgain, m.name)
	}
	return fmt.Sprintf("let the ServiceAccount create its own tokens, or make a new credential: podway clusters authorize %s --kubeconfig ADMIN", m.name)
}

// keepRemedy says how a token is kept that podway cannot write. m.mu is held.
func (m *member) keepRemedy() string {
	if errors.Is(m.renewal.unsaved, errNotAFile) {
		return fmt.Sprintf("put a new kubeconfig into the Secret before that: podway clusters authorize %s --kubeconfig ADMIN --token-lifetime 8760h makes one", m.name)
	}
	return "let podway write the kubeconfig, or replace it before that"
}
