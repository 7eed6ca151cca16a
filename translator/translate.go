package translator

import (
	"slices"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// Translate says what Envoys should have in this configuration. prev is the
// plan of the picture before, or nil: it changes nothing in the outcome, but
// what does not differ is taken over from it. A resource that came out equal is
// the same pointer as in prev or, where an object that it was made from has changed, Shares its Message with it. Neither argument is changed.
func Translate(cfg *snapshot.Config, prev *Plan) *Plan {
	if prev == nil {
		prev = &Plan{cfg: &snapshot.Config{}}
	}
	cfg = inForce(cfg)
	in := newInput(cfg, prev)
	in.planTunnels()
	plan := &Plan{
		cfg: cfg, grants: in.grants, tunnels: in.tunnels, names: in.names, inForce: in.inForce(), users: prev.users, labeled: prev.labeled, routes: in.routes,
	}
	if prev.users == nil || !in.usersStay() {
		plan.users, plan.labeled = usersOf(in.names, in.tunnels)
	}
	plan.gateways, plan.homeless = planGateways(in)
	plan.unattached = in.unattached()
	plan.pems = in.rememberedPEMs()
	plan.problems = plan.collectProblems()
	return plan
}

func (p *Plan) collectProblems() []api.Problem {
	all := slices.Concat(p.homeless, p.unattached)
	for _, plan := range p.tunnels {
		all = append(all, plan.problems...)
	}
	for view, plan := range p.gateways {
		if !isMinority(view) { // it has those of all others too
			all = append(all, plan.problems...)
		}
	}
	for i := range all {
		all[i] = p.cfg.Locate(all[i])
	}
	return api.SortProblems(all)
}
