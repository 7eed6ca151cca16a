package translator

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// inForce is the picture with what is held back of the parts that all Gateways share.
func inForce(cfg *snapshot.Config) *snapshot.Config {
	copied := *cfg
	for key, hold := range cfg.Holds {
		if key.View != "" {
			continue
		}
		name := types.NamespacedName{Namespace: key.Namespace, Name: key.Name}
		switch key.Kind {
		case v1alpha1.KindTunnel:
			copied.Tunnels = replace(copied.Tunnels, cfg.Tunnels, name, hold)
		case kindSecret:
			copied.Secrets = replace(copied.Secrets, cfg.Secrets, name, hold)
		}
	}
	return &copied
}

// replace puts an accepted form into a copy of the objects. It does nothing for an object that has gone.
func replace[V any](objects, original map[types.NamespacedName]*V, name types.NamespacedName, hold snapshot.Hold) map[types.NamespacedName]*V {
	form, ok := hold.Form.(*V)
	if !ok || form == nil || objects[name] == nil {
		return objects
	}
	if len(objects) == len(original) && objects[name] == original[name] {
		objects = maps.Clone(objects)
	}
	objects[name] = form
	return objects
}

// hold says what a view has instead of a part, and whether it is held back there at all.
func (in *input) hold(view types.NamespacedName, part api.Part) (snapshot.Hold, bool) {
	if len(in.cfg.Holds) == 0 {
		return snapshot.Hold{}, false
	}
	hold, held := in.cfg.Holds[snapshot.HoldKey{View: view.String(), Part: part}]
	return hold, held
}

func (f *front) hold(part api.Part) (snapshot.Hold, bool) { return f.in.hold(f.view, part) }

// leftOut is true for a part that was rejected and has no accepted form.
func (f *front) leftOut(part api.Part) bool {
	hold, held := f.hold(part)
	return held && hold.Form == nil
}

// refused is true for an HTTPRoute that answers 500.
func (f *front) refused(route *gatewayv1.HTTPRoute) bool {
	hold, held := f.hold(routePart(route))
	return held && hold.Refused && hold.Form == nil
}

// routeAt is what a view has of an HTTPRoute; nil where that is nothing.
func (in *input) routeAt(view types.NamespacedName, route *gatewayv1.HTTPRoute) *gatewayv1.HTTPRoute {
	hold, held := in.hold(view, routePart(route))
	form, _ := hold.Form.(*gatewayv1.HTTPRoute)
	switch {
	case !held || hold.Refused && form == nil:
		return route
	default:
		return form
	}
}

// tunnelAt is what the view's routes say of a tunnel.
func (f *front) tunnelAt(plan *tunnelPlan) *v1alpha1.Tunnel {
	if hold, held := f.hold(tunnelPart(plan.tunnel)); held {
		if form, ok := hold.Form.(*v1alpha1.Tunnel); ok && form != nil {
			return form
		}
	}
	return plan.tunnel
}

// parametersAt are GatewayParameters as the view has them. Where no form was accepted they say no more than the network, without which
// tunnels that name theirs would be out of reach.
func (f *front) parametersAt(name types.NamespacedName) *v1alpha1.GatewayParameters {
	params := f.in.cfg.GatewayParameters[name]
	if params == nil {
		return nil
	}
	hold, held := f.hold(parametersPart(name))
	if !held {
		return params
	}
	if form, ok := hold.Form.(*v1alpha1.GatewayParameters); ok && form != nil {
		return form
	}
	return &v1alpha1.GatewayParameters{ObjectMeta: params.ObjectMeta, Spec: v1alpha1.GatewayParametersSpec{Network: params.Spec.Network}}
}

