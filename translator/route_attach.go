package translator

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// attachRoutes puts each HTTPRoute under the hostnames of the listeners that it belongs to.
func (f *front) attachRoutes(listeners []*listener) {
	for _, route := range f.routes {
		attached := map[*listener]bool{}
		for i, ref := range route.Spec.ParentRefs {
			if gateway, ok := parentGateway(route, ref); !ok || gateway != f.name {
				continue
			}
			f.attach(listeners, route, ref, fmt.Sprintf("spec.parentRefs[%d]", i), attached)
		}
		for l := range attached {
			f.attached[string(l.spec.Name)]++
		}
	}
}

// attach follows one parentRef, and says what is wrong where it leads nowhere.
func (f *front) attach(listeners []*listener, route *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference, field string, attached map[*listener]bool) {
	var named, allowed, matched bool
	hostnames := f.validHostnames(route)
	if len(hostnames) == 0 && len(route.Spec.Hostnames) > 0 {
		return // without them the route would take every host
	}
	for _, l := range listeners {
		if ref.SectionName != nil && *ref.SectionName != l.spec.Name || ref.Port != nil && *ref.Port != l.spec.Port {
			continue
		}
		named = true
		if !f.allows(l, route) {
			continue
		}
		allowed = true
		for _, hostname := range intersection(l.hostname, hostnames) {
			matched = true
			if !slices.Contains(l.hosts[hostname], route) {
				l.hosts[hostname] = append(l.hosts[hostname], route)
			}
			attached[l] = true
		}
	}
	switch {
	case !named:
		f.routeProblem(route, codeNoMatchingParent, field, fmt.Sprintf("Gateway %s has no listener in force with that name and port", f.name),
			"name one of its listeners, or see the Gateway's own problems")
	case !allowed:
		f.routeProblem(route, codeNotAllowedByListeners, field, fmt.Sprintf("no listener of Gateway %s allows HTTPRoutes of namespace %s", f.name, route.Namespace),
			"set allowedRoutes in the listener, or move the route")
	case !matched:
		f.routeProblem(route, codeNoMatchingListenerHostname, "spec.hostnames", fmt.Sprintf("none of the hostnames is one of Gateway %s's listeners", f.name),
			"use hostnames that a listener covers, or leave them out")
	}
}

// hostnamePattern is a DNS name, whose first label may be a wildcard.
var hostnamePattern = regexp.MustCompile(`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func isHostname(text string) bool {
	return len(text) <= 253 && hostnamePattern.MatchString(strings.ToLower(text))
}

// validHostnames are a route's hostnames without those that are none, each of which is a Problem.
func (f *front) validHostnames(route *gatewayv1.HTTPRoute) []gatewayv1.Hostname {
	var valid []gatewayv1.Hostname
	for i, hostname := range route.Spec.Hostnames {
		if isHostname(string(hostname)) {
			valid = append(valid, hostname)
			continue
		}
		f.routeProblem(route, api.CodeInvalidValue, fmt.Sprintf("spec.hostnames[%d]", i), fmt.Sprintf("%q is not a hostname", hostname),
			"use a DNS name, with *. in front for all names below it")
	}
	return valid
}

// allows says whether a listener takes a route of that namespace and kind.
func (f *front) allows(l *listener, route *gatewayv1.HTTPRoute) bool {
	allowed := l.spec.AllowedRoutes
	if allowed == nil {
		return route.Namespace == f.name.Namespace
	}
	if len(allowed.Kinds) > 0 && !slices.ContainsFunc(allowed.Kinds, func(k gatewayv1.RouteGroupKind) bool {
		return k.Kind == "HTTPRoute" && orDefault(k.Group, gatewayv1.GroupName) == gatewayv1.GroupName
	}) {
		return false
	}
	from, selector := gatewayv1.NamespacesFromSame, (*metav1.LabelSelector)(nil)
	if allowed.Namespaces != nil {
		from, selector = orDefault(allowed.Namespaces.From, gatewayv1.NamespacesFromSame), allowed.Namespaces.Selector
	}
	switch from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return route.Namespace == f.name.Namespace
	case gatewayv1.NamespacesFromSelector:
		matcher, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			f.problem(api.CodeInvalidValue, l.field+".allowedRoutes.namespaces.selector", err.Error(), "correct the selector")
			return false
		}
		return matcher.Matches(f.namespaceLabels(route.Namespace))
	default:
		return false
	}
}

// namespaceLabels are a Namespace's labels with the one that Kubernetes sets on each.
func (f *front) namespaceLabels(name string) labels.Set {
	set := labels.Set{}
	if namespace := f.in.cfg.Namespaces[name]; namespace != nil {
		for key, value := range namespace.Labels {
			set[key] = value
		}
	}
	set["kubernetes.io/metadata.name"] = name
	return set
}

// intersection returns the hostnames that a listener and a route have in
// common; "" is every hostname. See HTTPRouteSpec.hostnames of Gateway API.
func intersection(listener string, hostnames []gatewayv1.Hostname) []string {
	if len(hostnames) == 0 {
		return []string{listener}
	}
	var out []string
	for _, h := range hostnames {
		hostname := strings.ToLower(string(h))
		switch {
		case covers(listener, hostname):
			out = append(out, hostname)
		case covers(hostname, listener):
			out = append(out, listener)
		}
	}
	return out
}

// covers says whether every host of b is one of a.
func covers(a, b string) bool {
	switch {
	case a == "" || a == b:
		return true
	case b == "" || !strings.HasPrefix(a, "*."):
		return false
	default:
		return strings.HasSuffix(strings.TrimPrefix(b, "*"), a[1:]) && b != a[1:]
	}
}

func (f *front) routeProblem(route *gatewayv1.HTTPRoute, code, field, message, remedy string) {
	f.problems = append(f.problems, problemOf(routeRef(route), route.Generation, code, field, message, remedy))
}

func routeRef(route *gatewayv1.HTTPRoute) api.ObjectRef {
	return api.ObjectRef{Group: gatewayv1.GroupName, Kind: kindHTTPRoute, Namespace: route.Namespace, Name: route.Name}
}

// unattached tells of routes whose Gateway is not there.
func unattached(cfg *snapshot.Config) []api.Problem {
	var problems []api.Problem
	for _, route := range cfg.HTTPRoutes {
		if len(route.Spec.ParentRefs) == 0 {
			problems = append(problems, problemOf(routeRef(route), route.Generation, api.CodeMissingField, "spec.parentRefs",
				"the route belongs to no Gateway", "name a Gateway"))
		}
		for i, ref := range route.Spec.ParentRefs {
			name, ok := parentGateway(route, ref)
			if ok && cfg.Gateways[name] == nil {
				problems = append(problems, problemOf(routeRef(route), route.Generation, codeMissingGateway, fmt.Sprintf("spec.parentRefs[%d]", i),
					fmt.Sprintf("there is no Gateway %s", name), "add it, or correct the name"))
			}
		}
	}
	return problems
}
