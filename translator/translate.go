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
		cfg: cfg, tunnels: in.tunnels, users: prev.users, labeled: prev.labeled,
	}
	if changed || prev.users == nil {
		plan.users, plan.labeled = usersOf(names, in.tunnels)
	}
	plan.inForce = slices.DeleteFunc(slices.Clone(names), func(name types.NamespacedName) bool { return in.tunnels[name].refused })
	var unattached []api.Problem
	plan.gateways, unattached = planGateways(in, prev)
	plan.pems = in.rememberedPEMs()
	plan.problems = plan.collectProblems(unattached)
	return plan
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
