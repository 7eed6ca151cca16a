package xds

import (
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
)

func TestDeltaNodeIsNeededInTheFirstRequestOnlyAndMayBeInEach(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), endpoints("a", 1))
	first := w.delta()
	first.subscribe(clusterType)
	first.want(clusterType, "a")
	first.subscribe(endpointType, "a")
	first.want(endpointType, "a")
	first.quiet()
	each := w.deltaNode("envoy-2")
	each.spoken = true
	for _, r := range []*discoveryv3.DeltaDiscoveryRequest{
		{TypeUrl: clusterType}, {TypeUrl: endpointType, ResourceNamesSubscribe: []string{"a"}},
	} {
		r.Node = node("envoy-2")
		each.ask(r)
		each.want(r.GetTypeUrl(), "a")
	}
	each.quiet()
}

func TestSotWNodeIsNeededInTheFirstRequestOnlyAndMayBeInEach(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), endpoints("a", 1))
	first := w.sotw()
	first.subscribe(clusterType)
	first.want(clusterType, "a")
	first.subscribe(endpointType, "a")
	first.want(endpointType, "a")
	first.quiet()
	each := w.sotwNode("envoy-2")
	each.spoken = true
	for _, r := range []*discoveryv3.DiscoveryRequest{{TypeUrl: clusterType}, {TypeUrl: endpointType, ResourceNames: []string{"a"}}} {
		r.Node = node("envoy-2")
		each.ask(r)
		each.want(r.GetTypeUrl(), "a")
	}
	each.quiet()
}

func TestSotWFirstRequestMustSayWhoAsks(t *testing.T) {
	w := newWorld(t, quick())
	c := w.sotw()
	c.spoken = true
	c.subscribe(clusterType)
	err := c.ends()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, "the first request on a stream must hold a node with an id")
}

// twoGateways is a world in which each of two Gateways has a secret of its own.
func twoGateways(t *testing.T) *world {
	t.Helper()
	w := newEmptyWorld(t, quick())
	w.server.SetViews(map[string][]*api.Resource{gateway: fenced(secret("mine", 1)), "edge/other": {secret("theirs", 1)}})
	return w
}

func TestDeltaLaterNodeIsNotBelieved(t *testing.T) {
	w := twoGateways(t)
	c := w.delta()
	c.subscribe(secretType, "mine")
	c.want(secretType, "mine")
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: secretType, ResourceNamesSubscribe: []string{"mine"}, Node: node("envoy-9")})
	c.want(secretType, "mine")
	c.quiet()
	require.Equal(t, "envoy-1", w.server.Streams()[0].Node)
	c.ask(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: secretType, ResourceNamesSubscribe: []string{"theirs"}, Node: &corev3.Node{Id: "envoy-1", Cluster: "edge/other"},
	})
	select {
	case r := <-c.responses:
		require.Equal(t, []string{"-theirs"}, deltaNames(r))
	case err := <-c.failed:
		require.Equal(t, codes.PermissionDenied, status.Code(err))
	}
}

func TestSotWLaterNodeIsNotBelieved(t *testing.T) {
	w := twoGateways(t)
	c := w.sotw()
	c.subscribe(secretType, "mine")
	c.want(secretType, "mine")
	c.ask(&discoveryv3.DiscoveryRequest{
		TypeUrl: secretType, ResourceNames: []string{"theirs", "fence-a"}, ResponseNonce: c.nonces[secretType],
		Node: &corev3.Node{Id: "envoy-1", Cluster: "edge/other"},
	})
	select {
	case r := <-c.responses:
		require.Equal(t, []string{"fence-a"}, sotwNames(t, r))
	case err := <-c.failed:
		require.Equal(t, codes.PermissionDenied, status.Code(err))
	}
}

func TestNodeMustNameAGateway(t *testing.T) {
	config, registry := quick(), prometheus.NewRegistry()
	config.Registerer = registry
	w := newWorld(t, config, cluster("a", 1))
	d, s := w.delta(), w.sotw()
	d.spoken, s.spoken = true, true
	d.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, Node: &corev3.Node{Id: "envoy-1"}})
	s.ask(&discoveryv3.DiscoveryRequest{TypeUrl: clusterType, Node: &corev3.Node{Id: "envoy-1"}})
	for _, err := range []error{d.ends(), s.ends()} {
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ErrorContains(t, err, "node.cluster is empty; set it to the Gateway that the client belongs to, as NAMESPACE/NAME")
	}
	require.Equal(t, 2.0, gathered(t, registry)["podway_xds_refused_streams_total"][string(reasonBadNode)])
}

func TestFieldsOfANodeThatAreNotKnownAreForgotten(t *testing.T) {
	who := node("envoy-1")
	who.Locality = &corev3.Locality{Zone: "z"}
	version := &typev3.SemanticVersion{MajorNumber: 1}
	who.UserAgentVersionType = &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{Version: version}}
	unknown := append([]byte{0xfa, 0x7f, 0x64}, make([]byte, 100)...)
	for _, of := range []proto.Message{who, who.GetLocality(), version} {
		of.ProtoReflect().SetUnknown(unknown)
	}
	described := describeNode(who)
	require.Equal(t, "z", described.GetLocality().GetZone())
	require.Less(t, proto.Size(described), 100)
	require.NotPanics(t, func() { describeNode(node("envoy-2")) })
}

func TestNodeMayHoldNoControlCharacters(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	for field, bad := range map[string]*corev3.Node{
		"node.id":                 {Id: "envoy\x1b[2J", Cluster: gateway},
		"node.cluster":            {Id: "envoy", Cluster: "edge/public\n"},
		"node.user_agent_name":    {Id: "envoy", Cluster: gateway, UserAgentName: "envoy\r"},
		"node.locality.zone":      {Id: "envoy", Cluster: gateway, Locality: &corev3.Locality{Zone: "\x7f"}},
		"node.user_agent_version": {Id: "envoy", Cluster: gateway, UserAgentVersionType: &corev3.Node_UserAgentVersion{UserAgentVersion: "1\u009b"}},
	} {
		c := w.delta()
		c.spoken = true
		c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, Node: bad})
		err := c.ends()
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ErrorContains(t, err, field+" holds a control character")
	}
	require.Empty(t, w.server.Streams())
}
