package holdback

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

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
