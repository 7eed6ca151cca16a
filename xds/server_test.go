package xds

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/podway/podway/api"
)

// journal is a log to look into.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Count(j.text.Bytes(), []byte(text))
}

func TestNothingIsAnsweredBeforeTheFirstState(t *testing.T) {
	config, log := quick(), &journal{}
	config.Logger = slog.New(slog.NewTextHandler(log, nil))
	w := newEmptyWorld(t, config)
	c := w.delta()
	c.subscribe(clusterType)
	c.reconnect(endpointType, map[string]string{"a": versionOfResource(t, endpoints("a", 1))}, "a")
	eventually(t, func() bool { return len(w.server.Streams()) == 1 }, "the stream is open")
	require.Zero(t, log.count("not served"))
	w.set(cluster("a", 1), endpoints("a", 1))
	c.want(clusterType, "a")
	c.want(endpointType, "a") // after its cluster, though current
	c.quiet()
}

func TestUnknownGatewayIsAnsweredNothingAndWakesWhenItAppears(t *testing.T) {
	config, log, registry := quick(), &journal{}, prometheus.NewRegistry()
	config.Logger = slog.New(slog.NewTextHandler(log, nil))
	config.Registerer = registry
	w := newEmptyWorld(t, config)
	w.server.SetViews(map[string][]*api.Resource{"edge/other": {cluster("o", 1)}})
	c := w.delta()
	c.reconnect(clusterType, map[string]string{"a": versionOfResource(t, cluster("a", 1)), "gone": "x"})
	c.subscribe(listenerType)
	eventually(t, func() bool { return gathered(t, registry)["podway_xds_unknown_gateway_streams"][""] == 1 }, "it is counted")
	require.Equal(t, 1, log.count("Envoy names a Gateway that is not served"))
	w.server.SetViews(map[string][]*api.Resource{"edge/other": {cluster("o", 2)}})
	require.Empty(t, c.responses)
	w.server.SetViews(map[string][]*api.Resource{gateway: {cluster("a", 1), listener("l", 1)}})
	c.want(listenerType, "l")
	c.want(clusterType, "-gone")
	c.quiet()
	require.Equal(t, 1, log.count("not served"))
	require.Zero(t, gathered(t, registry)["podway_xds_unknown_gateway_streams"][""])
}

func TestEnvoysOfARemovedGatewayLoseItsListenersOnly(t *testing.T) {
	config, log := quick(), &journal{}
	config.Logger = slog.New(slog.NewTextHandler(log, nil))
	w := newWorld(t, config, settledResources()...)
	c := settled(w)
	w.server.SetViews(nil)
	c.want(listenerType, "-l")
	c.quiet()
	require.False(t, w.server.Streams()[0].Known)
	require.Equal(t, 1, log.count("Envoy names a Gateway that is served no more; its listeners are taken from it"))
	w.set(settledResources()...)
	c.want(listenerType, "l")
	c.quiet()
}

func TestEnvoysSeeOnlyTheirOwnGateway(t *testing.T) {
	w := newEmptyWorld(t, quick())
	w.server.SetViews(map[string][]*api.Resource{gateway: {secret("mine", 1)}, "edge/other": {secret("theirs", 1)}})
	c := w.delta()
	c.subscribe(secretType, "mine", "theirs")
	c.want(secretType, "mine")
	c.want(secretType, "-theirs")
}

func TestReplicasServeTheSameVersions(t *testing.T) {
	shuffled := func(resources ...*api.Resource) []*api.Resource {
		for i := range len(resources) / 2 {
			resources[i], resources[len(resources)-1-i] = resources[len(resources)-1-i], resources[i]
		}
		return resources
	}
	one := newWorld(t, quick(), settledResources()...)
	two := newWorld(t, quick(), shuffled(settledResources()...)...)
	c := one.delta()
	has := map[string]map[string]string{}
	take := func(typeURL string, names ...string) {
		c.subscribe(typeURL, names...)
		has[typeURL] = map[string]string{}
		for _, r := range c.next().GetResources() {
			has[typeURL][r.GetName()] = r.GetVersion()
		}
	}
	take(clusterType)
	take(endpointType, "a")
	take(listenerType)
	moved := two.delta()
	moved.reconnect(clusterType, has[clusterType])
	moved.reconnect(endpointType, has[endpointType], "a")
	moved.reconnect(listenerType, has[listenerType])
	moved.quiet()
}

func TestFirstRequestMustSayWhoAsks(t *testing.T) {
	w := newWorld(t, quick())
	c := w.delta()
	c.spoken = true
	c.subscribe(clusterType)
	err := c.ends()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, "the first request on a stream must hold a node with an id; its cluster says which Gateway it belongs to, as NAMESPACE/NAME")
}

func TestRequestMustHaveAType(t *testing.T) {
	w := newWorld(t, quick())
	c := w.delta()
	c.subscribe("")
	require.ErrorContains(t, c.ends(), "a request without type_url")
}

