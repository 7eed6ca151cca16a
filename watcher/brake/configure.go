package brake

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

// Configure says which Pods each tunnel takes, and the Settings of clusters that have some of their own. It replaces what it was told before.
// Pods that a tunnel takes no more are not held in it any more. Where a tunnel stays and others of its Pods are let go, OnChange is
// told. The maps are not kept; the slices are, and not to be changed. A tunnel with the very same slice as before costs next to nothing.
func (b *Brake) Configure(uses map[types.NamespacedName][]pods.Use, clusters map[string]Settings) {
	b.tell(b.configure(uses, clusters))
}

func (b *Brake) configure(uses map[types.NamespacedName][]pods.Use, clusters map[string]Settings) (changed []pods.ServiceKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	settingsStay := maps.Equal(b.clusters, clusters)
	b.clusters = maps.Clone(clusters)
	for tunnel, list := range uses {
		if !b.isAsBefore(tunnel, list, settingsStay) {
			changed = append(changed, b.configureTunnel(tunnel, list, clusters)...)
		}
	}
	if len(b.tunnels) == len(uses) {
		b.forgetClusters(clusters) // all of them were told of just now
		return changed
	}
	for tunnel := range b.tunnels {
		if _, stays := uses[tunnel]; !stays {
			b.configureTunnel(tunnel, nil, clusters)
			delete(b.tunnels, tunnel)
			delete(b.uses, tunnel)
		}
	}
	b.forgetClusters(clusters)
	return changed
}

// isAsBefore is true where Configure says nothing new of a tunnel. settingsStay is true where it says nothing new of clusters.
func (b *Brake) isAsBefore(tunnel types.NamespacedName, list []pods.Use, settingsStay bool) bool {
	before, known := b.uses[tunnel]
	if !known || len(before) != len(list) || len(list) > 0 && &before[0] != &list[0] {
		return false
	}
	return settingsStay || !slices.ContainsFunc(b.tunnels[tunnel], func(u *unit) bool { return u.settings != b.clusters[u.cluster].or(b.config.Defaults) })
}

// configureTunnel replaces what a tunnel takes, and returns the Services of which Pods were held and are not any more.
func (b *Brake) configureTunnel(tunnel types.NamespacedName, list []pods.Use, clusters map[string]Settings) (changed []pods.ServiceKey) {
	before := b.tunnels[tunnel]
	for _, u := range before {
		for i := range u.services {
			key := u.services[i].key
			b.users[key] = slices.DeleteFunc(b.users[key], func(user *unit) bool { return user == u })
			if len(b.users[key]) == 0 {
				delete(b.users, key)
			}
		}
	}
	units := b.unitsOf(tunnel, list)
	for _, u := range units {
		for i := range u.services {
			b.users[u.services[i].key] = append(b.users[u.services[i].key], u)
		}
		b.resume(u)
		if b.reconfigure(u, clusters[u.cluster].or(b.config.Defaults)) {
			changed = append(changed, u.keys()...)
		}
	}
	for _, u := range before {
		if u.hold != nil && !slices.Contains(units, u) {
			b.letGo(u, reasonUnused)
		}
	}
	b.tunnels[tunnel], b.uses[tunnel] = units, list
	return changed
}

// forgetClusters ends the metrics of clusters that are neither used nor known.
func (b *Brake) forgetClusters(clusters map[string]Settings) {
	if len(b.counted) == 0 {
		return
	}
	inUse := make(map[string]struct{}, len(clusters))
	for _, units := range b.tunnels {
		for _, u := range units {
			inUse[u.cluster] = struct{}{}
		}
	}
	for cluster := range b.counted {
		_, used := inUse[cluster]
		if _, known := clusters[cluster]; !used && !known {
			b.metrics.forget(cluster)
			delete(b.counted, cluster)
		}
	}
}

// unitsOf makes a tunnel's units, or finds them.
func (b *Brake) unitsOf(tunnel types.NamespacedName, uses []pods.Use) []*unit {
	var units []*unit
	for i := range uses {
		cluster := uses[i].Service.Cluster
		u := inCluster(units, cluster)
		if u == nil {
			if u = inCluster(b.tunnels[tunnel], cluster); u == nil {
				u = &unit{tunnel: tunnel, cluster: cluster}
			}
			u.services = nil
			units = append(units, u)
		}
		u.add(uses[i : i+1 : i+1])
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
		b.heldAnew()
	}
	return changed
}
