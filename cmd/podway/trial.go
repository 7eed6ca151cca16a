package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/xds"
)

// maxLeftOut bounds how many parts are left out one after the other, to find the one that a resource was never accepted with.
const maxLeftOut = 64

// maxLowered bounds how often a part that is held back gets another form.
const maxLowered = 4

// trial is the search for the parts that a resource is rejected for.
//
// Where it is known what the rejecting Envoy had before, only the parts that differ from that can be to blame. All of them are held
// back, which is exactly what it had, and then let in by halves: what is rejected is halved, until one is left. So each
// rejection makes the search smaller, and it ends.
//
// Where that is not known, as after a restart of podway or for an Envoy that is new, each HTTPRoute is left out by
// itself, until what remains is accepted. No Envoy loses anything by that: what it rejects it does not take.
type trial struct {
	key       api.ResourceKey
	rejection xds.Rejection
	// resource is what is served, since when.
	resource *api.Resource
	since    time.Time
	// begun is true once something was held back in it; stuck, where nothing can be done but wait for a change.
	begun, stuck bool
	// blamed and field are what the message points at.
	blamed api.Owner
	field  string

	// guesses are the parts that were held back on the assumption that what was served before was accepted, which nobody has confirmed yet.
	guesses []api.Part

	// groups are to be let in again, first one first.
	groups [][]api.Part
	// rejected are the sets of what was held back with which it was rejected.
	rejected map[string]bool

	// leaving is true in the second kind of search: out is what is left out now, candidates what comes next.
	leaving    bool
	out        *api.Part
	candidates []api.Part
}

// changed is told that the configuration did: what was found out of sets of parts no longer holds.
func (t *trial) changed() { t.rejected, t.stuck = nil, false }

// decide takes the next step of a search. It returns whether what is held back has changed; where not, the search is over, or stuck.
func (h *holdback) decide(t *trial, v verdict) bool {
	switch {
	case !v.rejected:
		t.stuck, t.guesses = false, nil
		return h.accepted(t)
	case t.stuck:
		return false
	}
	t.accuse(t.resource)
	base, known := h.base(t, v.Answers)
	if !known {
		h.takeBack(t)
		return h.leaveOut(t, v.HadNothing)
	}
	if h.putBack(t) {
		return true
	}
	return h.suspect(t, base)
}

// base are the forms with which the resource was accepted before, as far as that is known.
func (h *holdback) base(t *trial, answers xds.Answers) (map[api.Part]any, bool) {
	if answers.Had != nil && len(answers.Had.Sources) > 0 {
		return formsOf(answers.Had.Sources), true
	}
	sources := h.before[t.key]
	if sources == nil || t.leaving || t.guesses != nil {
		return nil, false
	}
	// Nobody rejected it, so it is worth a guess.
	delete(h.before, t.key)
	t.guesses = []api.Part{}
	return formsOf(sources), true
}

// takeBack lets in what was held back on a wrong guess.
func (h *holdback) takeBack(t *trial) {
	for _, part := range t.guesses {
		delete(h.held, part)
	}
	t.guesses, t.groups = nil, nil
}

// putBack ends the second kind of search: it is known by now what was accepted.
func (h *holdback) putBack(t *trial) bool {
	if !t.leaving || t.out == nil {
		return false
	}
	part := *t.out
	t.leaving, t.out, t.candidates = false, nil, nil
	if held := h.held[part]; held == nil || held.guilty {
		return false
	}
	delete(h.held, part)
	return true
}

// suspect holds back what differs from what was accepted.
func (h *holdback) suspect(t *trial, base map[api.Part]any) bool {
	var suspects []api.Part
	lowered := false
	for _, part := range h.different(t.resource, base) {
		held := h.held[part]
		if held == nil {
			suspects = append(suspects, part)
			continue
		}
		lowered = h.lower(held, base[part]) || lowered
	}
	t.note(h)
	switch {
	case lowered:
		return true // what is held back was at fault even in another form, so the others are not
	case len(suspects) == 0:
		return h.giveUp(t)
	}
	for _, part := range suspects {
		form, _, _ := formOf(h.cfg, part)
		before, there := base[part]
		h.held[part] = &heldPart{rejected: form, hold: snapshot.Hold{Form: before, Refused: there && before == nil && part.Kind == kindHTTPRoute}}
	}
	t.begun = true
	if t.guesses != nil {
		t.guesses = append(t.guesses, suspects...)
	}
	h.split(t, suspects)
	return true
}

