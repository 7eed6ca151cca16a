package translator

import (
	"fmt"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// refusedCluster is a cluster that is never there: a share of a rule whose tunnel is not in force goes to it and is answered 500.
const refusedCluster = "podway/refused"

// maxShare is the largest weight of a backendRef that Gateway API allows.
const maxShare = 1_000_000

// routeBackend is one backendRef of a rule.
type routeBackend struct {
	ref    *gatewayv1.HTTPBackendRef
	field  string
	weight uint32
	// plan is nil where the reference leads to nothing that is in force; tunnel is the form that routes are made from, nil where there is none.
	plan   *tunnelPlan
	tunnel *v1alpha1.Tunnel
	name   types.NamespacedName
}

// act sets what a route does with a request that it matches.
func (f *front) act(c *compiled, l *listener, route *gatewayv1.HTTPRoute, rule *gatewayv1.HTTPRouteRule, field string, match *gatewayv1.HTTPRouteMatch) {
	mods, problem := readFilters(rule.Filters, field+".filters", match, l)
	if problem == nil {
		problem = unsupportedInRule(rule, field)
	}
	if problem != nil {
		f.routeProblem(route, problem.code, problem.field, problem.message, problem.remedy)
		c.answer(500)
		return
	}
	mods.applyHeaders(c.route)
	if mods.redirect != nil {
		c.route.Action = &routev3.Route_Redirect{Redirect: mods.redirect}
		return
	}
	backends := f.backends(route, rule, field)
	c.backends = backends
	action, ok := f.forward(c, route, backends)
	if !ok {
		c.answer(500)
		return
	}
	mods.applyRewrite(action)
	f.namePod(c.route)
	f.timeouts(action, route, rule, field, backends)
	c.route.Action = &routev3.Route_Route{Route: action}
}

// namePod adds the header that names the Pod to what comes from a tunnel. Redirects and answers of Envoy's own routes have none.
func (f *front) namePod(route *routev3.Route) {
	if !headerName.MatchString(f.params.PodHeader) {
		return
	}
	route.ResponseHeadersToAdd = append(route.ResponseHeadersToAdd, &corev3.HeaderValueOption{
		Header: &corev3.HeaderValue{
			Key:   f.params.PodHeader,
			Value: "%UPSTREAM_METADATA(podway:cluster)%/%UPSTREAM_METADATA(podway:namespace)%/%UPSTREAM_METADATA(podway:pod)%",
		},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	})
}

func (c *compiled) answer(status uint32) {
	c.route.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: status}}
}

func unsupportedInRule(rule *gatewayv1.HTTPRouteRule, field string) *fieldProblem {
	if rule.Retry != nil {
		return &fieldProblem{codeUnsupported, field + ".retry", "retries of a rule are not supported yet", "set retry in the Tunnel"}
	}
	if rule.SessionPersistence != nil { //nolint:staticcheck // it is still served, and must not be ignored
		return &fieldProblem{codeUnsupported, field + ".sessionPersistence", "session persistence is not supported yet", "set loadBalancer.type ConsistentHash in the Tunnel"}
	}
	return nil
}

// backends resolves the backendRefs of a rule.
func (f *front) backends(route *gatewayv1.HTTPRoute, rule *gatewayv1.HTTPRouteRule, field string) []routeBackend {
	out := make([]routeBackend, 0, len(rule.BackendRefs))
	for i := range rule.BackendRefs {
		ref := &rule.BackendRefs[i]
		b := routeBackend{ref: ref, field: fmt.Sprintf("%s.backendRefs[%d]", field, i), weight: uint32(min(max(orDefault(ref.Weight, 1), 0), maxShare))}
		b.name = tunnelOf(route, ref)
		plan, problem := f.tunnel(route, ref, b.name)
		if problem != nil {
			f.routeProblem(route, problem.code, b.field+problem.field, problem.message, problem.remedy)
		}
		if b.plan = plan; plan != nil {
			b.tunnel = f.tunnelAt(plan)
		} else if known := f.in.tunnels[b.name]; known != nil && f.leftOut(tunnelPart(known.tunnel)) {
			b.tunnel = known.tunnel
		}
		out = append(out, b)
	}
	return out
}

