package translator

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/prototext"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// Blame says which object, and where it can be told which of its fields, an Envoy's rejection of a resource is about. message is
// what the Envoy said. Without a better clue it is the resource's main owner and no field. cfg is where the objects are; it may be nil.
func Blame(resource *api.Resource, message string, cfg *snapshot.Config) (owner api.Owner, field string) {
	if len(resource.Owners) == 0 {
		return api.Owner{}, ""
	}
	owner = resource.Owners[0]
	decoded, err := resource.Decoded()
	if err != nil {
		return owner, ""
	}
	path := protoPath(message)
	switch made := decoded.Message.(type) {
	case *routev3.RouteConfiguration:
		return blameRoutes(resource, made, path, message)
	case *endpointv3.ClusterLoadAssignment:
		if cfg == nil {
			cfg = &snapshot.Config{}
		}
		return owner, blameEndpoints(made, path, message, cfg.Tunnels[types.NamespacedName{Namespace: owner.Namespace, Name: owner.Name}])
	}
	return owner, fieldOf(owner.Kind, path, message)
}

// protoStep is a field in the message of a violated constraint, with the index of its element or -1.
type protoStep struct {
	field string
	index int
}

// constraint is how Envoy writes one: "caused by VirtualHostValidationError.Routes[1]: embedded message failed validation".
var constraint = regexp.MustCompile(`ValidationError\.(\w+)(?:\[(\d+)\])?:`)

// protoPath is the way to the field that violates a constraint, from the outside in; nothing where the message is of another kind.
func protoPath(message string) []protoStep {
	var path []protoStep
	for _, match := range constraint.FindAllStringSubmatch(message, -1) {
		step := protoStep{field: match[1], index: -1}
		if index, err := strconv.Atoi(match[2]); err == nil {
			step.index = index
		}
		path = append(path, step)
	}
	return path
}

// blameRoutes finds the HTTPRoute in a RouteConfiguration that it may share with others.
func blameRoutes(resource *api.Resource, config *routev3.RouteConfiguration, path []protoStep, message string) (api.Owner, string) {
	gateway := resource.Owners[0]
	routes := routeOwners(resource)
	if len(path) >= 2 && path[0].field == "VirtualHosts" && path[1].field == "Routes" {
		if route := routeAt(config, path[0].index, path[1].index); route != nil {
			if owner, field, found := ownerOfRoute(routes, route.GetName()); found {
				if len(path) > 2 && path[2].field != "Match" {
					field, _, _ = strings.Cut(field, ".matches")
				}
				return owner, field
			}
		}
	}
	for _, text := range fragments(message) {
		if owner, field, found := onlyRouteWith(config, routes, text); found {
			return owner, field
		}
	}
	if len(routes) == 1 && len(path) == 0 && !strings.Contains(message, "domain") {
		return routes[0], ""
	}
	return gateway, ""
}

// routeOwners are the HTTPRoutes among the owners.
func routeOwners(resource *api.Resource) []api.Owner {
	var routes []api.Owner
	for _, owner := range resource.Owners {
		if owner.Kind == "HTTPRoute" {
			routes = append(routes, owner)
		}
	}
	return routes
}

func routeAt(config *routev3.RouteConfiguration, host, route int) *routev3.Route {
	hosts := config.GetVirtualHosts()
	if host < 0 || host >= len(hosts) || route < 0 || route >= len(hosts[host].GetRoutes()) {
		return nil
	}
	return hosts[host].GetRoutes()[route]
}

// ownerOfRoute reads the name of an Envoy route: NAMESPACE/NAME/RULE/MATCH.
func ownerOfRoute(routes []api.Owner, name string) (api.Owner, string, bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 {
		return api.Owner{}, "", false
	}
	at := slices.IndexFunc(routes, func(owner api.Owner) bool { return owner.Namespace == parts[0] && owner.Name == parts[1] })
	if at < 0 {
		return api.Owner{}, "", false
	}
	return routes[at], fmt.Sprintf("spec.rules[%s].matches[%s]", parts[2], parts[3]), true
}

