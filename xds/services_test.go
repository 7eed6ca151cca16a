package xds

import (
	"context"
	"errors"
	"io"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

type (
	deltaStream = discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	sotwStream  = discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
)

// openers open a stream of the service that each type has.
var openers = map[string]struct {
	delta func(context.Context, grpc.ClientConnInterface) (deltaStream, error)
	sotw  func(context.Context, grpc.ClientConnInterface) (sotwStream, error)
}{
	secretType: {
		func(ctx context.Context, c grpc.ClientConnInterface) (deltaStream, error) {
			return secretservice.NewSecretDiscoveryServiceClient(c).DeltaSecrets(ctx)
		},
		func(ctx context.Context, c grpc.ClientConnInterface) (sotwStream, error) {
			return secretservice.NewSecretDiscoveryServiceClient(c).StreamSecrets(ctx)
		},
	},
	clusterType: {
		func(ctx context.Context, c grpc.ClientConnInterface) (deltaStream, error) {
			return clusterservice.NewClusterDiscoveryServiceClient(c).DeltaClusters(ctx)
		},
		func(ctx context.Context, c grpc.ClientConnInterface) (sotwStream, error) {
			return clusterservice.NewClusterDiscoveryServiceClient(c).StreamClusters(ctx)
		},
	},
	endpointType: {
		func(ctx context.Context, c grpc.ClientConnInterface) (deltaStream, error) {
			return endpointservice.NewEndpointDiscoveryServiceClient(c).DeltaEndpoints(ctx)
		},
		func(ctx context.Context, c grpc.ClientConnInterface) (sotwStream, error) {
			return endpointservice.NewEndpointDiscoveryServiceClient(c).StreamEndpoints(ctx)
		},
	},
	listenerType: {
		func(ctx context.Context, c grpc.ClientConnInterface) (deltaStream, error) {
			return listenerservice.NewListenerDiscoveryServiceClient(c).DeltaListeners(ctx)
		},
		func(ctx context.Context, c grpc.ClientConnInterface) (sotwStream, error) {
			return listenerservice.NewListenerDiscoveryServiceClient(c).StreamListeners(ctx)
		},
	},
	routeType: {
		func(ctx context.Context, c grpc.ClientConnInterface) (deltaStream, error) {
			return routeservice.NewRouteDiscoveryServiceClient(c).DeltaRoutes(ctx)
		},
		func(ctx context.Context, c grpc.ClientConnInterface) (sotwStream, error) {
			return routeservice.NewRouteDiscoveryServiceClient(c).StreamRoutes(ctx)
		},
	},
}

// conn is a connection for any service.
func (w *world) conn() *grpc.ClientConn {
	w.Helper()
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	require.NoError(w, err)
	w.Cleanup(func() { _ = conn.Close() })
	return conn
}

// bounded is a context that ends with the test, and before it where nothing comes.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestDeltaEachTypeHasAServiceOfItsOwn(t *testing.T) {
	for _, of := range served {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick(), oneOfEach(1)...)
			stream, err := openers[of.url].delta(bounded(t), w.conn())
			require.NoError(t, err)
			require.NoError(t, stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node("envoy-1"), ResourceNamesSubscribe: []string{"a"}}))
			for seed := 1; seed <= 3; seed++ {
				r, err := stream.Recv()
				require.NoError(t, err)
				require.Equal(t, of.url, r.GetTypeUrl())
				require.Equal(t, []string{"a"}, deltaNames(r))
				require.Equal(t, versionOfResource(t, of.make("a", seed)), r.GetResources()[0].GetVersion())
				require.NoError(t, stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: of.url, ResponseNonce: r.GetNonce()}))
				w.wantBehind(0)
				require.Equal(t, of.url, w.server.Streams()[0].Only)
				w.set(oneOfEach(seed + 1)...)
			}
		})
	}
}

func TestSotWEachTypeHasAServiceOfItsOwn(t *testing.T) {
	for _, of := range served {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick(), oneOfEach(1)...)
			stream, err := openers[of.url].sotw(bounded(t), w.conn())
			require.NoError(t, err)
			require.NoError(t, stream.Send(&discoveryv3.DiscoveryRequest{Node: node("envoy-1"), ResourceNames: []string{"a"}}))
			for seed := 1; seed <= 3; seed++ {
				r, err := stream.Recv()
				require.NoError(t, err)
				require.Equal(t, of.url, r.GetTypeUrl())
				require.Equal(t, []string{"a"}, sotwNames(t, r))
				require.NoError(t, stream.Send(&discoveryv3.DiscoveryRequest{
					ResourceNames: []string{"a"}, ResponseNonce: r.GetNonce(), VersionInfo: r.GetVersionInfo(),
				}))
				w.wantBehind(0)
				require.Equal(t, of.url, w.server.Streams()[0].Only)
				w.set(oneOfEach(seed + 1)...)
			}
		})
	}
}

