package xds

import (
	"context"
	"fmt"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/podway/podway/api"
)

func (w *world) csds() statusv3.ClientStatusDiscoveryServiceClient {
	w.Helper()
	return csdsOf(w.T, w.address)
}

func csdsOf(t *testing.T, address string) statusv3.ClientStatusDiscoveryServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxStatusBytes+1<<20)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return statusv3.NewClientStatusDiscoveryServiceClient(conn)
}

// inspect asks once.
func inspect(t *testing.T, client statusv3.ClientStatusDiscoveryServiceClient, r *statusv3.ClientStatusRequest) []*statusv3.ClientConfig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := client.FetchClientStatus(ctx, r)
	require.NoError(t, err)
	return response.GetConfig()
}

// told is each resource of a client as "type name status".
func told(client *statusv3.ClientConfig) []string {
	var all []string
	for _, c := range client.GetGenericXdsConfigs() {
		all = append(all, fmt.Sprintf("%s %s %s", shortType(c.GetTypeUrl()), c.GetName(), c.GetConfigStatus()))
	}
	return all
}

// configOf is what is told of one name.
func configOf(t *testing.T, client *statusv3.ClientConfig, name string) *statusv3.ClientConfig_GenericXdsConfig {
	t.Helper()
	for _, c := range client.GetGenericXdsConfigs() {
		if c.GetName() == name {
			return c
		}
	}
	require.Fail(t, "nothing is told", name)
	return nil
}

func TestCSDSTellsSyncedStaleNotSentAndError(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1), cluster("c", 1), endpoints("a", 1), routes("r", "new"))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b", "c")
	c.subscribe(endpointType, "a", "none")
	c.want(endpointType, "a")
	c.want(endpointType, "-none")
	w.set(cluster("a", 1), cluster("b", 2), cluster("c", 2), cluster("new", 1), endpoints("a", 1), routes("r", "new"))
	c.nack(c.see(clusterType, "b", "c", "new"), "Error adding/updating cluster(s) b: bad thing")
	c.see(clusterType, "c", "new") // is not acknowledged
	c.subscribe(routeType, "r")
	c.quiet()
	clients := inspect(t, w.csds(), &statusv3.ClientStatusRequest{})
	require.Len(t, clients, 1)
	require.True(t, proto.Equal(node("envoy-1"), clients[0].GetNode()), "%v", clients[0].GetNode())
	require.Equal(t, []string{
		"cds a SYNCED", "cds b ERROR", "cds c STALE", "cds new STALE", "eds a SYNCED", "eds none NOT_SENT", "rds r NOT_SENT",
	}, told(clients[0]))

	bad := configOf(t, clients[0], "b")
	require.Equal(t, versionOfResource(t, cluster("b", 1)), bad.GetVersionInfo())
	require.Equal(t, versionOfResource(t, cluster("b", 2)), bad.GetErrorState().GetVersionInfo())
	require.Equal(t, "Error adding/updating cluster(s) b: bad thing", bad.GetErrorState().GetDetails())
	require.NotZero(t, bad.GetErrorState().GetLastUpdateAttempt().GetSeconds())
	failed, had := &clusterv3.Cluster{}, &clusterv3.Cluster{}
	require.NoError(t, bad.GetErrorState().GetFailedConfiguration().UnmarshalTo(failed))
	require.NoError(t, bad.GetXdsConfig().UnmarshalTo(had))
	require.True(t, proto.Equal(cluster("b", 2).Message, failed))
	require.True(t, proto.Equal(cluster("b", 1).Message, had))
	stale := configOf(t, clients[0], "c")
	require.Equal(t, versionOfResource(t, cluster("c", 2)), stale.GetVersionInfo())
	require.Nil(t, stale.GetErrorState())
	content := &clusterv3.Cluster{}
	require.NoError(t, stale.GetXdsConfig().UnmarshalTo(content))
	require.True(t, proto.Equal(cluster("c", 2).Message, content))
	require.Nil(t, configOf(t, clients[0], "r").GetXdsConfig())
}

