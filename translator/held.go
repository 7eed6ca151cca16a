package translator

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// composition is an object put together of its present form and of parts that are held back.
type composition struct {
	forms []any
	made  any
}

// holder puts accepted forms in the place of what Envoys rejected.
type holder struct {
	cfg *snapshot.Config
	// old and made are compositions by the object that they begin with: the same parts give the same pointer.
	old, made map[any]composition
}

// inForce is the picture with the accepted forms in it. What is left out of it altogether, or refused, is told by input.hold.
func inForce(cfg *snapshot.Config, prev *Plan) (*snapshot.Config, map[any]composition) {
	if len(cfg.Holds) == 0 {
		return cfg, nil
	}
	copied := *cfg
	h := &holder{cfg: &copied, old: prev.composed, made: map[any]composition{}}
	copied.Tunnels, copied.HTTPRoutes, copied.Secrets = maps.Clone(cfg.Tunnels), maps.Clone(cfg.HTTPRoutes), maps.Clone(cfg.Secrets)
	copied.Gateways, copied.GatewayParameters = maps.Clone(cfg.Gateways), maps.Clone(cfg.GatewayParameters)
	for part, hold := range cfg.Holds {
		name := types.NamespacedName{Namespace: part.Namespace, Name: part.Name}
		switch part.Kind {
		case v1alpha1.KindTunnel:
			replace(copied.Tunnels, name, hold)
		case kindSecret:
			if replace(copied.Secrets, name, hold); hold.Form == nil && copied.Secrets[name] != nil {
				copied.Secrets[name] = rejectedSecret
			}
		case kindHTTPRoute:
			if replace(copied.HTTPRoutes, name, hold); hold.Form == nil && !hold.Refused {
				delete(copied.HTTPRoutes, name)
			}
		case v1alpha1.KindGatewayParameters:
			if replace(copied.GatewayParameters, name, hold); hold.Form == nil {
				h.bare(name)
			}
		}
	}
	for name := range cfg.Gateways {
		h.compose(name)
	}
	return &copied, h.made
}

// replace does nothing for an object that has gone.
func replace[V any](objects map[types.NamespacedName]*V, name types.NamespacedName, hold snapshot.Hold) {
	if form, ok := hold.Form.(*V); ok && form != nil && objects[name] != nil {
		objects[name] = form
	}
}

// bare leaves of GatewayParameters only the network, without which tunnels that name theirs would be out of reach.
func (h *holder) bare(name types.NamespacedName) {
	params := h.cfg.GatewayParameters[name]
	if params == nil {
		return
	}
	h.cfg.GatewayParameters[name] = h.remember(params, nil, func() any {
		return &v1alpha1.GatewayParameters{
			ObjectMeta: params.ObjectMeta, Spec: v1alpha1.GatewayParametersSpec{Network: params.Spec.Network},
		}
	}).(*v1alpha1.GatewayParameters)
}

// compose puts the accepted listeners into a Gateway, in the places of those that were rejected.
func (h *holder) compose(name types.NamespacedName) {
	gateway := h.cfg.Gateways[name]
	var forms []any
	for i := range gateway.Spec.Listeners {
		if form := h.cfg.Holds[listenerPart(name, gateway.Spec.Listeners[i].Name)].Form; form != nil {
			forms = append(forms, form)
		}
	}
	if len(forms) == 0 {
		return
	}
	h.cfg.Gateways[name] = h.remember(gateway, forms, func() any {
		made := gateway.DeepCopy()
		for i := range made.Spec.Listeners {
			form, ok := h.cfg.Holds[listenerPart(name, made.Spec.Listeners[i].Name)].Form.(*gatewayv1.Listener)
			if ok && form != nil {
				form.DeepCopyInto(&made.Spec.Listeners[i])
			}
		}
		return made
	}).(*gatewayv1.Gateway)
}

// remember returns what was made of the same before.
func (h *holder) remember(from any, forms []any, compose func() any) any {
	known, ok := h.old[from]
	if !ok || !slices.Equal(known.forms, forms) {
		known = composition{forms: forms, made: compose()}
	}
	h.made[from] = known
	return known.made
}

// hold says what is in force instead of a part, and whether it is held back at all.
func (in *input) hold(part api.Part) (snapshot.Hold, bool) {
	hold, held := in.cfg.Holds[part]
	return hold, held
}

// leftOut is true for a part that was rejected and has no accepted form.
func (in *input) leftOut(part api.Part) bool {
	hold, held := in.hold(part)
	return held && hold.Form == nil
}

// refused is true for an HTTPRoute that answers 500.
func (in *input) refused(route *gatewayv1.HTTPRoute) bool {
	hold, held := in.hold(routePart(route))
	return held && hold.Refused && hold.Form == nil
}

// rejectedSecret stands for a Secret that is left out: it is there, and there is nothing of use in it.
var rejectedSecret = &corev1.Secret{}

func listenerPart(gateway types.NamespacedName, listener gatewayv1.SectionName) api.Part {
	return api.Part{ObjectRef: gatewayRef(gateway), Listener: string(listener)}
}

func routePart(route *gatewayv1.HTTPRoute) api.Part { return api.Part{ObjectRef: routeRef(route)} }

func tunnelPart(tunnel *v1alpha1.Tunnel) api.Part {
	return api.Part{ObjectRef: api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindTunnel, Namespace: tunnel.Namespace, Name: tunnel.Name}}
}

// sourcesOf are the listeners, the GatewayParameters and the routes that a RouteConfiguration or, without routes, a Listener is made from.
func (f *front) sourcesOf(listeners []*listener, routes bool) []api.Source {
	var sources []api.Source
	if f.parameters != nil {
		sources = append(sources, api.Source{Part: api.Part{ObjectRef: api.ObjectRef{
			Group: v1alpha1.Group, Kind: v1alpha1.KindGatewayParameters, Namespace: f.parameters.Namespace, Name: f.parameters.Name,
		}}, Form: f.parameters})
	}
	for _, l := range listeners {
		sources = append(sources, api.Source{Part: listenerPart(f.name, l.spec.Name), Form: l.spec})
	}
	if !routes {
		return sources
	}
	attached := map[*gatewayv1.HTTPRoute]bool{}
	for _, l := range listeners {
		for _, some := range l.hosts {
			for _, route := range some {
				attached[route] = true
			}
		}
	}
	for _, route := range f.routes { // in the order of their names
		if !attached[route] {
			continue
		}
		source := api.Source{Part: routePart(route), Form: route}
		if f.in.refused(route) {
			source.Form = nil
		}
		sources = append(sources, source)
	}
	return sources
}
