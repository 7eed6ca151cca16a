package translator

import (
	"iter"
	"slices"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// routesByView are the HTTPRoutes by the views of the Gateways that they name as a parent, each once, in the order of their names.
func routesByView(in *input) map[types.NamespacedName][]*gatewayv1.HTTPRoute {
	out := map[types.NamespacedName][]*gatewayv1.HTTPRoute{}
	heldAt := in.routesHeldAt()
	for _, name := range sortedNames(in.cfg.HTTPRoutes) {
		route := in.cfg.HTTPRoutes[name]
		for _, view := range slices.Concat(in.viewsOf(parentsOf(route)), heldAt[name]) {
			at, before := in.routeAt(view, route), out[view]
			if at == nil || len(before) > 0 && before[len(before)-1] == at || !slices.Contains(parentsOf(at), gatewayOf(view)) {
				continue
			}
			out[view] = append(before, at)
		}
	}
	return out
}

// parentsOf are the Gateways that a route names.
func parentsOf(route *gatewayv1.HTTPRoute) []types.NamespacedName {
	var gateways []types.NamespacedName
	for _, ref := range route.Spec.ParentRefs {
		if gateway, ok := parentGateway(route, ref); ok {
			gateways = append(gateways, gateway)
		}
	}
	return gateways
}

// routesHeldAt are the views that have another form of a route, which may name another parent.
func (in *input) routesHeldAt() map[types.NamespacedName][]types.NamespacedName {
	at := map[types.NamespacedName][]types.NamespacedName{}
	for key := range in.cfg.Holds {
		if key.Kind == kindHTTPRoute && key.View != "" {
			route := types.NamespacedName{Namespace: key.Namespace, Name: key.Name}
			at[route] = append(at[route], viewNamed(key.View))
		}
	}
	return at
}

// parentGateway is the Gateway that a parentRef names, and false for a parent of another kind.
func parentGateway(route *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference) (types.NamespacedName, bool) {
	name := types.NamespacedName{Namespace: string(orDefault(ref.Namespace, gatewayv1.Namespace(route.Namespace))), Name: string(ref.Name)}
	return name, orDefault(ref.Group, gatewayv1.GroupName) == gatewayv1.GroupName && orDefault(ref.Kind, "Gateway") == "Gateway"
}

// inputs is all that the plan of a Gateway is made from, its routes aside, as values to compare:
// while they and routeInputs are the same ones, and the tunnels that the routes name, so would be the plan.
func (f *front) inputs(class *gatewayv1.GatewayClass) []any {
	in := f.in
	target, _, _ := f.parametersTarget(class)
	values := []any{in.cfg.Gateways[f.name], class, in.cfg.GatewayParameters[target]}
	values = f.holdInputs(values, parametersPart(target))
	for i := range f.gateway.Spec.Listeners {
		values = f.holdInputs(values, listenerPart(f.name, f.gateway.Spec.Listeners[i].Name))
		tls := f.gateway.Spec.Listeners[i].TLS
		if tls == nil {
			continue
		}
		for _, ref := range tls.CertificateRefs {
			secret := f.secretOf(ref)
			file := in.pem(pemKey{kind: kindSecret, name: secret})
			outdated := ""
			if file.fault == nil {
				if fault := file.outdated(in.cfg.Now); fault != nil {
					outdated = fault.code
				}
			}
			values = append(values, file, outdated, f.mayUse(secret))
		}
	}
	return values
}

// routeInputs is all that is made of the Gateway's routes, but for the plans of tunnels.
func (f *front) routeInputs() []any {
	var values []any
	for _, route := range f.routes {
		values = append(values, route, f.refused(route), f.in.cfg.Namespaces[route.Namespace])
		for ref := range backendRefs(route) {
			values = f.tunnelInputs(values, route, ref)
		}
	}
	return values
}

// holdInputs adds a part that is held back here.
func (f *front) holdInputs(values []any, part api.Part) []any {
	if hold, held := f.hold(part); held {
		values = append(values, part, hold)
	}
	return values
}

func (f *front) tunnelInputs(values []any, route *gatewayv1.HTTPRoute, ref *gatewayv1.HTTPBackendRef) []any {
	name := tunnelOf(route, ref)
	plan := f.in.tunnels[name]
	values = append(values, plan != nil, f.granted(route, name))
	if plan == nil {
		return values
	}
	values = f.holdInputs(values, tunnelPart(plan.tunnel))
	for i := range plan.tunnel.Spec.Services {
		values = append(values, f.in.cfg.MemberClusters[plan.tunnel.Spec.Services[i].Cluster])
	}
	return values
}

// namedTunnels are those that the Gateway's routes name.
func (f *front) namedTunnels() map[types.NamespacedName]struct{} {
	named := map[types.NamespacedName]struct{}{}
	for _, route := range f.routes {
		for ref := range backendRefs(route) {
			named[tunnelOf(route, ref)] = struct{}{}
		}
	}
	return named
}

// touched are the tunnels that changed in ways of which routes say nothing. small is false where one changed in another way.
func (f *front) touched(old *gatewayPlan) (touched map[types.NamespacedName]*tunnelPlan, small bool) {
	for name, plan := range f.in.changed {
		if _, named := old.named[name]; !named {
			continue
		}
		if !sameToRoutes(f.in.prev.tunnels[name], plan) {
			return nil, false
		}
		if _, held := f.hold(tunnelPart(plan.tunnel)); held {
			return nil, false
		}
		if touched == nil {
			touched = map[types.NamespacedName]*tunnelPlan{}
		}
		touched[name] = plan
	}
	return touched, true
}

// sameToRoutes is true for two plans of one tunnel that make no difference to the routes that lead to it. Either may be nil.
func sameToRoutes(a, b *tunnelPlan) bool {
	sameCluster := func(a, b v1alpha1.TunnelService) bool { return a.Cluster == b.Cluster }
	return a != nil && b != nil && a.refused == b.refused && (a.cluster == nil) == (b.cluster == nil) && slices.Equal(a.secrets, b.secrets) &&
		routingOf(a.tunnel) == routingOf(b.tunnel) && a.tunnel.Spec.Network == b.tunnel.Spec.Network &&
		slices.EqualFunc(a.tunnel.Spec.Services, b.tunnel.Spec.Services, sameCluster)
}

// with is the plan with other plans of tunnels that are the same to its routes.
func (g *gatewayPlan) with(tunnels map[types.NamespacedName]*tunnelPlan) *gatewayPlan {
	if len(tunnels) == 0 {
		return g
	}
	next := *g
	next.resources = slices.Clone(g.resources)
	for _, plan := range tunnels {
		if plan.cluster == nil {
			continue
		}
		key := plan.cluster.ResourceKey
		i, there := slices.BinarySearchFunc(next.resources, key, func(r *api.Resource, key api.ResourceKey) int { return r.Compare(key) })
		if there {
			next.resources[i] = plan.cluster
		}
	}
	for i, made := range next.resources {
		if made.Type == resource.RouteType {
			next.resources[i] = withSources(made, tunnels)
		}
	}
	return &next
}

// withSources is a RouteConfiguration with the present forms of tunnels in its Sources.
func withSources(made *api.Resource, tunnels map[types.NamespacedName]*tunnelPlan) *api.Resource {
	sources := made.Sources
	for i := range made.Sources {
		before := &made.Sources[i]
		if before.Kind != v1alpha1.KindTunnel || before.Form == nil {
			continue
		}
		plan := tunnels[types.NamespacedName{Namespace: before.Namespace, Name: before.Name}]
		if plan == nil {
			continue
		}
		now := api.Source{Part: before.Part, Form: plan.tunnel, Says: routingOf(plan.tunnel)}
		if sameSource(*before, now) {
			continue
		}
		if &sources[0] == &made.Sources[0] {
			sources = slices.Clone(made.Sources)
		}
		sources[i] = now
	}
	if len(sources) == 0 || &sources[0] == &made.Sources[0] {
		return made
	}
	copied := *made
	copied.Sources = sources
	return &copied
}

// backendRefs are those of all rules of a route.
func backendRefs(route *gatewayv1.HTTPRoute) iter.Seq[*gatewayv1.HTTPBackendRef] {
	return func(yield func(*gatewayv1.HTTPBackendRef) bool) {
		for i := range route.Spec.Rules {
			refs := route.Spec.Rules[i].BackendRefs
			for j := range refs {
				if !yield(&refs[j]) {
					return
				}
			}
		}
	}
}

// tunnelOf is the name of the tunnel that a backendRef would name.
func tunnelOf(route *gatewayv1.HTTPRoute, ref *gatewayv1.HTTPBackendRef) types.NamespacedName {
	return types.NamespacedName{Namespace: string(orDefault(ref.Namespace, gatewayv1.Namespace(route.Namespace))), Name: string(ref.Name)}
}

// TunnelsOf are the tunnels that a route's backendRefs would name; none for nil.
func TunnelsOf(route *gatewayv1.HTTPRoute) []api.Part {
	var tunnels []api.Part
	if route != nil {
		for ref := range backendRefs(route) {
			tunnels = append(tunnels, tunnelPartOf(tunnelOf(route, ref)))
		}
	}
	return tunnels
}

// granted says whether a route may use a tunnel.
func (f *front) granted(route *gatewayv1.HTTPRoute, tunnel types.NamespacedName) bool {
	return f.in.grants.allows(gatewayv1.GroupName, "HTTPRoute", route.Namespace, v1alpha1.Group, v1alpha1.KindTunnel, tunnel.Namespace, tunnel.Name)
}

// secretOf is the Secret that a certificateRef names.
func (f *front) secretOf(ref gatewayv1.SecretObjectReference) types.NamespacedName {
	return types.NamespacedName{Namespace: string(orDefault(ref.Namespace, gatewayv1.Namespace(f.name.Namespace))), Name: string(ref.Name)}
}

// mayUse says whether the Gateway may use a Secret.
func (f *front) mayUse(secret types.NamespacedName) bool {
	return f.in.grants.allows(gatewayv1.GroupName, "Gateway", f.name.Namespace, "", "Secret", secret.Namespace, secret.Name)
}
