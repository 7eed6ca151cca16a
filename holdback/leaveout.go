package holdback

import (
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// maxLeftOut bounds how many parts are left out one after the other, to find the one that a resource was never accepted with.
const maxLeftOut = 64

// putBack ends the second kind of search: it is known by now what was accepted. It returns whether anything was left out.
func (h *holdback) putBack(t *trial) bool {
	return t.leaving && h.release(t)
}

// leaveOut leaves the next part out of a resource of which no accepted content is known.
func (h *holdback) leaveOut(t *trial, v verdict) bool {
	if !t.leaving {
		if len(h.removable(t.resource)) < 2 {
			return h.giveUp(t)
		}
		h.nominate(t, v)
		t.leaving, t.begun = true, true
	}
	switch {
	case t.out == nil:
	case t.message != t.said && len(t.outs) < maxLeftOut && h.held[*t.out] != nil:
		// Envoy tells of one fault at a time: by now it is another one.
		t.outs = append(t.outs, *t.out)
		h.nominate(t, v)
	default:
		h.acquit(*t.out)
	}
	t.out = nil
	blamed := api.Part{ObjectRef: t.blamed.ObjectRef}
	if len(t.outs) < maxLeftOut && slices.Contains(h.removable(t.resource), blamed) {
		h.holdBack(blamed, snapshot.Hold{})
		t.outs = append(t.outs, blamed)
		h.nominate(t, v)
		return true
	}
	for len(t.candidates) > 0 {
		part := t.candidates[0]
		t.candidates = t.candidates[1:]
		if form, _, _ := formOf(h.cfg, part); form != nil && h.held[part] == nil {
			h.holdBack(part, snapshot.Hold{})
			t.out, t.said = &part, t.message
			return true
		}
	}
	return h.giveUp(t)
}

// nominate makes all parts candidates that can be left out. Of what some Envoys take as it is, none is: they are not to lose one after the other.
func (h *holdback) nominate(t *trial, v verdict) {
	t.candidates = nil
	if v.Accepted == 0 {
		t.candidates = h.removable(t.resource)
		slices.SortFunc(t.candidates, compareParts)
		t.candidates = t.candidates[:min(len(t.candidates), maxLeftOut)]
	}
}

// leftOut are the parts that the second kind of search has left out, and that are still there.
func (h *holdback) leftOut(t *trial) []api.Part {
	outs := slices.Clone(t.outs)
	if t.out != nil {
		outs = append(outs, *t.out)
	}
	return slices.DeleteFunc(outs, func(part api.Part) bool { return h.held[part] == nil || h.held[part].guilty })
}

// removable are the parts of which a resource may do without some: its HTTPRoutes or, where it has none, listeners that share a port. A
// resource of one alone hurts nobody else: it stays as it is, for Envoys that have an older version of it, or come later and take it. Of
// GatewayParameters, the defaults could open more than was meant.
func (h *holdback) removable(of *api.Resource) []api.Part {
	var routes, listeners []api.Part
	for _, source := range of.Sources {
		switch {
		case h.held[source.Part] != nil:
		case source.Kind == kindHTTPRoute:
			routes = append(routes, source.Part)
		case source.Kind == kindGateway:
			listeners = append(listeners, source.Part)
		}
	}
	if of.Type == resource.ListenerType {
		return listeners
	}
	return routes
}
