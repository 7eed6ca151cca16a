package holdback

import (
	"slices"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/podway/podway/api"
)

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
