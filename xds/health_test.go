package xds

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

func TestHealthIsThatOfServing(t *testing.T) {
	w := newEmptyWorld(t, quick())
	client := healthv1.NewHealthClient(w.conn())
	state := func(service string) healthv1.HealthCheckResponse_ServingStatus {
		r, err := client.Check(bounded(t), &healthv1.HealthCheckRequest{Service: service})
		require.NoError(t, err)
		return r.GetStatus()
	}
	require.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, state(""), "before the first state")
	w.set()
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, state(""))
	require.Equal(t, healthv1.HealthCheckResponse_SERVING, state("envoy.service.discovery.v3.AggregatedDiscoveryService"))
	_, err := client.Check(bounded(t), &healthv1.HealthCheckRequest{Service: "other"})
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, `there is no service "other" here`)
	stream, err := client.Watch(bounded(t), &healthv1.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.Unimplemented, status.Code(err), "which clients take for healthy")
	w.server.mu.Lock()
	w.server.closing = true
	w.server.mu.Unlock()
	require.Equal(t, healthv1.HealthCheckResponse_NOT_SERVING, state(""), "once shutdown has begun")
	w.server.mu.Lock()
	w.server.closing = false
	w.server.mu.Unlock()
}

func TestReflectionListsTheServicesForOperators(t *testing.T) {
	w := newWorld(t, quick())
	stream, err := reflectionv1.NewServerReflectionClient(w.conn()).ServerReflectionInfo(bounded(t))
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}))
	r, err := stream.Recv()
	require.NoError(t, err)
	var names []string
	for _, service := range r.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	require.Subset(t, names, []string{
		"envoy.service.cluster.v3.ClusterDiscoveryService", "envoy.service.discovery.v3.AggregatedDiscoveryService",
		"envoy.service.endpoint.v3.EndpointDiscoveryService", "envoy.service.listener.v3.ListenerDiscoveryService",
		"envoy.service.route.v3.RouteDiscoveryService", "envoy.service.secret.v3.SecretDiscoveryService",
		"envoy.service.status.v3.ClientStatusDiscoveryService", "grpc.health.v1.Health",
	})
}

func TestReflectionIsForOperators(t *testing.T) {
	s := newSecureWorld(t, quick(), nil)
	stream, err := reflectionv1.NewServerReflectionClient(s.connect(s.client(gatewayIdentity), nil)).ServerReflectionInfo(bounded(t))
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	require.ErrorContains(t, err, "the identity spiffe://example.org/gateway/edge/public is not named as operator")
	require.Error(t, s.server.AuthorizeOperator(peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{}})))
}
