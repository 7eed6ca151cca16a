package xds

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/podway/podway/api"
)

const (
	gateway  = "edge/public"
	patience = 2 * time.Minute
	// otherType is one that podway does not serve.
	otherType = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server on a real connection, and what it was told of rejections.
type world struct {
	*testing.T
	server  *Server
	address string
	// dialer reaches a server that is not on the network.
	dialer   grpc.DialOption
	connect  func() (net.Conn, error)
	stop     func()
	mu       sync.Mutex
	rejected []api.Rejection
}

// quick is a configuration in which nothing waits for long.
func quick() Config {
	return Config{RemovalGrace: -1, RouteBound: time.Hour, FirstRouteBound: time.Hour, ShutdownBound: time.Second, StuckBound: -1}
}

func newWorld(t *testing.T, config Config, resources ...*api.Resource) *world {
	t.Helper()
	w := newEmptyWorld(t, config)
	w.set(resources...)
	return w
}

// newEmptyWorld is a world before the first SetViews.
func newEmptyWorld(t *testing.T, config Config) *world {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return newWorldOn(t, listener, config)
}

// newWorldOn serves on a listener that is there.
func newWorldOn(t *testing.T, listener net.Listener, config Config) *world {
	t.Helper()
	w := &world{T: t}
	if config.Logger == nil {
		config.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	config.OnRejected = func(r api.Rejection) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.rejected = append(w.rejected, r)
	}
	w.server = New(config)
	w.address = listener.Addr().String()
	w.connect = func() (net.Conn, error) { return net.Dial("tcp", w.address) }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Run(ctx, listener) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(w.stop)
	return w
}

// set makes resources all that the Gateway has.
func (w *world) set(resources ...*api.Resource) {
	w.server.SetViews(map[string][]*api.Resource{gateway: resources})
}

func (w *world) rejections() []api.Rejection {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]api.Rejection(nil), w.rejected...)
}

func (w *world) dial(options ...grpc.DialOption) discoveryv3.AggregatedDiscoveryServiceClient {
	w.Helper()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if w.dialer != nil {
		options = append(options, w.dialer)
	}
	conn, err := grpc.NewClient(w.address, options...)
	require.NoError(w, err)
	w.Cleanup(func() { _ = conn.Close() })
	return discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
}

func node(id string) *corev3.Node { return &corev3.Node{Id: id, Cluster: gateway} }

func eventually(t *testing.T, condition func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, condition, patience, 2*time.Millisecond, fmt.Sprintf(what, args...))
}

// What follows makes resources. seed tells contents of one name apart.

func cluster(name string, seed int) *api.Resource {
	return &api.Resource{
		ResourceKey: api.ResourceKey{Type: clusterType, Name: name},
		Message: &clusterv3.Cluster{
			Name: name, ConnectTimeout: durationpb.New(time.Duration(seed+1) * time.Millisecond),
			ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS},
		},
		Owners: []api.Owner{{ObjectRef: api.ObjectRef{Kind: "Tunnel", Name: name}, Generation: int64(seed)}},
	}
}

// checked is a cluster with active health checks: its endpoints alone do not make it ready.
func checked(name string, seed int) *api.Resource {
	r := cluster(name, seed)
	r.Message.(*clusterv3.Cluster).HealthChecks = []*corev3.HealthCheck{{Interval: durationpb.New(time.Second)}}
	return r
}

func endpoints(name string, ports ...int) *api.Resource {
	m := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	locality := &endpointv3.LocalityLbEndpoints{}
	for _, port := range ports {
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(port)}},
		})
	}
	m.Endpoints = []*endpointv3.LocalityLbEndpoints{locality}
	return &api.Resource{ResourceKey: api.ResourceKey{Type: endpointType, Name: name}, Message: m}
}

func partial(name string, ports ...int) *api.Resource {
	r := endpoints(name, ports...)
	r.Partial = true
	return r
}

func address(port int) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

func listener(name string, seed int, routes ...string) *api.Resource {
	r := &api.Resource{
		ResourceKey: api.ResourceKey{Type: listenerType, Name: name},
		Message:     &listenerv3.Listener{Name: name, Address: address(seed + 1)},
	}
	for _, route := range routes {
		r.Needs = append(r.Needs, api.ResourceKey{Type: routeType, Name: route})
	}
	return r
}

func routes(name string, clusters ...string) *api.Resource {
	r := &api.Resource{
		ResourceKey: api.ResourceKey{Type: routeType, Name: name},
		Message:     &routev3.RouteConfiguration{Name: name, ResponseHeadersToRemove: clusters},
	}
	for _, c := range clusters {
		r.Needs = append(r.Needs, api.ResourceKey{Type: clusterType, Name: c})
	}
	return r
}

func secret(name string, seed int) *api.Resource {
	return &api.Resource{
		ResourceKey: api.ResourceKey{Type: secretType, Name: name},
		Message: &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_GenericSecret{GenericSecret: &tlsv3.GenericSecret{
			Secret: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: fmt.Sprint(seed)}},
		}}},
	}
}

func versionOfResource(t *testing.T, r *api.Resource) string {
	t.Helper()
	made, err := newRecord(r)
	require.NoError(t, err)
	return made.version
}

// gathered is the sum of each metric by its name and type label; a histogram counts its observations.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	all := map[string]map[string]float64{}
	for _, family := range families {
		byType := map[string]float64{}
		for _, m := range family.GetMetric() {
			label := ""
			for _, l := range m.GetLabel() {
				label = l.GetValue()
			}
			byType[label] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		all[family.GetName()] = byType
	}
	return all
}
