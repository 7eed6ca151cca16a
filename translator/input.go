package translator

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// input is what all parts of one translation read.
type input struct {
	cfg    *snapshot.Config
	prev   *Plan
	grants *grants
	// names are those of all tunnels, sorted.
	names   []types.NamespacedName
	tunnels map[types.NamespacedName]*tunnelPlan
	// changed are the tunnels whose plans are not those of prev; nil for one that has gone.
	changed map[types.NamespacedName]*tunnelPlan
	// minorities are the views of minorities, by Gateway.
	minorities map[types.NamespacedName][]types.NamespacedName
	// routes are the HTTPRoutes of each view.
	routes map[types.NamespacedName][]*gatewayv1.HTTPRoute
	// surroundingsStay is true where all that tunnels read, time aside, is known to be what it was; routingStays, where all that routes
	// read is, tunnels aside.
	surroundingsStay, routingStays bool
	// pems is what has been parsed so far in this translation, oldPEMs in the one before.
	pems, oldPEMs map[pemKey]*pemFile
}

func newInput(cfg *snapshot.Config, prev *Plan) *input {
	in := &input{
		cfg: cfg, prev: prev, grants: prev.grants, changed: map[types.NamespacedName]*tunnelPlan{}, routes: prev.routes,
		minorities: minoritiesOf(cfg.Minorities), pems: map[pemKey]*pemFile{}, oldPEMs: prev.pems,
	}
	old := prev.cfg
	grantsStay, membersStay := snapshot.EqualMaps(cfg.ReferenceGrants, old.ReferenceGrants), snapshot.EqualMaps(cfg.MemberClusters, old.MemberClusters)
	if in.grants == nil || !grantsStay {
		in.grants = newGrants(cfg)
	}
	in.surroundingsStay = grantsStay && membersStay && snapshot.EqualMaps(cfg.Secrets, old.Secrets) && snapshot.EqualMaps(cfg.ConfigMaps, old.ConfigMaps) &&
		snapshot.SameMap(cfg.Services, old.Services) && snapshot.SameMap(cfg.Synced, old.Synced) // they are many, and seldom equal without being one
	routesStay := snapshot.EqualMaps(cfg.HTTPRoutes, old.HTTPRoutes) && maps.Equal(cfg.Holds, old.Holds) && maps.Equal(cfg.Minorities, old.Minorities)
	if in.routes == nil || !routesStay {
		in.routes = routesByView(in)
	}
	in.routingStays = routesStay && grantsStay && membersStay && snapshot.EqualMaps(cfg.Namespaces, old.Namespaces)
	return in
}

// planTunnels makes the plans of the tunnels that changed, in the order of names, so that what two tunnels share is always made by the same one.
func (in *input) planTunnels() {
	in.names = in.prev.names
	hasAll := func(name types.NamespacedName) bool { return in.cfg.Tunnels[name] != nil }
	if len(in.names) != len(in.cfg.Tunnels) || slices.ContainsFunc(in.names, func(name types.NamespacedName) bool { return !hasAll(name) }) {
		in.names = sortedNames(in.cfg.Tunnels)
		for _, name := range in.prev.names {
			if !hasAll(name) {
				in.changed[name] = nil
			}
		}
	}
	for _, name := range in.names {
		old := in.prev.tunnels[name]
		if old == nil || old.tunnel != in.cfg.Tunnels[name] || !old.read.unchanged(in) {
			in.changed[name] = in.planTunnel(in.cfg.Tunnels[name], old)
		}
	}
	in.tunnels = in.prev.tunnels
	if len(in.changed) == 0 && in.tunnels != nil {
		return
	}
	if in.tunnels = maps.Clone(in.tunnels); in.tunnels == nil {
		in.tunnels = make(map[types.NamespacedName]*tunnelPlan, len(in.names))
	}
	for name, plan := range in.changed {
		if plan == nil {
			delete(in.tunnels, name)
		} else {
			in.tunnels[name] = plan
		}
	}
}

// inForce are the tunnels that are not refused, sorted.
func (in *input) inForce() []types.NamespacedName {
	for name, plan := range in.changed {
		if old := in.prev.tunnels[name]; old == nil || plan == nil || old.refused != plan.refused {
			return slices.DeleteFunc(slices.Clone(in.names), func(name types.NamespacedName) bool { return in.tunnels[name].refused })
		}
	}
	return in.prev.inForce
}

// usersStay is true where all tunnels take Pods of the Services of which they took some before.
func (in *input) usersStay() bool {
	sameUse := func(a, b entry) bool { return a.key == b.key && (a.selector == nil) == (b.selector == nil) }
	for name, plan := range in.changed {
		old := in.prev.tunnels[name]
		if old == nil || plan == nil || !slices.EqualFunc(old.entries, plan.entries, sameUse) {
			return false
		}
	}
	return true
}

// usersOf turns the tunnels' entries around; names are those of all tunnels, sorted, and kept. labeled are the Services with a selector of Pods.
func usersOf(names []types.NamespacedName, tunnels map[types.NamespacedName]*tunnelPlan) (users map[pods.ServiceKey][]types.NamespacedName, labeled []pods.ServiceKey) {
	users = map[pods.ServiceKey][]types.NamespacedName{}
	selected := map[pods.ServiceKey]struct{}{}
	for n, name := range names {
		entries := tunnels[name].entries
		for i := range entries {
			key := entries[i].key
			if entries[i].selector != nil {
				selected[key] = struct{}{}
			}
			switch known := users[key]; {
			case known == nil:
				users[key] = names[n : n+1 : n+1] // most have one user, of which there is a list already
			case known[len(known)-1] != name:
				users[key] = append(known, name)
			}
		}
	}
	return users, slices.Collect(maps.Keys(selected))
}

// unattached tells of routes whose Gateway is not there.
func (in *input) unattached() []api.Problem {
	old := in.prev.cfg
	if snapshot.EqualMaps(in.cfg.HTTPRoutes, old.HTTPRoutes) && snapshot.EqualMaps(in.cfg.Gateways, old.Gateways) {
		return in.prev.unattached
	}
	return unattached(in.cfg)
}