// quoted is how Envoy writes values in a message: "regex '/a{1000}' RE2 program size of 13005 > max program size".
var quoted = regexp.MustCompile(`'([^']+)'`)

// fragments are what a message quotes, such as the part of a regular expression that is wrong, at its end or anywhere; without what is too
// short to tell anything.
func fragments(message string) []string {
	var texts []string
	if at := strings.LastIndex(message, ": "); at >= 0 {
		texts = append(texts, strings.Trim(strings.TrimSpace(message[at+2:]), `'".`))
	}
	for _, match := range quoted.FindAllStringSubmatch(message, 8) {
		texts = append(texts, match[1])
	}
	return slices.DeleteFunc(texts, func(text string) bool { return len(text) < 2 || len(text) > 1000 })
}

// onlyRouteWith finds the HTTPRoute that alone has a text, and the rule if there is only one.
func onlyRouteWith(config *routev3.RouteConfiguration, routes []api.Owner, text string) (api.Owner, string, bool) {
	var found []api.Owner
	var fields []string
	if text == "" {
		return api.Owner{}, "", false
	}
	// As it is in the text form, where quotes and backslashes are escaped.
	text = strings.Trim(strconv.Quote(text), `"`)
	for _, host := range config.GetVirtualHosts() {
		for _, route := range host.GetRoutes() {
			if !strings.Contains(prototext.MarshalOptions{}.Format(route), text) {
				continue
			}
			if owner, field, ok := ownerOfRoute(routes, route.GetName()); ok {
				field, _, _ = strings.Cut(field, ".matches")
				found, fields = append(found, owner), append(fields, field)
			}
		}
	}
	if len(found) == 0 || len(slices.Compact(found)) > 1 {
		return api.Owner{}, "", false
	}
	if len(slices.Compact(fields)) > 1 {
		return found[0], "", true
	}
	return found[0], fields[0], true
}

// blameEndpoints is spec.services or spec.addresses, and which of them, where the endpoint that is meant can be told. tunnel may be nil.
func blameEndpoints(assignment *endpointv3.ClusterLoadAssignment, path []protoStep, message string, tunnel *v1alpha1.Tunnel) string {
	for l, locality := range assignment.GetEndpoints() {
		for e, endpoint := range locality.GetLbEndpoints() {
			address := endpoint.GetEndpoint().GetAddress().GetSocketAddress()
			byPath := len(path) >= 2 && path[0] == protoStep{"Endpoints", l} && path[1] == protoStep{"LbEndpoints", e}
			if !byPath && !strings.Contains(message, "address: "+address.GetAddress()+".") {
				continue
			}
			if pod := endpoint.GetMetadata().GetFilterMetadata()[metadataNamespace].GetFields(); pod != nil {
				return serviceField(tunnel, pod["cluster"].GetStringValue(), pod["namespace"].GetStringValue())
			}
			return addressField(tunnel, address)
		}
	}
	return ""
}

// serviceField is the one of the tunnel's services that Pods of a cluster's namespace are of, if there is only one.
func serviceField(tunnel *v1alpha1.Tunnel, cluster, namespace string) string {
	field := "spec.services"
	if tunnel == nil {
		return field
	}
	found := 0
	for i, service := range tunnel.Spec.Services {
		if service.Cluster == cluster && service.Namespace == namespace {
			field = fmt.Sprintf("spec.services[%d]", i)
			found++
		}
	}
	if found != 1 {
		return "spec.services"
	}
	return field
}

func addressField(tunnel *v1alpha1.Tunnel, address *corev3.SocketAddress) string {
	if tunnel == nil {
		return "spec.addresses"
	}
	for i, a := range tunnel.Spec.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && ip.Unmap().String() == address.GetAddress() && uint32(a.Port) == address.GetPortValue() {
			return fmt.Sprintf("spec.addresses[%d]", i)
		}
	}
	return "spec.addresses"
}
