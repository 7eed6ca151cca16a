package xds

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/envoy"
)

const (
	frontName = "gateway/edge/public/8080"
	// envoyPatience is for what a real Envoy does on a busy machine.
	envoyPatience = 2 * time.Minute
)

// fleet is a server with real Envoys and real backends.
type fleet struct {
	*testing.T
	server   *Server
	registry *prometheus.Registry
	address  string
	cancel   context.CancelFunc
	done     chan error
	rejected chan api.Rejection
}

func newFleet(t *testing.T, address string, resources ...*api.Resource) *fleet {
	t.Helper()
	return newFleetWith(t, Config{}, address, resources...)
}

// ownAddress is one of this process: no other listens on it, and what connects to somewhere does not come from it, so that a port which is let go can be
// had again.
func ownAddress() netip.Addr {
	pid := os.Getpid()
	return netip.AddrFrom4([4]byte{127, 7, byte(pid >> 8), byte(pid)})
}

// newFleetBehind asks for certificates where access is not nil.
func newFleetBehind(t *testing.T, address string, access *Access, resources ...*api.Resource) *fleet {
	t.Helper()
	return newFleetWith(t, Config{Access: access}, address, resources...)
}

func newFleetWith(t *testing.T, config Config, address string, resources ...*api.Resource) *fleet {
	t.Helper()
	f := &fleet{T: t, registry: prometheus.NewRegistry(), done: make(chan error, 1), rejected: make(chan api.Rejection, 1000)}
	config.Logger, config.Registerer = slog.New(slog.NewTextHandler(io.Discard, nil)), f.registry
	config.OnRejected, config.RemovalGrace = func(r api.Rejection) { f.rejected <- r }, 100*time.Millisecond
	f.server = New(config)
	f.set(resources...)
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	f.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go func() { f.done <- f.server.Run(ctx, listener) }()
	t.Cleanup(f.stop)
	return f
}

func (f *fleet) stop() {
	if f.cancel != nil {
		f.cancel()
		require.NoError(f, <-f.done)
		f.cancel = nil
	}
}

func (f *fleet) set(resources ...*api.Resource) {
	f.server.SetViews(map[string][]*api.Resource{gateway: resources})
}

// envoy starts a real Envoy and returns it with the URL of its listener.
func (f *fleet) envoy(apiType corev3.ApiConfigSource_ApiType) (*envoy.Process, string) {
	f.Helper()
	b, err := envoy.Bootstrap(envoy.BootstrapConfig{
		Gateway: types.NamespacedName{Namespace: "edge", Name: "public"}, NodeID: "envoy-1", XDSAddress: f.address, AdminAddress: "127.0.0.1:0",
	})
	require.NoError(f, err)
	b.DynamicResources.AdsConfig.ApiType = apiType
	return f.start(b)
}

func (f *fleet) start(b *bootstrapv3.Bootstrap) (*envoy.Process, string) {
	f.Helper()
	p := f.run(b, nil)
	ctx, cancel := context.WithTimeout(context.Background(), envoyPatience)
	f.Cleanup(cancel)
	require.NoError(f, p.WaitReady(ctx))
	var front netip.AddrPort
	eventually(f.T, func() bool {
		listeners, err := p.Admin().Listeners(ctx)
		front = listeners[frontName]
		return err == nil && front.IsValid()
	}, "Envoy listens on %s", frontName)
	return p, "http://" + front.String()
}

// run starts a real Envoy and does not wait for it to be ready. stderr, if not nil, takes its log.
func (f *fleet) run(b *bootstrapv3.Bootstrap, stderr io.Writer) *envoy.Process {
	f.Helper()
	running, stop := context.WithCancel(context.Background())
	p, err := envoy.Start(running, envoy.StartConfig{Bootstrap: b, Concurrency: 2, Stdout: io.Discard, Stderr: stderr, LogLevel: "warning"})
	require.NoError(f, err)
	f.Cleanup(func() {
		stop()
		<-p.Done()
	})
	return p
}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	require.NoError(t, err)
	return a
}

func fromADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

func realCluster(name string, connect time.Duration) *api.Resource {
	return &api.Resource{ResourceKey: api.ResourceKey{Type: clusterType, Name: name}, Message: &clusterv3.Cluster{
		Name: name, ConnectTimeout: durationpb.New(connect),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		EdsClusterConfig:     &clusterv3.Cluster_EdsClusterConfig{EdsConfig: fromADS()},
	}}
}