// gatewayAt is the Gateway of a view with the accepted listeners in it, in the places of those that were rejected.
func (in *input) gatewayAt(view types.NamespacedName) *gatewayv1.Gateway {
	name := gatewayOf(view)
	gateway := in.cfg.Gateways[name]
	var made *gatewayv1.Gateway
	for i := range gateway.Spec.Listeners {
		hold, _ := in.hold(view, listenerPart(name, gateway.Spec.Listeners[i].Name))
		form, ok := hold.Form.(*gatewayv1.Listener)
		if !ok || form == nil {
			continue
		}
		if made == nil {
			made = gateway.DeepCopy()
		}
		form.DeepCopyInto(&made.Spec.Listeners[i])
	}
	if made == nil {
		return gateway
	}
	return made
}

func listenerPart(gateway types.NamespacedName, listener gatewayv1.SectionName) api.Part {
	return api.Part{ObjectRef: gatewayRef(gateway), Listener: string(listener)}
}

func routePart(route *gatewayv1.HTTPRoute) api.Part { return api.Part{ObjectRef: routeRef(route)} }

func tunnelPart(tunnel *v1alpha1.Tunnel) api.Part {
	return tunnelPartOf(types.NamespacedName{Namespace: tunnel.Namespace, Name: tunnel.Name})
}

func tunnelPartOf(name types.NamespacedName) api.Part {
	return api.Part{ObjectRef: api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindTunnel, Namespace: name.Namespace, Name: name.Name}}
}

func parametersPart(name types.NamespacedName) api.Part {
	return api.Part{ObjectRef: api.ObjectRef{
		Group: v1alpha1.Group, Kind: v1alpha1.KindGatewayParameters, Namespace: name.Namespace, Name: name.Name,
	}}
}

// routing is all that the routes to a tunnel say of it.
type routing struct {
	rewrites  bool
	idle, try time.Duration
}

func routingOf(tunnel *v1alpha1.Tunnel) routing {
	r := routing{
		rewrites: tunnel.Spec.HostHeader != "",
		idle:     duration(orDefault(tunnel.Spec.Timeout, v1alpha1.Timeout{}).Idle, "5m"),
	}
	if tunnel.Spec.Retry != nil {
		// It bounds one try, 0 for no bound. It is for the routes: Envoy reads it off RouteAction.retry_policy.per_try_timeout alone, also
		// where the policy in force is the Cluster's, which overrides all the rest of the route's (measured with 1.40.0).
		r.try = duration(tunnel.Spec.Retry.PerTryTimeout, "0s")
	}
	return r
}

// sourcesOf are the GatewayParameters and listeners that a Listener or a RouteConfiguration is made from.
func (f *front) sourcesOf(listeners []*listener) []api.Source {
	var sources []api.Source
	if f.parameters != nil {
		sources = append(sources, api.Source{
			Part: parametersPart(types.NamespacedName{Namespace: f.parameters.Namespace, Name: f.parameters.Name}), Form: f.parameters,
		})
	}
	for _, l := range listeners {
		sources = append(sources, api.Source{Part: listenerPart(f.name, l.spec.Name), Form: l.spec})
	}
	return sources
}

// routeSources are all that a RouteConfiguration is made from: also its routes, in the order of their names, and their tunnels.
func (f *front) routeSources(listeners []*listener, backends []routeBackend) []api.Source {
	sources := f.sourcesOf(listeners)
	attached := map[*gatewayv1.HTTPRoute]bool{}
	for _, l := range listeners {
		for _, some := range l.hosts {
			for _, route := range some {
				attached[route] = true
			}
		}
	}
	for _, route := range f.routes {
		if !attached[route] {
			continue
		}
		source := api.Source{Part: routePart(route), Form: route}
		if f.refused(route) {
			source.Form = nil
		}
		sources = append(sources, source)
	}
	tunnels := map[types.NamespacedName]api.Source{}
	for i := range backends {
		if b := &backends[i]; b.tunnel != nil {
			tunnels[b.name] = api.Source{Part: tunnelPart(b.tunnel), Form: b.tunnel, Says: routingOf(b.tunnel)}
			if b.plan == nil {
				tunnels[b.name] = api.Source{Part: tunnelPart(b.tunnel)}
			}
		}
	}
	for _, name := range sortedNames(tunnels) {
		sources = append(sources, tunnels[name])
	}
	return sources
}
