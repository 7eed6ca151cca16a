package translator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
)

// addRoutes makes the RouteConfiguration of the listeners of one port that
// share one. A hostname belongs to its most specific listener alone, so that no
// request falls through from one listener to another.
func (f *front) addRoutes(key api.ResourceKey, listeners []*listener) {
	config := &routev3.RouteConfiguration{
		Name:                     key.Name,
		IgnorePortInHostMatching: true,
		// A share of a rule may go to no cluster on purpose.
		ValidateClusters: wrapperspb.Bool(false),
	}
	owners := []api.Owner{f.owner()}
	owning := map[*gatewayv1.HTTPRoute]bool{}
	var needs []api.ResourceKey
	var backends []routeBackend
	for _, l := range listeners {
		// Also one without routes has its hostname: what is asked of it is not found, and not another listener's.
		if _, ok := l.hosts[l.hostname]; !ok {
			l.hosts[l.hostname] = nil
		}
		for _, hostname := range slices.Sorted(maps.Keys(l.hosts)) {
			if mostSpecific(listeners, hostname) != l {
				continue
			}
			host := &routev3.VirtualHost{Name: cmp.Or(hostname, "*"), Domains: []string{cmp.Or(hostname, "*")}}
			for _, compiled := range f.virtualHostRoutes(l, hostname) {
				host.Routes = append(host.Routes, compiled.route)
				needs = append(needs, compiled.needs...)
				backends = append(backends, compiled.backends...)
			}
			for _, route := range l.hosts[hostname] {
				if !owning[route] {
					owning[route] = true
					owners = append(owners, api.Owner{ObjectRef: routeRef(route), Generation: route.Generation})
				}
			}
			config.VirtualHosts = append(config.VirtualHosts, host)
		}
	}
	slices.SortFunc(config.VirtualHosts, func(a, b *routev3.VirtualHost) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(owners[1:], func(a, b api.Owner) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	f.add(key, config, needs, owners, f.routeSources(listeners, backends))
}

// compiled is an Envoy route with what decides its place among the others.
type compiled struct {
	route *routev3.Route
	needs []api.ResourceKey
	// backends are those whose tunnels it was made from.
	backends []routeBackend
	// pathRank is 3 for exact paths, 2 for regular expressions, 1 for prefixes.
	pathRank, pathLength     int
	method, headers, queries int
	source                   *gatewayv1.HTTPRoute
	rule, match              int
}

// virtualHostRoutes are the routes of one hostname in the order of Gateway API's precedence (HTTPRouteRule.matches).
// Where paths are regular expressions, which the specification leaves open, they come after exact paths and before prefixes.
func (f *front) virtualHostRoutes(l *listener, hostname string) []compiled {
	var all []compiled
	for _, route := range l.hosts[hostname] {
		for i := range route.Spec.Rules {
			all = append(all, f.rule(l, route, i)...)
		}
	}
	slices.SortStableFunc(all, func(a, b compiled) int {
		return cmp.Or(
			cmp.Compare(b.pathRank, a.pathRank), cmp.Compare(b.pathLength, a.pathLength),
			cmp.Compare(b.method, a.method), cmp.Compare(b.headers, a.headers), cmp.Compare(b.queries, a.queries),
			a.source.CreationTimestamp.Compare(b.source.CreationTimestamp.Time),
			strings.Compare(a.source.Namespace+"/"+a.source.Name, b.source.Namespace+"/"+b.source.Name),
			cmp.Compare(a.rule, b.rule), cmp.Compare(a.match, b.match),
		)
	})
	return all
}

// rule makes one Envoy route for each match of a rule. A rule with a Problem answers 500 where it
// would have matched, and never lets its requests fall through to another rule.
func (f *front) rule(l *listener, route *gatewayv1.HTTPRoute, index int) []compiled {
	rule := &route.Spec.Rules[index]
	field := fmt.Sprintf("spec.rules[%d]", index)
	matches := rule.Matches
	if len(matches) == 0 {
		matches = []gatewayv1.HTTPRouteMatch{{}}
	}
	var out []compiled
	for i := range matches {
		c, problem := compileMatch(&matches[i])
		if problem != nil {
			f.routeProblem(route, problem.code, fmt.Sprintf("%s.matches[%d].%s", field, i, problem.field), problem.message, problem.remedy)
			continue
		}
		c.source, c.rule, c.match = route, index, i
		c.route.Name = fmt.Sprintf("%s/%s/%d/%d", route.Namespace, route.Name, index, i)
		if err := validateProto(c.route.Match); err != nil {
			f.routeProblem(route, api.CodeInvalidValue, fmt.Sprintf("%s.matches[%d]", field, i), "Envoy would refuse it: "+reason(err), "correct the value that is named")
			continue
		}
		if f.refused(route) {
			out = append(out, c.refuse())
			continue
		}
		f.act(&c, l, route, rule, field, &matches[i])
		if err := validateProto(c.route); err != nil {
			f.routeProblem(route, api.CodeInvalidValue, field, "Envoy would refuse it: "+reason(err)+"; the rule answers 500", "correct the value that is named")
			c = c.refuse()
		}
		out = append(out, c)
	}
	return out
}

// refuse makes a route that answers 500. Its match alone is that of the object.
func (c compiled) refuse() compiled {
	c.route = &routev3.Route{Name: c.route.Name, Match: c.route.Match}
	c.answer(500)
	c.needs = nil
	return c
}

// reason is the innermost cause in an error of a proto's validation, which names the field and the rule.
func reason(err error) string {
	parts := strings.Split(err.Error(), "caused by: ")
	text, _, _ := strings.Cut(parts[len(parts)-1], "; ")
	return strings.TrimSpace(text)
}