// zombie is a Cluster that fails while its load balancer is built: Envoy neither accepts nor rejects it.
func zombie(name string) *api.Resource {
	r := realCluster(name, time.Second)
	c := r.Message.(*clusterv3.Cluster)
	c.LbPolicy = clusterv3.Cluster_MAGLEV
	c.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{TableSize: wrapperspb.UInt64(1000)}}
	return r
}

// rejectedEndpoints have the weight 0, which Envoy refuses.
func rejectedEndpoints(name string, port int) *api.Resource {
	r := endpoints(name, port)
	r.Message.(*endpointv3.ClusterLoadAssignment).Endpoints[0].LbEndpoints[0].LoadBalancingWeight = wrapperspb.UInt32(0)
	return r
}

func realListener(t *testing.T) *api.Resource {
	t.Helper()
	hcm := &hcmv3.HttpConnectionManager{
		StatPrefix: "front",
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{
			RouteConfigName: frontName, ConfigSource: fromADS(),
		}},
		HttpFilters: []*hcmv3.HttpFilter{{
			Name: "envoy.filters.http.router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(t, &routerv3.Router{})},
		}},
	}
	return &api.Resource{
		ResourceKey: api.ResourceKey{Type: listenerType, Name: frontName},
		Message: &listenerv3.Listener{Name: frontName, Address: address(0), FilterChains: []*listenerv3.FilterChain{{
			Filters: []*listenerv3.Filter{{
				Name: "envoy.filters.network.http_connection_manager", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed(t, hcm)},
			}},
		}}},
		Needs: []api.ResourceKey{{Type: routeType, Name: frontName}},
	}
}

// realRoutes sends /NAME to the cluster NAME, and all else to the first.
func realRoutes(clusters ...string) *api.Resource {
	r := &api.Resource{ResourceKey: api.ResourceKey{Type: routeType, Name: frontName}}
	host := &routev3.VirtualHost{Name: "all", Domains: []string{"*"}}
	for _, name := range append(clusters, clusters[0]) {
		prefix := "/" + name
		if len(host.Routes) == len(clusters) {
			prefix = "/"
		} else {
			r.Needs = append(r.Needs, api.ResourceKey{Type: clusterType, Name: name})
		}
		host.Routes = append(host.Routes, &routev3.Route{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: prefix}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: name}}},
		})
	}
	r.Message = &routev3.RouteConfiguration{Name: frontName, VirtualHosts: []*routev3.VirtualHost{host}}
	return r
}

func TestRealEnvoySwapsClustersUnderLoadWithoutAFailure(t *testing.T) {
	bothVariants(t, func(t *testing.T, variant corev3.ApiConfigSource_ApiType) {
		one := backend(t, "one")
		front := realListener(t)
		f := newFleet(t, "127.0.0.1:0", front, realRoutes("c0"), realCluster("c0", time.Second), endpoints("c0", one))
		_, url := f.envoy(variant)
		answers(t, url, "one")
		l := newLoad(t, url, 4)
		var longest time.Duration
		for i := range 10 {
			name := fmt.Sprintf("c%d", i+1)
			says := fmt.Sprintf("backend %d", i+1)
			f.set(front, realRoutes(name), realCluster(name, time.Second), endpoints(name, backend(t, says)))
			longest = max(longest, answers(t, url, says))
		}
		l.wantNoFailures()
		t.Logf("slowest of 10 swaps: %s", longest)
		eventually(t, func() bool { return idle(f.server, 1) }, "the Envoy is up to date, the last old cluster removed")
	})
}

// idle is true where the one stream has acknowledged all, and has count clusters.
func idle(s *Server, count int) bool {
	streams := s.Streams()
	if len(streams) != 1 {
		return false
	}
	for _, st := range streams[0].Types {
		if st.Behind > 0 || st.Type == clusterType && st.Wanted != count {
			return false
		}
	}
	return true
}

func TestRealEnvoyWarmsAChangedClusterAtOnce(t *testing.T) {
	bothVariants(t, func(t *testing.T, variant corev3.ApiConfigSource_ApiType) {
		one := backend(t, "one")
		front, table, assignment := realListener(t), realRoutes("c"), endpoints("c", one)
		f := newFleet(t, "127.0.0.1:0", front, table, realCluster("c", time.Second), assignment)
		process, url := f.envoy(variant)
		l := newLoad(t, url, 4)
		var longest time.Duration
		before := waitedInVain(t, process)
		for i := range 10 {
			start := time.Now()
			f.set(front, table, realCluster("c", time.Second+time.Duration(i+1)*time.Millisecond), assignment)
			eventually(t, func() bool { return idle(f.server, 1) }, "the changed cluster is acknowledged")
			longest = max(longest, time.Since(start))
		}
		require.Equal(t, before, waitedInVain(t, process), "how often Envoy has waited for initial_fetch_timeout")
		l.wantNoFailures()
		t.Logf("slowest of 10 changes: %s", longest)
	})
}

