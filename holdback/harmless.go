package holdback

import (
	"maps"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// maxBlamed is how many suspects are held back one after the other because messages point at them, before there is a search.
const maxBlamed = 16

// first are the suspects to hold back first: the one that the message points at. Else it is all of them, unless Envoys would take that and then
// answer 500 where they did not before: as it was, an HTTPRoute may lead to a Tunnel that has gone, and an HTTPRoute as it is, to one that is new and
// would be left out. Then it is those of which nothing can be lost. While what is to blame is in, Envoys take nothing, and lose nothing.
func (h *holdback) first(t *trial, suspects []api.Part, base map[api.Part]api.Source) []api.Part {
	if blamed := (api.Part{ObjectRef: t.blamed.ObjectRef}); slices.Contains(suspects, blamed) && len(t.groups) < maxBlamed {
		return []api.Part{blamed}
	}
	if harmless := h.harmless(t, suspects, base); len(harmless) > 0 {
		return harmless
	}
	return suspects
}

// harmless are the suspects that may be held back together without a request being answered 500 for it.
func (h *holdback) harmless(t *trial, suspects []api.Part, base map[api.Part]api.Source) []api.Part {
	out := map[api.Part]bool{}
	for _, part := range suspects {
		route, _ := base[part].Form.(*gatewayv1.HTTPRoute)
		out[part] = !slices.ContainsFunc(h.translator.TunnelsOf(route), func(tunnel api.Part) bool {
			form, _, _ := formOf(h.cfg, tunnel)
			return form == nil && base[tunnel].Form != nil
		})
	}
	for _, source := range t.resource.Sources {
		route, _ := source.Form.(*gatewayv1.HTTPRoute)
		if out[source.Part] {
			continue
		}
		for _, tunnel := range h.translator.TunnelsOf(route) {
			if base[tunnel].Form == nil {
				delete(out, tunnel)
			}
		}
	}
	maps.DeleteFunc(out, func(_ api.Part, harmless bool) bool { return !harmless })
	return slices.DeleteFunc(slices.Clone(suspects), func(part api.Part) bool { return !out[part] })
}

// rankOf is 0 for a Tunnel that is new.
func rankOf(part api.Part, base map[api.Part]api.Source) int {
	if part.Kind == v1alpha1.KindTunnel && base[part].Form == nil {
		return 0
	}
	return 1
}