func TestCSDSTellsTheVersionBeforeOneThatIsNotSent(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), endpoints("a", 1, 2))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	w.set(cluster("a", 1), partial("a", 1))
	c.quiet()
	config := configOf(t, inspect(t, w.csds(), &statusv3.ClientStatusRequest{})[0], "a")
	require.Equal(t, statusv3.ConfigStatus_NOT_SENT, config.GetConfigStatus())
	require.Equal(t, versionOfResource(t, endpoints("a", 1, 2)), config.GetVersionInfo())
}

func TestCSDSNeverTellsASecret(t *testing.T) {
	const key = "SESAME"
	certificate := secret("s", 1)
	inline := func(text string) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: text}}
	}
	certificate.Message = &tlsv3.Secret{Name: "s", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
		CertificateChain: inline("public"), PrivateKey: inline(key),
	}}}
	w := newWorld(t, quick(), certificate)
	c := w.delta()
	c.subscribe(secretType, "s")
	c.nack(c.see(secretType, "s"), "goo.gle/debugproto\nname: \"s\"\ntls_certificate { private_key { inline_string: \""+key+"\" } }\n: Proto constraint validation failed (s)")
	c.quiet()
	clients := inspect(t, w.csds(), &statusv3.ClientStatusRequest{})
	content := &tlsv3.Secret{}
	require.NoError(t, configOf(t, clients[0], "s").GetErrorState().GetFailedConfiguration().UnmarshalTo(content))
	require.Equal(t, "public", content.GetTlsCertificate().GetCertificateChain().GetInlineString())
	require.Equal(t, "[redacted]", content.GetTlsCertificate().GetPrivateKey().GetInlineString())
	data, err := proto.Marshal(clients[0])
	require.NoError(t, err)
	require.NotContains(t, string(data), key)
	require.NotContains(t, fmt.Sprint(w.server.Streams(), w.rejections()), key)
}

func TestCSDSLeavesContentsOutWhenAskedTo(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.quiet()
	config := configOf(t, inspect(t, w.csds(), &statusv3.ClientStatusRequest{ExcludeResourceContents: true})[0], "a")
	require.Nil(t, config.GetXdsConfig())
	require.NotEmpty(t, config.GetVersionInfo())
}

func TestCSDSBoundsContents(t *testing.T) {
	large := func(name string) *api.Resource {
		r := cluster(name, 1)
		r.Message.(*clusterv3.Cluster).AltStatName = strings.Repeat("x", maxContentBytes/3)
		return r
	}
	w := newWorld(t, quick(), large("a"), large("b"), large("c"), large("d"))
	c := w.delta()
	c.subscribe(clusterType)
	for range 2 {
		c.ack(c.next())
	}
	c.quiet()
	var with int
	for _, config := range inspect(t, w.csds(), &statusv3.ClientStatusRequest{})[0].GetGenericXdsConfigs() {
		if config.GetXdsConfig() != nil {
			with++
		}
		require.Equal(t, statusv3.ConfigStatus_SYNCED, config.GetConfigStatus())
	}
	require.Equal(t, 2, with)
}

func TestCSDSStreamAnswersEachRequestAndEndsAtShutdown(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	stream, err := w.csds().StreamClientStatus(t.Context())
	require.NoError(t, err)
	for i := range 3 {
		require.NoError(t, stream.Send(&statusv3.ClientStatusRequest{}))
		response, err := stream.Recv()
		require.NoError(t, err)
		require.Len(t, response.GetConfig(), i)
		w.deltaNode(fmt.Sprint("envoy-", i)).subscribe(clusterType)
		eventually(t, func() bool { return len(w.server.Streams()) == i+1 }, "the stream is open")
	}
	w.stop()
	_, err = stream.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
}

func TestCSDSIsForOperators(t *testing.T) {
	const operator = "spiffe://example.org/operator/dashboard"
	w := newSecureWorld(t, quick(), func(c *AccessConfig) { c.Operators = []string{operator} })
	c := w.over(w.client(gatewayIdentity))
	c.subscribe(clusterType)
	c.want(clusterType, "a")

	client := statusv3.NewClientStatusDiscoveryServiceClient(w.connect(w.client(gatewayIdentity), nil))
	_, err := client.FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{})
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	require.ErrorContains(t, err, "the identity spiffe://example.org/gateway/edge/public is not named as operator")
	stream, err := client.StreamClientStatus(t.Context())
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.PermissionDenied, status.Code(err))

	client = statusv3.NewClientStatusDiscoveryServiceClient(w.connect(w.client(operator), nil))
	response, err := client.FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{})
	require.NoError(t, err)
	require.Len(t, response.GetConfig(), 1)
}