const otherService = "this stream is for envoy.config.cluster.v3.Cluster only, and the request is for envoy.config.endpoint.v3.ClusterLoadAssignment; " +
	"ask for it of its own service, or for both of the AggregatedDiscoveryService"

func TestDeltaStreamOfOneTypeRefusesAnother(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	stream, err := openers[clusterType].delta(bounded(t), w.conn())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node("envoy-1"), TypeUrl: endpointType}))
	_, err = stream.Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, otherService)
}

func TestSotWStreamOfOneTypeRefusesAnother(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	stream, err := openers[clusterType].sotw(bounded(t), w.conn())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&discoveryv3.DiscoveryRequest{Node: node("envoy-1")}))
	_, err = stream.Recv()
	require.NoError(t, err)
	require.NoError(t, stream.Send(&discoveryv3.DiscoveryRequest{TypeUrl: endpointType}))
	_, err = stream.Recv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, otherService)
}

func TestDeltaEveryTypeTellsItsSystemVersion(t *testing.T) {
	w := newWorld(t, quick(), oneOfEach(1)...)
	c := w.delta()
	for _, of := range served {
		c.subscribe(of.url, "a")
		require.Equal(t, versionOfResource(t, of.make("a", 1)), c.want(of.url, "a").GetSystemVersionInfo())
	}
}

func TestServicesThatAreNotThereSaySo(t *testing.T) {
	w := newWorld(t, quick())
	stream, err := runtimeservice.NewRuntimeDiscoveryServiceClient(w.conn()).DeltaRuntime(bounded(t))
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.ErrorContains(t, err, "unknown service envoy.service.runtime.v3.RuntimeDiscoveryService")
	_, err = clusterservice.NewClusterDiscoveryServiceClient(w.conn()).FetchClusters(bounded(t), &discoveryv3.DiscoveryRequest{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
}

func TestDeltaHalfClosedStreamIsAnsweredAndEndsWell(t *testing.T) {
	w := newWorld(t, quick(), oneOfEach(1)...)
	c := w.delta()
	for _, of := range served {
		c.subscribe(of.url, "a")
	}
	require.NoError(t, c.stream.CloseSend())
	require.True(t, errors.Is(c.ends(), io.EOF))
	for _, of := range served {
		c.see(of.url, "a")
	}
	silent := w.delta()
	require.NoError(t, silent.stream.CloseSend())
	require.True(t, errors.Is(silent.ends(), io.EOF), "one that asked nothing too")
}

func TestSotWHalfClosedStreamIsAnsweredAndEndsWell(t *testing.T) {
	w := newWorld(t, quick(), oneOfEach(1)...)
	c := w.sotw()
	for _, of := range served {
		c.subscribe(of.url, "a")
	}
	require.NoError(t, c.stream.CloseSend())
	require.True(t, errors.Is(c.ends(), io.EOF))
	for _, of := range served {
		c.see(of.url, "a")
	}
}

func TestDeltaCompressedRequestsAreUnderstood(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.deltaOver(w.dial(grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip"))), "envoy-1")
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.quiet()
}

func TestSotWCompressedRequestsAreUnderstood(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1))
	c := w.sotwOver(w.dial(grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip"))), "envoy-1")
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.quiet()
}

func TestCompressedRequestsAreLimitedInTheirRealSize(t *testing.T) {
	config := quick()
	config.Limits = Limits{MaxRequestBytes: 10_000}
	w := newWorld(t, config)
	c := w.deltaOver(w.dial(grpc.WithDefaultCallOptions(grpc.UseCompressor("gzip"))), "envoy-1")
	c.subscribe(endpointType, string(make([]byte, 1<<20))) // a few kilobytes on the wire
	err := c.ends()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "larger than max")
}

func TestHalfClosedStreamOfAGatewayThatIsNotServedIsTold(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.spoken = true
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, Node: &corev3.Node{Id: "tool", Cluster: "edge/none"}})
	require.NoError(t, c.stream.CloseSend())
	err := c.ends()
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, `the Gateway "edge/none", which node.cluster names, is not served here`)
}
