package holdback

import (
	"maps"
	"slices"
	"time"

	"github.com/podway/podway/api"
)

const (
	// maxMinorities is how many views a Gateway may have for minorities: within one there may be another.
	maxMinorities = 3
	// maxMembers bounds the Envoys of one; others are on their own.
	maxMembers = 1000
	// memberGone is how long an Envoy that has gone is waited for.
	memberGone = 10 * time.Minute
)

// minority is the Envoys that reject what most of the others of their view take. They have a view of their own, in which that is held back as in
// any other, until nothing is any more.
type minority struct {
	// members are when each was last seen.
	members map[api.Member]time.Time
	// settled is when what they have changed last, or who they are.
	settled time.Time
	// free is since when each of those is that rejects nothing, while others do, and released, how often one was.
	free     map[api.Member]time.Time
	released map[api.Member]int
}

// maxReleased is after how often the time that a member has to be free for is not doubled any more.
const maxReleased = 6

// minorities are those of all Gateways, by view. They belong to the pipeline's goroutine.
type minorities map[string]*minority

// wanted are the views.
func (m minorities) wanted() map[string]struct{} {
	if len(m) == 0 {
		return nil
	}
	wanted := make(map[string]struct{}, len(m))
	for view := range m {
		wanted[view] = struct{}{}
	}
	return wanted
}

// members are the Envoys, as a server is told.
func (m minorities) members() map[string]map[api.Member]struct{} {
	all := make(map[string]map[api.Member]struct{}, len(m))
	for view, few := range m {
		members := make(map[api.Member]struct{}, len(few.members))
		for member := range few.members {
			members[member] = struct{}{}
		}
		all[view] = members
	}
	return all
}

// of is a minority, a new one where there is none yet.
func (m minorities) of(view string) *minority {
	few := m[view]
	if few == nil {
		few = &minority{members: map[api.Member]time.Time{}, free: map[api.Member]time.Time{}, released: map[api.Member]int{}}
		m[view] = few
	}
	return few
}

func isMinority(view string) bool {
	_, few := api.MajorityOf(view)
	return few
}

// depth is how many minorities a view is within.
func depth(view string) (depth int) {
	for {
		majority, isMinority := api.MajorityOf(view)
		if !isMinority {
			return depth
		}
		view, depth = majority, depth+1
	}
}

// mayPart is false for a view within so many minorities that its own must stay in it.
func (h *holdback) mayPart() bool { return depth(h.view) < maxMinorities }

// part has those Envoys of a view be a minority that are outvoted there, and returns whether there is a new one.
func (h *Holdbacks) part(g *holdback, now time.Time) (changed bool) {
	outvoted := g.outvoted
	g.outvoted = nil
	if len(outvoted) == 0 || !g.mayPart() {
		return false
	}
	view := api.Minority(g.view)
	_, known := h.minorities[view]
	few := h.minorities.of(view)
	var nodes []string
	for _, dissent := range outvoted {
		if _, there := few.members[dissent.member]; there || len(few.members) >= maxMembers {
			continue
		}
		few.members[dissent.member] = now
		few.settled = now
		nodes = append(nodes, dissent.member.Node)
		if of := h.byView[view]; of != nil {
			of.joins(dissent)
		}
	}
	if len(nodes) == 0 {
		return false
	}
	h.publish()
	g.log.Warn("Envoys that reject what most others of their Gateway take go on with its last accepted form", "nodes", nodes)
	h.config.Envoys.SetMinorities(h.minorities.members())
	return !known
}

// dissolve ends minorities in which nothing is held back any more, or that have no Envoys. It returns whether there was any and, where not, when to
// ask again, 0 where there is none.
func (h *Holdbacks) dissolve(now time.Time) (changed bool, again time.Duration) {
	for _, view := range slices.Sorted(maps.Keys(h.minorities)) {
		few, g := h.minorities[view], h.byView[view]
		if g == nil {
			continue // it is being made
		}
		present, missing := h.miss(view, now)
		if h.release(view, now) || missing {
			h.config.Envoys.SetMinorities(h.minorities.members())
		}
		if majority, _ := api.MajorityOf(view); len(present) > 0 {
			h.config.OnLeft(majority, present) // what they rejected on their way from there, too
		}
		_, within := h.minorities[api.Minority(view)]
		idle := len(g.held) == 0 && !within && !h.isTold(view) && !h.isTried(g)
		if len(few.members) == 0 || idle && now.Sub(few.settled) >= verdictGrace {
			g.log.Info("Envoys that rejected something have what the others of their Gateway have again")
			delete(h.minorities, view)
			changed = true
		}
		again = askSeldom
	}
	return changed, again
}