func TestCSDSCallersAreBounded(t *testing.T) {
	w := newWorld(t, quick())
	client := w.csds()
	for range maxInspectors {
		stream, err := client.StreamClientStatus(t.Context())
		require.NoError(t, err)
		require.NoError(t, stream.Send(&statusv3.ClientStatusRequest{}))
		_, err = stream.Recv()
		require.NoError(t, err)
	}
	_, err := client.FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{})
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "64 calls for the status of clients are open already, the limit; try again later")
}

// inspected are the ids of the nodes that matchers find.
func inspected(t *testing.T, client statusv3.ClientStatusDiscoveryServiceClient, matchers ...*matcherv3.NodeMatcher) []string {
	t.Helper()
	ids := []string{}
	for _, c := range inspect(t, client, &statusv3.ClientStatusRequest{NodeMatchers: matchers}) {
		ids = append(ids, c.GetNode().GetId())
	}
	return ids
}

func byID(m *matcherv3.StringMatcher) *matcherv3.NodeMatcher {
	return &matcherv3.NodeMatcher{NodeId: m}
}

func exactly(text string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: text}}
}

func regex(pattern string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: pattern}}}
}

func byMetadata(value *matcherv3.ValueMatcher, path ...string) *matcherv3.NodeMatcher {
	m := &matcherv3.StructMatcher{Value: value}
	for _, key := range path {
		m.Path = append(m.Path, &matcherv3.StructMatcher_PathSegment{Segment: &matcherv3.StructMatcher_PathSegment_Key{Key: key}})
	}
	return &matcherv3.NodeMatcher{NodeMetadatas: []*matcherv3.StructMatcher{m}}
}

func isText(m *matcherv3.StringMatcher) *matcherv3.ValueMatcher {
	return &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_StringMatch{StringMatch: m}}
}

func isPresent(yes bool) *matcherv3.ValueMatcher {
	return &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_PresentMatch{PresentMatch: yes}}
}