// tunnel finds the tunnel of a reference; nil, with the reason, where it is not to be used.
func (f *front) tunnel(route *gatewayv1.HTTPRoute, ref *gatewayv1.HTTPBackendRef, name types.NamespacedName) (*tunnelPlan, *fieldProblem) {
	group, kind := string(orDefault(ref.Group, "")), string(orDefault(ref.Kind, "Service"))
	if group != v1alpha1.Group || kind != v1alpha1.KindTunnel {
		return nil, &fieldProblem{
			codeInvalidReference, ".kind", fmt.Sprintf("a backend of group %q and kind %s is not a Tunnel; its share of the requests is answered 500", group, kind),
			"set group podway.dev and kind Tunnel, and put the Service into a Tunnel",
		}
	}
	if !f.granted(route, name) {
		return nil, &fieldProblem{
			codeReferenceNotGranted, "", fmt.Sprintf("no ReferenceGrant in namespace %s lets HTTPRoutes of namespace %s use Tunnel %s; its share of the requests is answered 500", name.Namespace, route.Namespace, name.Name),
			"add a ReferenceGrant there, or use a Tunnel of the route's namespace",
		}
	}
	plan := f.in.tunnels[name]
	if plan == nil {
		return nil, &fieldProblem{codeMissingTunnel, ".name", fmt.Sprintf("there is no Tunnel %s in force; its share of the requests is answered 500", name), "add it, or see the problems of the file that it is in"}
	}
	if plan.refused || plan.cluster == nil || f.leftOut(tunnelPart(plan.tunnel)) {
		return nil, &fieldProblem{codeRefusedTunnel, ".name", fmt.Sprintf("Tunnel %s is not in force; its share of the requests is answered 500", name), "see the tunnel's own problems"}
	}
	if network := plan.tunnel.Spec.Network; network != "" && network != f.params.Network {
		return nil, &fieldProblem{
			codeNetworkMismatch, ".name", fmt.Sprintf("Tunnel %s is in network %q and Gateway %s in %q; its share of the requests is answered 500", name, network, f.name, f.params.Network),
			"set network in the Gateway's GatewayParameters, or use a tunnel of its network",
		}
	}
	return plan, f.checkClusterNetworks(plan)
}

// checkClusterNetworks warns of Pods that the Gateway's Envoys cannot reach,
// where the tunnel itself says nothing of its network. The tunnel stays in use: its other Pods may do.
func (f *front) checkClusterNetworks(plan *tunnelPlan) *fieldProblem {
	if plan.tunnel.Spec.Network != "" || f.params.Network == "" {
		return nil
	}
	for _, service := range plan.tunnel.Spec.Services {
		member := f.in.cfg.MemberClusters[service.Cluster]
		if member != nil && member.Spec.Network != "" && member.Spec.Network != f.params.Network {
			return &fieldProblem{codeNetworkMismatch, ".name", fmt.Sprintf("Tunnel %s/%s uses MemberCluster %s of network %q, which the Envoys of Gateway %s in %q may not reach",
				plan.tunnel.Namespace, plan.tunnel.Name, service.Cluster, member.Spec.Network, f.name, f.params.Network), "use clusters of the Gateway's network"}
		}
	}
	return nil
}