func TestStreamThatFallsOffTheLogCatchesUp(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a", "b", "c")
	c.want(endpointType, "a", "b")
	c.want(endpointType, "-c")
	c.quiet()
	w.server.mu.Lock()
	v := w.server.views[gateway]
	w.server.mu.Unlock()
	// While the view is locked no stream can look at it.
	v.mu.Lock()
	for i := range 2 * logLength {
		r, err := newRecord(endpoints("a", i+2))
		require.NoError(t, err)
		v.put(r.key, r, time.Now())
	}
	added, err := newRecord(endpoints("c", 1))
	require.NoError(t, err)
	v.put(added.key, added, time.Now())
	v.put(api.ResourceKey{Type: endpointType, Name: "b"}, nil, time.Now())
	for i := range 2 * logLength {
		r, err := newRecord(endpoints("other", i+2))
		require.NoError(t, err)
		v.put(r.key, r, time.Now())
	}
	v.wake()
	v.mu.Unlock()
	c.want(endpointType, "a")
	c.want(endpointType, "c")
	c.want(endpointType, "-b")
	c.quiet()
}

func TestRemovedNamesAreForgottenInTheEnd(t *testing.T) {
	v := newView("v")
	for i := range 4 * logLength {
		r, err := newRecord(endpoints(fmt.Sprint(i), 1))
		require.NoError(t, err)
		v.replace(map[api.ResourceKey]*record{r.key: r}, time.Now())
	}
	require.Len(t, v.log, logLength)
	require.LessOrEqual(t, len(v.types[endpointType].spans), logLength+2)
	require.NotZero(t, v.pruned)
}

func TestStatusSaysWhoHasWhat(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := w.delta()
	c.spoken = true
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, Node: &corev3.Node{
		Id: "envoy-9", Cluster: gateway,
		UserAgentVersionType: &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{
			Version: &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40, Patch: 2},
		}},
	}})
	c.want(clusterType, "a")
	c.subscribe(endpointType, "a", "absent")
	assignment := c.see(endpointType, "a")
	c.want(endpointType, "-absent")
	c.quiet()
	status := w.server.Streams()[0]
	require.Equal(t, "envoy-9", status.Node)
	require.Equal(t, gateway, status.Gateway)
	require.Equal(t, "1.40.2", status.Version)
	require.Equal(t, "delta", status.Variant)
	require.Regexp(t, `^127\.0\.0\.1:\d+$`, status.Address)
	require.True(t, status.Known)
	require.WithinDuration(t, time.Now(), status.Connected, time.Minute)
	require.Equal(t, clusterType, status.Types[0].Type)
	require.Equal(t, []int{1, 1, 0}, []int{status.Types[0].Wanted, status.Types[0].Current, status.Types[0].Behind})
	require.False(t, status.Types[0].LastACK.IsZero())
	require.Equal(t, []int{1, 0, 1}, []int{status.Types[1].Wanted, status.Types[1].Current, status.Types[1].Behind})
	require.False(t, status.Types[1].BehindSince.IsZero())
	c.ack(assignment)
	eventually(t, func() bool { return w.server.Streams()[0].Types[1].Current == 1 }, "the ACK counts")
}

func TestMetricsCountByType(t *testing.T) {
	config, registry := quick(), prometheus.NewRegistry()
	config.Registerer = registry
	w := newWorld(t, config, settledResources()...)
	c := settled(w)
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	c.want(endpointType, "a")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 3)}, nil)
	c.nack(c.see(endpointType, "a"), "bad")
	c.quiet()
	all := gathered(t, registry)
	require.Equal(t, 1.0, all["podway_xds_streams"][""])
	require.Equal(t, 3.0, all["podway_xds_responses_total"]["eds"])
	require.Equal(t, 1.0, all["podway_xds_responses_total"]["cds"])
	require.Positive(t, all["podway_xds_response_bytes_total"]["eds"])
	require.Equal(t, 1.0, all["podway_xds_rejected_responses_total"]["eds"])
	require.Equal(t, 1.0, all["podway_xds_publish_to_ack_seconds"]["eds"])
}

func TestShutdownEndsStreamsAndSaysSo(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	silent := w.silentDelta("says nothing")
	w.stop()
	err := c.ends()
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.ErrorContains(t, err, "podway is shutting down; connect again")
	_, err = silent.stream.Recv()
	require.Error(t, err)
}

func TestShutdownIsSpread(t *testing.T) {
	config := quick()
	config.ShutdownSpread = 100 * time.Millisecond
	w := newWorld(t, config, cluster("a", 1))
	one, two := w.deltaNode("envoy-1"), w.deltaNode("envoy-2")
	for _, c := range []*deltaClient{one, two} {
		c.subscribe(clusterType)
		c.want(clusterType, "a")
	}
	start := time.Now()
	w.stop()
	require.Error(t, one.ends())
	require.Error(t, two.ends())
	require.GreaterOrEqual(t, time.Since(start), 50*time.Millisecond)
}

func TestPingsOfTheBootstrapAreAllowed(t *testing.T) {
	require.Less(t, minPing, 15*time.Second)
	w := newWorld(t, quick(), cluster("a", 1))
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, PermitWithoutStream: true}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node("x"), TypeUrl: clusterType}))
	_, err = stream.Recv()
	require.NoError(t, err)
}
