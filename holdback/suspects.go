package holdback

import (
	"slices"
	"strings"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// maxLowered bounds how often a part that is held back gets another form.
const maxLowered = 4

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
