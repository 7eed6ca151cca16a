package translator

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// Translate says what Envoys should have in this configuration. prev is the
// plan of the picture before, or nil: it changes nothing in the outcome, but
// what does not differ is taken over from it. A resource that came out equal is
// the same pointer as in prev or, where an object that it was made from has changed, Shares its Message with it. Neither argument is changed.
func Translate(cfg *snapshot.Config, prev *Plan) *Plan {
	if prev == nil {
		prev = &Plan{}
	}
	cfg = inForce(cfg)
	in := &input{
		cfg: cfg, grants: newGrants(cfg), tunnels: make(map[types.NamespacedName]*tunnelPlan, len(cfg.Tunnels)),
		pems: map[pemKey]*pemFile{}, oldPEMs: prev.pems,
	}
	changed := len(prev.tunnels) != len(cfg.Tunnels)
	// In the order of names, so that what two tunnels share is always made by the same one.
	names := slices.SortedFunc(maps.Keys(cfg.Tunnels), compareNames)
	for _, name := range names {
		old := prev.tunnels[name]
		if old != nil && old.tunnel == cfg.Tunnels[name] && old.read.unchanged(in) {
			in.tunnels[name] = old
			continue
		}
		changed = true
		in.tunnels[name] = in.planTunnel(cfg.Tunnels[name], old)
	}
	plan := &Plan{
		cfg: cfg, tunnels: in.tunnels, users: prev.users, services: prev.services, labeled: prev.labeled,
	}
	if changed || prev.users == nil {
		plan.users, plan.services = usersOf(in.tunnels)
		plan.labeled = labeledOf(plan.services)
	}
	plan.inForce = slices.DeleteFunc(names, func(name types.NamespacedName) bool { return in.tunnels[name].refused })
	var unattached []api.Problem
	plan.gateways, unattached = planGateways(in, prev)
	plan.pems = in.rememberedPEMs()
	plan.problems = plan.collectProblems(unattached)
	return plan
}

// usersOf turns the tunnels' entries around.
func usersOf(tunnels map[types.NamespacedName]*tunnelPlan) (map[pods.ServiceKey][]types.NamespacedName, map[pods.ServiceKey]Need) {
	users := map[pods.ServiceKey][]types.NamespacedName{}
	needs := map[pods.ServiceKey]Need{}
	for name, plan := range tunnels {
		for i := range plan.entries {
			entry := &plan.entries[i]
			need := needs[entry.key]
			need.Labels = need.Labels || entry.selector != nil
			needs[entry.key] = need
			users[entry.key] = append(users[entry.key], name)
		}
	}
	for key, names := range users {
		slices.SortFunc(names, compareNames)
		users[key] = slices.Compact(names)
	}
	return users, needs
}

func labeledOf(services map[pods.ServiceKey]Need) []pods.ServiceKey {
	var labeled []pods.ServiceKey
	for key, need := range services {
		if need.Labels {
			labeled = append(labeled, key)
		}
	}
	return labeled
}

func (p *Plan) collectProblems(all []api.Problem) []api.Problem {
	for _, plan := range p.tunnels {
		all = append(all, plan.problems...)
	}
	for _, plan := range p.gateways {
		all = append(all, plan.problems...)
	}
	for i := range all {
		all[i] = p.cfg.Locate(all[i])
	}
	return api.SortProblems(all)
}
