package translator

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// routesByGateway are the HTTPRoutes by the Gateways that they name as a parent, each once, in the order of their names.
func routesByGateway(in *input) map[types.NamespacedName][]*gatewayv1.HTTPRoute {
	out := map[types.NamespacedName][]*gatewayv1.HTTPRoute{}
	heldAt := in.routesHeldAt()
	for _, name := range sortedNames(in.cfg.HTTPRoutes) {
		route := in.cfg.HTTPRoutes[name]
		for _, gateway := range slices.Concat(parentsOf(route), heldAt[name]) {
			at, before := in.routeAt(gateway, route), out[gateway]
			if at == nil || len(before) > 0 && before[len(before)-1] == at || !slices.Contains(parentsOf(at), gateway) {
				continue
			}
			out[gateway] = append(before, at)
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

// routesHeldAt are the Gateways that have another form of a route, which may name another parent.
func (in *input) routesHeldAt() map[types.NamespacedName][]types.NamespacedName {
	at := map[types.NamespacedName][]types.NamespacedName{}
	for key := range in.cfg.Holds {
		namespace, name, ok := strings.Cut(key.Gateway, "/")
		if key.Kind == kindHTTPRoute && ok {
			route := types.NamespacedName{Namespace: key.Namespace, Name: key.Name}
			at[route] = append(at[route], types.NamespacedName{Namespace: namespace, Name: name})
		}
	}
	return at
}

// parentGateway is the Gateway that a parentRef names, and false for a parent of another kind.
func parentGateway(route *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference) (types.NamespacedName, bool) {
	name := types.NamespacedName{Namespace: string(orDefault(ref.Namespace, gatewayv1.Namespace(route.Namespace))), Name: string(ref.Name)}
	return name, orDefault(ref.Group, gatewayv1.GroupName) == gatewayv1.GroupName && orDefault(ref.Kind, "Gateway") == "Gateway"
}

// inputs is all that the plan of a Gateway is made from, as values to compare:
// while they are the same ones, so would be the plan.
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
	for _, route := range f.routes {
		values = append(values, route, f.refused(route), in.cfg.Namespaces[route.Namespace])
		for i := range route.Spec.Rules {
			for j := range route.Spec.Rules[i].BackendRefs {
				values = f.tunnelInputs(values, route, &route.Spec.Rules[i].BackendRefs[j])
			}
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
	values = append(values, plan, f.granted(route, name))
	if plan == nil {
		return values
	}
	values = f.holdInputs(values, tunnelPart(plan.tunnel))
	for i := range plan.tunnel.Spec.Services {
		values = append(values, f.in.cfg.MemberClusters[plan.tunnel.Spec.Services[i].Cluster])
	}
	return values
}

// tunnelOf is the name of the tunnel that a backendRef would name.
func tunnelOf(route *gatewayv1.HTTPRoute, ref *gatewayv1.HTTPBackendRef) types.NamespacedName {
	return types.NamespacedName{Namespace: string(orDefault(ref.Namespace, gatewayv1.Namespace(route.Namespace))), Name: string(ref.Name)}
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