// miss takes those out of a minority that have gone, and returns the nodes of the others that are there, and whether any has gone. Those of one within
// it are of both.
func (h *Holdbacks) miss(view string, now time.Time) (present map[string]bool, missing bool) {
	few := h.minorities[view]
	present = map[string]bool{}
	for within := view; h.minorities[within] != nil; within = api.Minority(within) {
		h.config.Envoys.Asking(within, api.ResourceKey{}, func(member api.Member, _ time.Time) bool {
			if !few.members[member].IsZero() {
				few.members[member] = now
			}
			present[member.Node] = true
			return false
		})
	}
	before := len(few.members)
	maps.DeleteFunc(few.members, func(_ api.Member, seen time.Time) bool { return now.Sub(seen) > memberGone })
	return present, len(few.members) < before
}

// release lets those out of a minority that reject nothing any more, while others do, and returns whether there was any. Each time that one comes back it
// has to be free for twice as long.
func (h *Holdbacks) release(view string, now time.Time) (released bool) {
	few, within := h.minorities[view], h.minorities[api.Minority(view)]
	bound := h.bound(view)
	for member, seen := range few.members {
		inner := false
		if within != nil {
			_, inner = within.members[member]
		}
		since := few.free[member]
		switch {
		case bound == nil || bound[member.Node] || inner || seen != now:
			delete(few.free, member)
		case since.IsZero():
			few.free[member] = now
		case now.Sub(since) >= verdictGrace<<few.released[member]:
			if len(few.released) >= maxMembers {
				clear(few.released)
			}
			few.released[member] = min(few.released[member]+1, maxReleased)
			delete(few.free, member)
			delete(few.members, member)
			released = true
		}
	}
	return released
}

// bound are the nodes that reject something in a view, or that something is held back for; nil where that is not known yet.
func (h *Holdbacks) bound(view string) map[string]bool {
	g := h.byView[view]
	if h.isTold(view) || slices.ContainsFunc(g.trials, func(t *trial) bool { return !t.stuck }) {
		return nil
	}
	bound := map[string]bool{}
	for _, held := range g.held {
		for _, node := range held.nodes {
			bound[node] = true
		}
	}
	for _, t := range g.trials {
		for _, node := range h.config.Envoys.Answers(view, t.key).Rejected {
			bound[node] = true
		}
	}
	return bound
}

// isTried is true where something is rejected that can be held back, or an Envoy that is there rejects what cannot.
func (h *Holdbacks) isTried(g *holdback) bool {
	return slices.ContainsFunc(g.trials, func(t *trial) bool { return !t.stuck || len(h.config.Envoys.Answers(g.view, t.key).Rejected) > 0 })
}

// isTold is true where a rejection has not been looked at yet.
func (h *Holdbacks) isTold(view string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.told[view]) > 0
}

// resume has the Envoys that rejected something before a restart be a minority still.
func (h *Holdbacks) resume(view string, held *heldPart) {
	if !isMinority(view) {
		return
	}
	few, now := h.minorities.of(view), time.Now()
	few.settled = now
	for i, node := range held.nodes[:min(len(held.nodes), len(held.builds))] {
		few.members[api.Member{Node: node, Build: held.builds[i]}] = now
	}
	majority, _ := api.MajorityOf(view)
	h.resume(majority, held) // which it may be within
}

// dissent is an Envoy that rejects what most others take, and what.
type dissent struct {
	member           api.Member
	key              api.ResourceKey
	version, message string
}

// dissents are the Envoys that a verdict is against.
func (v *verdict) dissents(key api.ResourceKey) []dissent {
	all := make([]dissent, 0, len(v.Rejected))
	for i, node := range v.Rejected {
		all = append(all, dissent{member: api.Member{Node: node, Build: v.Builds[i]}, key: key, version: v.Version, message: v.Message})
	}
	return all
}

// joins names an Envoy that comes to those of what is held back that rejected the same, or for the same reason: it is not sent that here.
func (h *holdback) joins(d dissent) {
	for _, p := range h.held {
		if p.guilty && p.key == d.key && (p.version == d.version || p.message == d.message) && !p.isOf(d.member.Node, d.member.Build) {
			p.nodes, p.builds = append(slices.Clone(p.nodes), d.member.Node), append(slices.Clone(p.builds), d.member.Build)
			p.voters++
		}
	}
}