// forward makes the action that sends requests to the tunnels, or says that there is none to send them to.
func (f *front) forward(c *compiled, route *gatewayv1.HTTPRoute, backends []routeBackend) (*routev3.RouteAction, bool) {
	var total uint32
	usable, plain := false, true
	for i := range backends {
		total += backends[i].weight
		usable = usable || backends[i].plan != nil && backends[i].weight > 0
		plain = plain && len(backends[i].ref.Filters) == 0
	}
	if total == 0 || !usable {
		return nil, false
	}
	action := &routev3.RouteAction{ClusterNotFoundResponseCode: routev3.RouteAction_INTERNAL_SERVER_ERROR}
	weighted := &routev3.WeightedCluster{}
	rewrites := false
	for i := range backends {
		b := &backends[i]
		if b.weight == 0 {
			continue
		}
		share := &routev3.WeightedCluster_ClusterWeight{Name: refusedCluster, Weight: wrapperspb.UInt32(b.weight)}
		if b.plan != nil {
			if problem := f.shareFilters(share, b); problem != nil {
				f.routeProblem(route, problem.code, problem.field, problem.message, problem.remedy)
				share.Name = refusedCluster
			} else {
				share.Name = b.plan.cluster.Name
				f.tunnels[b.name] = true
				c.needs = append(c.needs, b.plan.cluster.ResourceKey)
				rewrites = rewrites || routingOf(b.tunnel).rewrites
			}
		}
		weighted.Clusters = append(weighted.Clusters, share)
	}
	if len(weighted.Clusters) == 1 && plain {
		action.ClusterSpecifier = &routev3.RouteAction_Cluster{Cluster: weighted.Clusters[0].Name}
	} else {
		action.ClusterSpecifier = &routev3.RouteAction_WeightedClusters{WeightedClusters: weighted}
	}
	if rewrites {
		action.HostRewriteSpecifier = &routev3.RouteAction_AutoHostRewrite{AutoHostRewrite: wrapperspb.Bool(true)}
		action.AppendXForwardedHost = true
	}
	return action, true
}

// timeouts sets those of the rule; Gateway API has none by default. A stream that is silent is ended all the same.
func (f *front) timeouts(action *routev3.RouteAction, route *gatewayv1.HTTPRoute, rule *gatewayv1.HTTPRouteRule, field string, backends []routeBackend) {
	idle := time.Duration(-1)
	for i := range backends {
		if backends[i].plan != nil {
			own := routingOf(backends[i].tunnel).idle
			if own == 0 || idle != 0 && own > idle {
				idle = own
			}
		}
	}
	if idle >= 0 {
		action.IdleTimeout = durationpb.New(idle)
	}
	action.Timeout = durationpb.New(0)
	try := f.tryTimeout(route, field, backends)
	if rule.Timeouts != nil {
		request, backend := duration(rule.Timeouts.Request, "0s"), duration(rule.Timeouts.BackendRequest, "0s")
		action.Timeout = durationpb.New(request)
		switch {
		case request != 0 && backend > request:
			f.routeProblem(route, api.CodeInvalidValue, field+".timeouts.backendRequest", "it is longer than timeouts.request", "make it at most as long")
		case backend != 0 && (try == 0 || backend < try):
			try = backend
		}
	}
	if try > 0 {
		// Each tunnel's own retry policy, in its Cluster, overrides all of this but the time, which is read here alone.
		action.RetryPolicy = &routev3.RetryPolicy{PerTryTimeout: durationpb.New(try)}
	}
}

// tryTimeout is the longest perTryTimeout of a rule's tunnels, 0 where one has
// none: Envoy has one for a route. Where they differ, that is a warning.
func (f *front) tryTimeout(route *gatewayv1.HTTPRoute, field string, backends []routeBackend) time.Duration {
	first, longest, bounded, differ := true, time.Duration(0), true, false
	for i := range backends {
		if backends[i].plan == nil {
			continue
		}
		own := routingOf(backends[i].tunnel).try
		differ = differ || !first && own != longest
		bounded = bounded && own > 0
		first, longest = false, max(longest, own)
	}
	if !bounded {
		longest = 0
	}
	if differ {
		problem := problemOf(routeRef(route), route.Generation, api.CodeConflict, field+".backendRefs",
			"the tunnels of this rule have different values of retry.perTryTimeout, and one must do for all: the longest, or none where one has none",
			"give these tunnels the same retry.perTryTimeout")
		problem.Severity = api.Warning
		f.problems = append(f.problems, problem)
	}
	return longest
}
