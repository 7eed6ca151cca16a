package holdback

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// maxLowered bounds how often a part that is held back gets another form.
const maxLowered = 4

// trial is the search for the parts that a resource is rejected for.
//
// Where it is known what the rejecting Envoy had before, only the parts that differ from that can be to blame. The one that Envoy's message points at is
// held back, or those by which nothing can be lost (first), in the end all of them, which is exactly what it had. Then they are let in by halves: what is
// rejected is halved, until one is left. So each rejection makes the search smaller, and it ends. Of Envoys that had nothing the same is done with all
// routes.
//
// Where that is not known, as after a restart of podway, the HTTPRoutes that Envoy's messages point at are left out and then, of the others,
// each by itself, until what remains is accepted (leaveout.go). No Envoy loses anything by that: what it rejects it does not take.
type trial struct {
	key api.ResourceKey
	// resource is what is served, since when.
	resource *api.Resource
	since    time.Time
	// begun is true once something was held back in it; stuck, where nothing can be done but wait for a change.
	begun, stuck bool
	// first is the version with which the search began, and hopeless one with which it found nobody; of disagreed, there is no form for all.
	first, hopeless, disagreed string

	// version was rejected last, by the nodes, at a time; blamed and field are what the message points at.
	version, message string
	nodes, builds    []string
	voters           int // how many Envoys there were
	at               time.Time
	blamed           api.Owner
	field            string

	// guesses are the parts that were held back on the assumption that what was served before was accepted, which nobody has confirmed yet.
	guesses []api.Part

	// groups are to be let in again, first one first.
	groups [][]api.Part
	// known are the sets of what was held back with which it was rejected.
	known map[string]bool

	// leaving is true in the second kind of search: outs are left out because messages pointed at them, or changed without them, out is
	// left out as one of the candidates, of which the first comes next. said is what Envoys say with none of the candidates left out.
	leaving    bool
	outs       []api.Part
	out        *api.Part
	candidates []api.Part
	said       string
}

// decide takes the next step of a search. It returns whether what is held back has changed; where not, the search is over, or stuck.
func (h *holdback) decide(t *trial, v verdict, now time.Time) bool {
	if !v.rejected {
		t.guesses = nil
		return h.accepted(t)
	}
	t.version, t.message, t.nodes, t.builds, t.voters, t.at = v.Version, v.Message, v.Rejected, v.Builds, voters(v.Answers), now
	t.blamed, t.field = h.translator.Blame(t.resource, t.message, h.cfg)
	if !t.begun {
		t.first = v.Version
	}
	if v.Version == t.hopeless {
		t.stuck = true
		return false
	}
	base, known := h.base(t, v)
	switch {
	case known && h.putBack(t):
		return true
	case known:
		return h.suspect(t, base) || t.stuck && len(t.groups) > 0 && h.giveUp(t)
	}
	taken := h.takeBack(t)
	switch {
	case h.isApart(v):
		return h.release(t) || taken
	case t.key.Type == resource.ClusterType:
		return h.withdraw(t, v) || taken
	case isMinority(h.view) && !v.HadNothing:
		return h.giveUp(t) || taken // they keep what they have, which serves: nobody else waits for them
	}
	return h.leaveOut(t, v) || taken
}

// base is what the resource was made from when it was accepted, as far as that is known.
func (h *holdback) base(t *trial, v verdict) (map[api.Part]api.Source, bool) {
	if v.Had != nil && len(v.Had.Sources) > 0 {
		return byPart(v.Had.Sources), true
	}
	if sources := h.before[t.key]; sources != nil && !t.leaving && t.guesses == nil {
		// Nobody rejected it, so it is worth a guess.
		delete(h.before, t.key)
		t.guesses = []api.Part{}
		return byPart(sources), true
	}
	if sources := h.remembered(t); sources != nil {
		t.guesses = []api.Part{}
		return byPart(sources), true
	}
	if t.guesses != nil || t.leaving || !v.HadNothing || v.Accepted > 0 {
		return nil, false
	}
	// Nobody has anything to lose: all that can be left out may be to blame.
	base := byPart(t.resource.Sources)
	all := h.removable(t.resource)
	for _, part := range all {
		delete(base, part)
	}
	return base, len(all) > 1
}

// remembered are the sources of a resource, with the forms in them that were accepted before a restart; nil where there are none. Each is tried
// once.
func (h *holdback) remembered(t *trial) []api.Source {
	if t.leaving || t.guesses != nil {
		return nil
	}
	var sources []api.Source
	for i, source := range t.resource.Sources {
		accepted := h.standby[source.Part]
		if accepted.form == nil || accepted.of != t.key.Type {
			continue
		}
		if sources == nil {
			sources = slices.Clone(t.resource.Sources)
		}
		sources[i] = api.Source{Part: source.Part, Form: accepted.form}
		delete(h.standby, source.Part)
	}
	return sources
}