// different are the parts of a resource that are not as they were, sorted; those that cannot be held back are not among them.
func (h *holdback) different(resource *api.Resource, base map[api.Part]any) []api.Part {
	var parts []api.Part
	for _, source := range resource.Sources {
		before, there := base[source.Part]
		if there && sameForm(source.Form, before) {
			continue
		}
		if form, _, _ := formOf(h.cfg, source.Part); form != nil {
			parts = append(parts, source.Part)
		}
	}
	slices.SortFunc(parts, compareParts)
	return parts
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
	h.log.Warn("Held back what an Envoy rejects", "object", part.String(), "gateway", held.view, "name", held.resource, "error", held.message)
}

// accepted lets the next group in, and ends a search with none left.
func (h *holdback) accepted(t *trial) bool {
	if t.leaving {
		out := t.out
		t.leaving, t.out, t.candidates = false, nil, nil
		if out == nil || h.held[*out] == nil {
			return false
		}
		h.convict(t, *out)
		return true
	}
	for len(t.groups) > 0 {
		group := slices.DeleteFunc(slices.Clone(t.groups[0]), func(part api.Part) bool { return h.held[part] == nil || h.held[part].guilty })
		t.groups = t.groups[1:]
		switch {
		case len(group) == 0:
		case t.rejected[h.heldBack(t, group)]:
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
	if t.rejected == nil {
		t.rejected = map[string]bool{}
	}
	t.rejected[h.heldBack(t, nil)] = true
}

// heldBack names all parts of the resource that are held back, with some let in.
func (h *holdback) heldBack(t *trial, in []api.Part) string {
	var parts []string
	for part, held := range h.held {
		if !slices.Contains(in, part) {
			parts = append(parts, fmt.Sprintf("%s %t", part, held.guilty))
		}
	}
	slices.Sort(parts)
	return t.key.Name + "\n" + strings.Join(parts, "\n")
}

// leaveOut leaves the next part out of a resource of which no accepted content is known.
func (h *holdback) leaveOut(t *trial, fresh bool) bool {
	if !t.leaving {
		h.release(t)
		t.candidates = h.candidates(t, fresh)
		t.leaving, t.begun = true, true
	}
	if t.out != nil {
		if held := h.held[*t.out]; held != nil && !held.guilty {
			delete(h.held, *t.out)
		}
		t.out = nil
	}
	for len(t.candidates) > 0 {
		part := t.candidates[0]
		t.candidates = t.candidates[1:]
		if form, _, _ := formOf(h.cfg, part); form != nil && h.held[part] == nil {
			h.held[part] = &heldPart{rejected: form}
			t.out = &part
			return true
		}
	}
	t.leaving = false
	return h.giveUp(t)
}

// candidates are the parts of a resource that are worth leaving out, the one that the message points at first. A resource
// of one alone hurts nobody else: it stays as it is, for Envoys that have an older version of it, or come later and take it. Of
// GatewayParameters, the defaults could open more than was meant.
func (h *holdback) candidates(t *trial, fresh bool) []api.Part {
	kind := kindHTTPRoute
	if fresh && !slices.ContainsFunc(t.resource.Sources, func(source api.Source) bool { return source.Kind == kindHTTPRoute }) {
		kind = kindGateway // a listener beside others on one port
	}
	var parts []api.Part
	for _, source := range t.resource.Sources {
		if source.Kind == kind && h.held[source.Part] == nil {
			parts = append(parts, source.Part)
		}
	}
	if len(parts) < 2 {
		return nil
	}
	slices.SortStableFunc(parts, func(a, b api.Part) int {
		if first := rankOf(t, a) - rankOf(t, b); first != 0 {
			return first
		}
		return compareParts(a, b)
	})
	return parts[:min(len(parts), maxLeftOut)]
}

// rankOf is less for what the message points at.
func rankOf(t *trial, part api.Part) int {
	if part.ObjectRef == t.blamed.ObjectRef {
		return 0
	}
	return 1
}

// giveUp waits for a change: nothing that can be held back is to blame.
func (h *holdback) giveUp(t *trial) bool {
	t.stuck, t.begun = true, false
	return h.release(t)
}

// release lets all suspects in again, and returns whether there was any.
func (h *holdback) release(t *trial) bool {
	released := false
	for _, part := range slices.Concat(t.groups...) {
		if held := h.held[part]; held != nil && !held.guilty {
			delete(h.held, part)
			released = true
		}
	}
	t.groups = nil
	return released
}
