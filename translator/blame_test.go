package translator

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
)

func ownerOf(kind, name string) api.Owner {
	return api.Owner{ObjectRef: api.ObjectRef{Kind: kind, Namespace: "edge", Name: name}, Generation: 3}
}

func TestBlameFindsTheObjectAndTheField(t *testing.T) {
	endpoint := func(address string, metadata *corev3.Metadata) *endpointv3.LbEndpoint {
		return &endpointv3.LbEndpoint{Metadata: metadata, HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
			Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{Address: address}}},
		}}}
	}
	regex := func(name, pattern string) *routev3.Route {
		return &routev3.Route{Name: name, Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_SafeRegex{
			SafeRegex: &matcherv3.RegexMatcher{Regex: pattern},
		}}}
	}
	routes := &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{
		{Name: "a", Routes: []*routev3.Route{{Name: "edge/hello/0/0"}}},
		{Name: "b", Routes: []*routev3.Route{{Name: "edge/hello/1/2"}, regex("edge/other/4/0", `/a\d(?!b)`), regex("edge/other/4/1", `/\d`)}},
	}}
	assignment := &endpointv3.ClusterLoadAssignment{Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{
		endpoint("10.0.0.1", metadata("pod", "x")), endpoint("example.com", nil),
	}}}}
	const route = "Proto constraint validation failed (RouteConfigurationValidationError.VirtualHosts[1]: embedded message failed validation | " +
		"caused by VirtualHostValidationError.Routes[0]: embedded message failed validation | caused by "
	const lb = "Proto constraint validation failed (ClusterLoadAssignmentValidationError.Endpoints[0]: embedded message failed validation | " +
		"caused by LocalityLbEndpointsValidationError.LbEndpoints[0]: embedded message failed validation | caused by LbEndpointValidationError.LoadBalancingWeight: value)"
	shared := []string{"Gateway/front", "HTTPRoute/hello", "HTTPRoute/other"}
	for _, c := range []struct {
		made    proto.Message
		owners  []string
		message string
		want    string
		field   string
	}{
		{routes, shared, route + "RouteValidationError.Match: value is required)", "HTTPRoute/hello", "spec.rules[1].matches[2]"},
		{routes, shared, route + "RouteValidationError.Route: embedded)", "HTTPRoute/hello", "spec.rules[1]"},
		{routes, shared, "invalid perl operator: (?!", "HTTPRoute/other", "spec.rules[4]"},
		{routes, shared, `invalid escape sequence: \d`, "HTTPRoute/other", "spec.rules[4]"},
		{routes, shared, `regex '/a\d(?!b)' RE2 program size of 13005 > max program size of 10000 set for the error level threshold.`, "HTTPRoute/other", "spec.rules[4]"},
		{routes, shared, "nothing that is known: nowhere to be found", "Gateway/front", ""},
		{routes, shared[:2], "Sum of weights in the weighted_cluster must be greater than 0.", "HTTPRoute/hello", ""},
		{routes, shared[:2], "Only a single wildcard domain is permitted in route gateway/edge/front/80", "Gateway/front", ""},
		{routes, shared[:1], "anything", "Gateway/front", ""},
		{assignment, []string{"Tunnel/t"}, lb, "Tunnel/t", "spec.services"},
		{assignment, []string{"Tunnel/t"}, "malformed IP address: example.com. Consider setting resolver_name", "Tunnel/t", "spec.addresses"},
		{assignment, []string{"Tunnel/t"}, "no clue", "Tunnel/t", ""},
		{&clusterv3.Cluster{}, []string{"Tunnel/t"}, "Proto constraint validation failed (ClusterValidationError.HealthChecks[0]: embedded message failed validation | " +
			"caused by HealthCheckValidationError.UnhealthyThreshold: value is required)", "Tunnel/t", "spec.healthCheck.active"},
		{&clusterv3.Cluster{}, []string{"Tunnel/t"}, "Error adding/updating cluster(s) t: Failed to load trusted CA certificates from <inline>", "Tunnel/t", "spec.tls.caCertificateRefs"},
		{&listenerv3.Listener{}, []string{"Gateway/front"}, "Error adding/updating listener(s) l: cannot bind '127.0.0.1:33791': Address already in use", "Gateway/front", "spec.listeners"},
		{&tlsv3.Secret{}, []string{"Secret/s"}, "Failed to load certificate chain from <inline>", "Secret/s", "data[tls.crt]"},
		{&tlsv3.Secret{}, nil, "Failed", "/", ""},
	} {
		resource := &api.Resource{Message: c.made}
		for _, owner := range c.owners {
			kind, name, _ := strings.Cut(owner, "/")
			resource.Owners = append(resource.Owners, ownerOf(kind, name))
		}
		owner, field := Blame(resource, c.message, nil)
		if got := owner.Kind + "/" + owner.Name; got != c.want || field != c.field {
			t.Errorf("%.60s…: %s %q, want %s %q", c.message, got, field, c.want, c.field)
		}
	}
}

// FuzzBlame looks for messages that it cannot bear.
func FuzzBlame(f *testing.F) {
	f.Add("RouteConfigurationValidationError.VirtualHosts[99999999999999999999]: x | VirtualHostValidationError.Routes[-1]: y: \"")
	f.Fuzz(func(t *testing.T, message string) {
		for _, made := range []proto.Message{
			&routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{{Routes: []*routev3.Route{{Name: "edge/a/0/0"}}}}},
			&endpointv3.ClusterLoadAssignment{Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{}}}}},
			&clusterv3.Cluster{},
		} {
			owners := []api.Owner{ownerOf("Gateway", "g"), ownerOf("HTTPRoute", "a")}
			if owner, _ := Blame(&api.Resource{Message: made, Owners: owners}, message, nil); owner != owners[0] && owner != owners[1] {
				t.Errorf("owner %v", owner)
			}
		}
	})
}
