package brake

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

// Configure says which Pods each tunnel takes, and the Settings of clusters that have some of their own. It replaces what it was told before.
// Pods that a tunnel takes no more are not held in it any more. Where a tunnel stays and others of its Pods are let go, OnChange is
// told. The maps are not kept.
func (b *Brake) Configure(uses map[types.NamespacedName][]pods.Use, clusters map[string]Settings) {
	b.tell(b.configure(uses, clusters))
}

func (b *Brake) configure(uses map[types.NamespacedName][]pods.Use, clusters map[string]Settings) (changed []pods.ServiceKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	tunnels := make(map[types.NamespacedName][]*unit, len(uses))
	users := make(map[pods.ServiceKey][]*unit, len(b.users))
	inUse := make(map[string]struct{}, len(clusters))
	for tunnel, list := range uses {
		tunnels[tunnel] = b.unitsOf(tunnel, list)
		for _, u := range tunnels[tunnel] {
			inUse[u.cluster] = struct{}{}
			for i := range u.services {
				users[u.services[i].key] = append(users[u.services[i].key], u)
			}
			if b.reconfigure(u, clusters[u.cluster].or(b.config.Defaults)) {
				changed = append(changed, u.keys()...)
			}
		}
	}
	for tunnel, before := range b.tunnels {
		for _, u := range before {
			if u.hold != nil && !slices.Contains(tunnels[tunnel], u) {
				b.letGo(u, reasonUnused)
			}
		}
	}
	b.tunnels, b.users = tunnels, users
	for cluster := range b.counted {
		_, used := inUse[cluster]
		if _, known := clusters[cluster]; !used && !known {
			b.metrics.forget(cluster)
			delete(b.counted, cluster)
		}
	}
	return changed
}

// unitsOf makes a tunnel's units, or finds them.
func (b *Brake) unitsOf(tunnel types.NamespacedName, uses []pods.Use) []*unit {
	var units []*unit
	for _, use := range uses {
		cluster := use.Service.Cluster
		u := inCluster(units, cluster)
		if u == nil {
			if u = inCluster(b.tunnels[tunnel], cluster); u == nil {
				u = &unit{tunnel: tunnel, cluster: cluster}
			}
			u.services = nil
			units = append(units, u)
		}
		u.add(use)
	}
	return units
}

// reconfigure gives a unit its Settings, and says whether Pods that were held are not any more.
func (b *Brake) reconfigure(u *unit, settings Settings) (changed bool) {
	u.settings = settings
	u.expire(b.config.Now())
	changed = b.recheck(u, reasonUnused)
	if u.hold == nil {
		return changed
	}
	if settings.off() {
		b.letGo(u, reasonOff)
		return true
	}
	clear(u.hold.views) // The selectors may be others.
	if until := u.hold.since.Add(settings.Limit); !until.Equal(u.hold.until) {
		u.hold.until = until
		b.problems = nil
		b.nearer(until)
	}
	return changed
}
