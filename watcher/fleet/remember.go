package fleet

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/access"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/kube"
	"github.com/podway/podway/watcher/memory"
)

// origin says of which cluster something is known.
type origin struct {
	// uid of its kube-system namespace, "" where it is not known; source is the fingerprint of the credential.
	uid, source string
	// saved is when it was kept on disk; zero where it is fresher than that.
	saved time.Time
}

// remember has what is published kept on disk.
func (m *member) remember() {
	if m.fleet.config.Keeper != nil {
		m.fleet.config.Keeper.Note(m.name, m.snapshot)
	}
}

// snapshot is what is worth keeping, nil for nothing.
func (m *member) snapshot() *memory.Cluster {
	m.mu.Lock()
	active, known, from := m.active, m.known, m.origin
	m.mu.Unlock()
	if active != nil {
		known, from = active.session.Snapshot(), origin{uid: active.session.Health().UID, source: active.credential().Fingerprint()}
	}
	if known.Scope.IsEmpty() {
		return nil
	}
	out := &memory.Cluster{Name: m.name, UID: from.uid, Source: from.source, Saved: time.Now(), Scope: known.Scope}
	for _, service := range known.Services {
		out.Services = append(out.Services, service)
	}
	for _, set := range known.Sets {
		out.Sets = append(out.Sets, set)
	}
	return out
}

// recall puts what is remembered of the cluster in force, before it is connected to. What is not surely of this cluster is left out.
func (m *member) recall() {
	if m.fleet.config.Store == nil {
		return
	}
	kept, err := m.fleet.config.Store.Load(m.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		m.log.Warn("What was remembered of a cluster is not used", "error", err)
		return
	}
	from := origin{uid: kept.UID, source: kept.Source, saved: kept.Saved}
	loaded, _ := credential.Load(m.cluster, m.fleet.config.Directory, m.secrets)
	if reason := from.foreign(loaded, m.cluster.Spec.ClusterUID); reason != "" {
		m.log.Warn("What was remembered of a cluster is not used", "reason", reason)
		return
	}
	known := within(kept, access.ScopeOf(m.cluster))
	m.mu.Lock()
	m.known, m.origin = known, from
	m.mu.Unlock()
	facts := &watcher.Facts{Scope: known.Scope, Services: slices.Collect(maps.Values(known.Services))}
	m.putting.Lock()
	defer m.putting.Unlock()
	m.doubt = doubt{since: time.Now(), facts: facts}
	m.fleet.config.Lanes.PutCluster(m.name, doubtful(facts), known.Sets, nil, nil)
	m.log.Info("Remembered what a cluster last had", "services", len(known.Services), "saved", kept.Saved)
}

// foreign says why what is known may be of another cluster than a credential leads to, "" where it is not. uid is the pinned one.
func (o origin) foreign(now *credential.Credential, uid string) string {
	switch {
	case uid != "" && o.uid == uid:
		return ""
	case uid != "" && o.uid != "":
		return "it is of a cluster with another UID than spec.clusterUID"
	case now != nil && now.Fingerprint() != o.source:
		return "the kubeconfig leads to another server than when it was saved"
	}
	return ""
}

// forgetForeign takes what is remembered out of force where the first credential that can be read leads to another cluster.
func (m *member) forgetForeign(to target) {
	if m.known.Scope.IsEmpty() {
		return
	}
	reason := m.origin.foreign(to.credential, to.uid)
	if reason == "" {
		return
	}
	m.log.Warn("What was remembered of a cluster is not used any more", "reason", reason)
	m.mu.Lock()
	m.known, m.origin = kube.Known{}, origin{}
	m.mu.Unlock()
	m.putting.Lock()
	defer m.putting.Unlock()
	m.doubt = doubt{}
	m.fleet.config.Lanes.RemoveCluster(m.name)
}

// within is what was kept of the part of the cluster that tunnels may use now.
func within(kept *memory.Cluster, scope *snapshot.Scope) kube.Known {
	known := kube.Known{
		Scope: kept.Scope, Services: make(map[pods.ServiceKey]*pods.Service, len(kept.Services)), Sets: make(map[pods.ServiceKey]*pods.Set, len(kept.Sets)),
	}
	if !scope.All {
		known.Scope = &snapshot.Scope{}
		for _, namespace := range scope.Namespaces {
			if kept.Scope.Covers(namespace) {
				known.Scope.Namespaces = append(known.Scope.Namespaces, namespace)
			}
		}
	}
	for _, service := range kept.Services {
		if known.Scope.Covers(service.Key.Namespace) {
			known.Services[service.Key] = service
		}
	}
	for _, set := range kept.Sets {
		if known.Services[set.Key] != nil {
			known.Sets[set.Key] = set
		}
	}
	return known
}

// problem is one of this cluster.
func (m *member) problem(code string, severity api.Severity, field, message, remedy string) api.Problem {
	return api.Problem{
		Code: code, Severity: severity, Object: objectOf(m.name), Generation: m.cluster.Generation, Field: field, Message: message, Remedy: remedy,
	}
}