// takeBack lets in what was held back on a wrong guess, or because of what an Envoy had that has gone, and returns whether there was any.
func (h *holdback) takeBack(t *trial) (taken bool) {
	before := len(h.held)
	for _, part := range t.guesses {
		delete(h.held, part)
	}
	for _, part := range slices.Concat(t.groups...) {
		h.acquit(part)
	}
	t.guesses, t.groups = nil, nil
	return len(h.held) < before
}

// disagrees is true where Envoys reject what stands in for a part, which others take, and take the part itself, which those reject: there is nothing
// that all of them take. Each content is asked about once.
func (h *holdback) disagrees(t *trial, v verdict) bool {
	if !v.rejected || v.Had == nil || v.Accepted == 0 || v.Version == t.disagreed || !h.mayPart() {
		return false
	}
	base := byPart(v.Had.Sources)
	if !slices.ContainsFunc(h.different(t, base), func(source api.Source) bool {
		held, form := h.held[source.Part], base[source.Part].Form
		return held != nil && form != nil && sameForm(form, held.rejected) && !sameForm(source.Form, held.rejected)
	}) {
		return false
	}
	t.disagreed = v.Version
	return true
}

// isApart is true where those that reject have nothing, of which it would be known that they take it, and others take what there is: to leave out of
// that one part after the other would cost those. In a view of their own it costs nobody.
func (h *holdback) isApart(v verdict) bool {
	return v.HadNothing && v.Accepted > 0 && h.mayPart()
}

// suspect holds back what differs from what was accepted.
func (h *holdback) suspect(t *trial, base map[api.Part]api.Source) bool {
	var suspects []api.Part
	lowered, idle := false, false
	for _, source := range h.different(t, base) {
		held := h.held[source.Part]
		switch {
		case held == nil:
			suspects = append(suspects, source.Part)
		case sameForm(source.Form, held.rejected):
			idle = true // other Gateways take it
		default:
			lowered = h.lower(held, base[source.Part].Form) || lowered
		}
	}
	t.note(h)
	switch {
	case lowered:
		return true // what is held back was at fault even in another form, so the others are not
	case len(suspects) == 0 && idle:
		t.stuck = true
		return false
	case len(suspects) == 0:
		return h.giveUp(t)
	}
	// A Tunnel that is new comes before the routes to it: without it they would answer 500.
	slices.SortStableFunc(suspects, func(a, b api.Part) int { return rankOf(a, base) - rankOf(b, base) })
	first := h.first(t, suspects, base)
	for _, part := range first {
		before, there := base[part]
		hold := snapshot.Hold{Form: before.Form}
		hold.Refused = there && before.Form == nil && part.Kind == kindHTTPRoute
		h.holdBack(part, hold)
	}
	t.begun = true
	if t.guesses != nil {
		t.guesses = append(t.guesses, first...)
	}
	if len(first) < len(suspects) {
		// Whether one of them is to blame is known once it is accepted without them.
		t.groups = append([][]api.Part{first}, t.groups...)
		return true
	}
	h.split(t, suspects)
	return true
}

func (h *holdback) holdBack(part api.Part, hold snapshot.Hold) {
	form, _, _ := formOf(h.cfg, part)
	h.held[part] = &heldPart{rejected: form, hold: hold}
}

// different are the sources of a resource that are not as they were, sorted; those that cannot be held back are not among them.
func (h *holdback) different(t *trial, base map[api.Part]api.Source) []api.Source {
	var sources []api.Source
	for _, source := range t.resource.Sources {
		before, there := base[source.Part]
		if there && sameSource(source, before) || !there && h.acceptedElsewhere(t, source) {
			continue
		}
		if form, _, _ := formOf(h.cfg, source.Part); form != nil {
			sources = append(sources, source)
		}
	}
	slices.SortFunc(sources, func(a, b api.Source) int { return compareParts(a.Part, b.Part) })
	return sources
}

// acceptedElsewhere is true for a Tunnel that is new here, and that other routes lead to without anybody having rejected them: not to
// blame are those, but what leads to it here.
func (h *holdback) acceptedElsewhere(t *trial, tunnel api.Source) bool {
	if tunnel.Kind != v1alpha1.KindTunnel {
		return false
	}
	for key, other := range h.served {
		if key.Type == t.key.Type && key != t.key && h.trial(key) == nil && slices.ContainsFunc(other.Sources, func(source api.Source) bool {
			return source.Part == tunnel.Part && sameSource(source, tunnel)
		}) {
			return true
		}
	}
	return false
}