// waitedInVain is how often an Envoy has gone on without what it had asked for, by subscription.
func waitedInVain(t *testing.T, process *envoy.Process) map[string]uint64 {
	t.Helper()
	stats, err := process.Admin().Stats(t.Context(), `init_fetch_timeout$`)
	require.NoError(t, err)
	require.NotEmpty(t, stats)
	return stats
}

func TestRealEnvoyIsSentNothingByARestartedServer(t *testing.T) {
	one := backend(t, "one")
	resources := []*api.Resource{realListener(t), realRoutes("c"), realCluster("c", time.Second), endpoints("c", one)}
	f := newFleet(t, ownAddress().String()+":0", resources...)
	_, url := f.envoy(corev3.ApiConfigSource_DELTA_GRPC)
	l := newLoad(t, url, 4)
	f.stop()
	again := newFleet(t, f.address, resources...)
	eventually(t, func() bool { return idle(again.server, 1) && len(again.server.Streams()[0].Types) >= 4 }, "the Envoy is back")
	l.wantNoFailures()
	require.Empty(t, gathered(t, again.registry)["podway_xds_responses_total"], "responses after the restart")
}

func TestRealEnvoyIsNotHeldUpByAClusterThatNeverWarms(t *testing.T) {
	bothVariants(t, func(t *testing.T, variant corev3.ApiConfigSource_ApiType) {
		one := backend(t, "one")
		front := realListener(t)
		c, assignment := realCluster("c", time.Second), endpoints("c", one)
		f := newFleet(t, "127.0.0.1:0", front, realRoutes("c"), c, assignment)
		_, url := f.envoy(variant)
		l := newLoad(t, url, 2)
		stuck := []*api.Resource{zombie("z"), endpoints("z", one)}
		f.set(append(stuck, front, realRoutes("c"), c, assignment)...)
		f.set(append(stuck, front, realRoutes("c", "d"), c, assignment, realCluster("d", time.Second), endpoints("d", backend(t, "two")))...)
		took := answers(t, url+"/d", "two")
		t.Logf("a new cluster beside one that never warms: %s", took)
		require.Less(t, took, 15*time.Second, "a route that waits for its clusters does so for 20 s")
		f.set(front, realRoutes("c", "d", "z"), c, assignment, realCluster("d", time.Second), endpoints("d", backend(t, "three")),
			realCluster("z", time.Second), endpoints("z", backend(t, "cured")))
		answers(t, url+"/z", "cured")
		answers(t, url+"/d", "three")
		l.wantNoFailures()
		eventually(t, func() bool { return idle(f.server, 3) }, "all is acknowledged")
	})
}

func TestRealEnvoyRejectsOneAssignmentAndTakesTheOthers(t *testing.T) {
	bothVariants(t, func(t *testing.T, variant corev3.ApiConfigSource_ApiType) {
		one := backend(t, "one")
		front := realListener(t)
		names := []string{"a", "b", "c", "d", "e"}
		resources := []*api.Resource{front, realRoutes(names...)}
		for _, name := range names {
			resources = append(resources, realCluster(name, time.Second))
			if name != "d" {
				resources = append(resources, endpoints(name, one))
			}
		}
		f := newFleet(t, "127.0.0.1:0", append(resources, rejectedEndpoints("d", one))...)
		_, url := f.envoy(variant)
		for _, name := range []string{"a", "b", "c", "e"} {
			answers(t, url+"/"+name, "one")
		}
		rejected := <-f.rejected
		require.Equal(t, api.ResourceKey{Type: endpointType, Name: "d"}, rejected.Key)
		require.Contains(t, rejected.Message, "LoadBalancingWeight")
		f.server.SetEndpoints([]*api.Resource{endpoints("d", one)}, nil)
		answers(t, url+"/d", "one")
		require.Empty(t, f.rejected)
		eventually(t, func() bool { return idle(f.server, 5) }, "all is acknowledged")
	})
}