func TestCSDSHonorsNodeMatchers(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	for id, metadata := range map[string]map[string]any{
		"front-1": {"zone": "a", "nested": map[string]any{"rank": 1.0, "ok": true}, "tags": []any{"x", "y"}},
		"front-2": {"zone": "b", "nested": map[string]any{"rank": 2.0, "ok": false}, "none": nil},
		"back-1":  nil,
	} {
		c := w.deltaNode(id)
		c.spoken = true
		n := node(id)
		var err error
		n.Metadata, err = structpb.NewStruct(metadata)
		require.NoError(t, err)
		n.Extensions = []*corev3.Extension{{Name: "tens of kilobytes of these"}}
		require.NoError(t, c.stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: n, TypeUrl: clusterType}))
		c.want(clusterType, "a")
	}
	client := w.csds()
	require.Empty(t, inspect(t, client, &statusv3.ClientStatusRequest{})[0].GetNode().GetExtensions())
	number := func(m *matcherv3.DoubleMatcher) *matcherv3.ValueMatcher {
		return &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_DoubleMatch{DoubleMatch: m}}
	}
	for name, c := range map[string]struct {
		matchers []*matcherv3.NodeMatcher
		want     []string
	}{
		"none":     {nil, []string{"back-1", "front-1", "front-2"}},
		"an empty": {[]*matcherv3.NodeMatcher{{}}, []string{"back-1", "front-1", "front-2"}},
		"exact":    {[]*matcherv3.NodeMatcher{byID(exactly("front-1"))}, []string{"front-1"}},
		"no match": {[]*matcherv3.NodeMatcher{byID(exactly("front"))}, []string{}},
		"either":   {[]*matcherv3.NodeMatcher{byID(exactly("front-2")), byID(exactly("back-1"))}, []string{"back-1", "front-2"}},
		"prefix": {
			[]*matcherv3.NodeMatcher{byID(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: "front"}})},
			[]string{"front-1", "front-2"},
		},
		"suffix": {
			[]*matcherv3.NodeMatcher{byID(&matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: "-1"}})},
			[]string{"back-1", "front-1"},
		},
		"contains, any case": {[]*matcherv3.NodeMatcher{byID(&matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Contains{Contains: "ONT"}, IgnoreCase: true,
		})}, []string{"front-1", "front-2"}},
		"regex":       {[]*matcherv3.NodeMatcher{byID(regex("front-[2-9]|back"))}, []string{"front-2"}},
		"metadata":    {[]*matcherv3.NodeMatcher{byMetadata(isText(exactly("b")), "zone")}, []string{"front-2"}},
		"nested":      {[]*matcherv3.NodeMatcher{byMetadata(number(&matcherv3.DoubleMatcher{MatchPattern: &matcherv3.DoubleMatcher_Exact{Exact: 1}}), "nested", "rank")}, []string{"front-1"}},
		"bool":        {[]*matcherv3.NodeMatcher{byMetadata(&matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_BoolMatch{}}, "nested", "ok")}, []string{"front-2"}},
		"present":     {[]*matcherv3.NodeMatcher{byMetadata(isPresent(true), "zone")}, []string{"front-1", "front-2"}},
		"not present": {[]*matcherv3.NodeMatcher{byMetadata(isPresent(false), "nested")}, []string{"back-1", "front-1", "front-2"}},
		"null":        {[]*matcherv3.NodeMatcher{byMetadata(&matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_NullMatch_{}}, "none")}, []string{"front-2"}},
		"list": {[]*matcherv3.NodeMatcher{byMetadata(&matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_ListMatch{ListMatch: &matcherv3.ListMatcher{
			MatchPattern: &matcherv3.ListMatcher_OneOf{OneOf: isText(exactly("y"))},
		}}}, "tags")}, []string{"front-1"}},
		"or": {[]*matcherv3.NodeMatcher{byMetadata(&matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_OrMatch{OrMatch: &matcherv3.OrMatcher{
			ValueMatchers: []*matcherv3.ValueMatcher{isText(exactly("a")), isText(exactly("c"))},
		}}}, "zone")}, []string{"front-1"}},
		"id and metadata": {[]*matcherv3.NodeMatcher{{
			NodeId: exactly("front-1"), NodeMetadatas: byMetadata(isText(exactly("b")), "zone").GetNodeMetadatas(),
		}}, []string{}},
	} {
		require.Equal(t, c.want, inspected(t, client, c.matchers...), name)
	}
}

func TestCSDSRefusesNodeMatchersThatItCannotHonor(t *testing.T) {
	w := newWorld(t, quick())
	client := w.csds()
	deep := isText(exactly("a"))
	for range maxMatcherDepth + 1 {
		deep = &matcherv3.ValueMatcher{MatchPattern: &matcherv3.ValueMatcher_OrMatch{OrMatch: &matcherv3.OrMatcher{ValueMatchers: []*matcherv3.ValueMatcher{deep}}}}
	}
	for want, matchers := range map[string][]*matcherv3.NodeMatcher{
		"node_matchers[1].node_id: only exact, prefix, suffix, contains and safe_regex are supported": {{}, byID(&matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Custom{},
		})},
		"node_matchers[0].node_id: a match_pattern is required":                          {byID(&matcherv3.StringMatcher{})},
		"node_matchers[0].node_id: safe_regex: error parsing regexp":                     {byID(regex("("))},
		"node_matchers[0].node_id: safe_regex: a pattern of 1 to 1024 bytes is required": {byID(regex(strings.Repeat("a", 1025)))},
		"node_matchers[0].node_metadatas[0]: path: at least one key is required":         {byMetadata(isPresent(true))},
		"node_matchers[0].node_metadatas[0]: value: a match_pattern is required":         {byMetadata(nil, "a")},
		"matchers are nested deeper than 16":                                             {byMetadata(deep, "a")},
		"node_matchers: 101 are too many; at most 100 are allowed":                       make([]*matcherv3.NodeMatcher, 101),
	} {
		for i := range matchers {
			if matchers[i] == nil {
				matchers[i] = &matcherv3.NodeMatcher{}
			}
		}
		_, err := client.FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{NodeMatchers: matchers})
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ErrorContains(t, err, want)
	}
}