func compareParts(a, b api.Part) int { return strings.Compare(a.String(), b.String()) }

// lower gives a part that is held back the form that was accepted, or else less than that.
func (h *holdback) lower(held *heldPart, accepted any) bool {
	if held.lowered++; held.lowered > maxLowered {
		return false
	}
	switch {
	case accepted != nil && !sameForm(accepted, held.hold.Form):
		held.hold = snapshot.Hold{Form: accepted}
	case held.hold != (snapshot.Hold{}):
		held.hold = snapshot.Hold{}
	default:
		return false
	}
	return true
}

// split finds one of several guilty, by itself if it is the only one: else its two halves are let in one after the other.
func (h *holdback) split(t *trial, parts []api.Part) {
	if len(parts) == 1 {
		h.convict(t, parts[0])
		return
	}
	half := (len(parts) + 1) / 2
	t.groups = append([][]api.Part{parts[:half:half], parts[half:]}, t.groups...)
}

// convict keeps a part back until it changes. An HTTPRoute without an accepted form answers 500, if Envoys take that.
func (h *holdback) convict(t *trial, part api.Part) {
	held := h.held[part]
	held.guilty = true
	held.blame(t, part)
	if held.hold.Form == nil && part.Kind == kindHTTPRoute {
		held.hold.Refused = true
	}
	h.log.Warn("Held back what an Envoy rejects", "object", part.String(), "name", held.key.Name, "error", held.message)
}

// accepted lets the next group in, and ends a search with none left.
func (h *holdback) accepted(t *trial) bool {
	if t.leaving {
		outs := h.leftOut(t)
		t.leaving, t.outs, t.out, t.candidates = false, nil, nil, nil
		if len(outs) == 1 {
			h.convict(t, outs[0])
			return true
		}
		for _, part := range outs {
			t.groups = append(t.groups, []api.Part{part})
		}
	}
	for len(t.groups) > 0 {
		group := slices.DeleteFunc(slices.Clone(t.groups[0]), func(part api.Part) bool { return h.held[part] == nil || h.held[part].guilty })
		t.groups = t.groups[1:]
		switch {
		case len(group) == 0:
		case t.known[h.heldBack(group)]:
			// All the others are in, as they were when it was rejected.
			before := len(t.groups)
			if h.split(t, group); len(t.groups) == before {
				return true
			}
		default:
			for _, part := range group {
				delete(h.held, part)
			}
			return true
		}
	}
	return false
}

// note remembers what was held back when the resource was rejected.
func (t *trial) note(h *holdback) {
	if t.known == nil {
		t.known = map[string]bool{}
	}
	t.known[h.heldBack(nil)] = true
}

// heldBack names all parts that are held back, with some let in.
func (h *holdback) heldBack(in []api.Part) string {
	var parts []string
	for part, held := range h.held {
		if !slices.Contains(in, part) {
			parts = append(parts, fmt.Sprintf("%s %t", part, held.guilty))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "\n")
}

// withdraw answers 500 where routes lead to a Tunnel whose Cluster no Envoy has in any form, so that they do not wait for it.
func (h *holdback) withdraw(t *trial, v verdict) bool {
	t.stuck = true
	if !v.HadNothing || v.Accepted > 0 {
		return false
	}
	for _, source := range t.resource.Sources {
		if form, _, _ := formOf(h.cfg, source.Part); form != nil && source.Kind == v1alpha1.KindTunnel && h.held[source.Part] == nil {
			h.holdBack(source.Part, snapshot.Hold{})
			h.convict(t, source.Part)
			return true
		}
	}
	return false
}

// acquit lets a suspect in again.
func (h *holdback) acquit(part api.Part) bool {
	if held := h.held[part]; held == nil || held.guilty {
		return false
	}
	delete(h.held, part)
	return true
}

// giveUp waits for a change: nothing that can be held back is to blame.
func (h *holdback) giveUp(t *trial) bool {
	t.stuck, t.begun, t.hopeless = true, false, t.first
	return h.release(t)
}

// release lets all suspects in again, and returns whether there was any.
func (h *holdback) release(t *trial) bool {
	released := false
	for _, part := range slices.Concat(append(t.groups, h.leftOut(t))...) {
		released = h.acquit(part) || released
	}
	t.groups, t.leaving, t.outs, t.out, t.candidates = nil, false, nil, nil, nil
	return released
}
