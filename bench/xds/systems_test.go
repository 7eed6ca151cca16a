package xds

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	gcp "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/podway/podway/api"
	"github.com/podway/podway/xds"
)

// system is a server under test, listening.
type system struct {
	address string
	// publish changes the first cluster's endpoints; no two calls have the same seed.
	publish func(seed int)
	stop    func()
}

// assignment has 100 endpoints, of which the seed changes one.
func assignment(name string, seed int) *endpointv3.ClusterLoadAssignment {
	locality := &endpointv3.LocalityLbEndpoints{}
	for i := range 100 {
		port := 1 + i
		if i == 0 {
			port = 1000 + seed%60_000
		}
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
					Address: "10.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
				}}},
			}},
		})
	}
	return &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{locality}}
}

func small(name string) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{ClusterName: name}
}

func endpoints(m *endpointv3.ClusterLoadAssignment) *api.Resource {
	return &api.Resource{ResourceKey: api.ResourceKey{Type: resource.EndpointType, Name: m.GetClusterName()}, Message: m}
}

func podway(tb testing.TB, clusters int) *system {
	tb.Helper()
	server := xds.New(xds.Config{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Limits: xds.Limits{MaxStreams: 100_000, MaxStreamsPerPeer: 100_000, StreamRate: 100_000, StreamBurst: 100_000},
	})
	var all []*api.Resource
	for _, name := range names(clusters) {
		all = append(all, endpoints(small(name)))
	}
	server.SetViews(map[string][]*api.Resource{gateway: all})
	listener := listen(tb)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, listener) }()
	first := names(1)[0]
	return &system{
		address: listener.Addr().String(),
		publish: func(seed int) { server.SetEndpoints([]*api.Resource{endpoints(assignment(first, seed))}, nil) },
		stop: func() {
			cancel()
			require.NoError(tb, <-done)
		},
	}
}

func linearCache(tb testing.TB, clusters int) *system {
	tb.Helper()
	initial := map[string]types.Resource{}
	for _, name := range names(clusters) {
		initial[name] = small(name)
	}
	linear := cache.NewLinearCache(resource.EndpointType, cache.WithInitialResources(initial))
	ctx, cancel := context.WithCancel(context.Background())
	server := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, gcp.NewServer(ctx, linear, nil))
	first := names(1)[0]
	return run(tb, server, func(seed int) {
		if err := linear.UpdateResource(first, assignment(first, seed)); err != nil {
			tb.Error(err)
		}
	}, cancel)
}

// floor answers each first request with all it asks for, and each publication with the same bytes on every stream.
type floor struct {
	mu      sync.Mutex
	streams map[chan []byte]bool
}

func floorProbe(tb testing.TB, clusters int) *system {
	tb.Helper()
	f := &floor{streams: map[chan []byte]bool{}}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		return f.serve(stream, clusters)
	}))
	first := names(1)[0]
	return run(tb, server, func(seed int) { f.publish(tb, assignment(first, seed), seed) }, func() {})
}

func (f *floor) serve(stream grpc.ServerStream, clusters int) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	queue := make(chan []byte, 16)
	f.mu.Lock()
	f.streams[queue] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.streams, queue)
		f.mu.Unlock()
	}()
	m := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: resource.EndpointType, Nonce: "first"}
	for _, name := range names(clusters) {
		m.Resources = append(m.Resources, &discoveryv3.Resource{Name: name})
	}
	answer, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(answer); err != nil {
		return err
	}
	go func() {
		for stream.RecvMsg(&request) == nil {
		}
	}()
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case m := <-queue:
			if err := stream.SendMsg(m); err != nil {
				return err
			}
		}
	}
}

func (f *floor) publish(tb testing.TB, m *endpointv3.ClusterLoadAssignment, seed int) {
	packed, err := anypb.New(m)
	require.NoError(tb, err)
	response, err := proto.Marshal(&discoveryv3.DeltaDiscoveryResponse{
		TypeUrl: resource.EndpointType, Nonce: strconv.Itoa(seed),
		Resources: []*discoveryv3.Resource{{Name: m.GetClusterName(), Version: strconv.Itoa(seed), Resource: packed}},
	})
	require.NoError(tb, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	for queue := range f.streams {
		queue <- response
	}
}

func run(tb testing.TB, server *grpc.Server, publish func(int), cancel context.CancelFunc) *system {
	tb.Helper()
	listener := listen(tb)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	return &system{address: listener.Addr().String(), publish: publish, stop: func() {
		cancel()
		server.Stop()
		require.NoError(tb, <-done)
	}}
}
