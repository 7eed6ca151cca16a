package xds

import (
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// register adds the discovery services: one for all types, and one for each. On a stream of a single type nothing of another can be waited
// for, so that only the first keeps a change in order.
func (s *Server) register(server grpc.ServiceRegistrar) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, s)
	each := single{server: s}
	secretservice.RegisterSecretDiscoveryServiceServer(server, each)
	clusterservice.RegisterClusterDiscoveryServiceServer(server, each)
	endpointservice.RegisterEndpointDiscoveryServiceServer(server, each)
	listenerservice.RegisterListenerDiscoveryServiceServer(server, each)
	routeservice.RegisterRouteDiscoveryServiceServer(server, each)
}

// typeOf is the type that a request asks for, on a stream that is for one type only unless that is empty.
func typeOf(only, asked string) (string, error) {
	if only == "" || asked == only {
		return asked, nil
	}
	if asked == "" {
		return only, nil
	}
	return "", status.Errorf(codes.InvalidArgument,
		"this stream is for %s only, and the request is for %s; ask for it of its own service, or for both of the AggregatedDiscoveryService",
		messageName(only), short(messageName(asked)))
}

func (s *Server) serveDelta(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer, only string) error {
	return s.serve(g.Context(), &delta{stream: g, plane: s.plane(), only: only})
}

func (s *Server) serveStateOfTheWorld(g discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer, only string) error {
	return s.serve(g.Context(), &stateOfTheWorld{stream: g, plane: s.plane(), only: only})
}

// single serves the service of each type. They have no method in common.
type single struct {
	secretservice.UnimplementedSecretDiscoveryServiceServer
	clusterservice.UnimplementedClusterDiscoveryServiceServer
	endpointservice.UnimplementedEndpointDiscoveryServiceServer
	listenerservice.UnimplementedListenerDiscoveryServiceServer
	routeservice.UnimplementedRouteDiscoveryServiceServer

	server *Server
}

// DeltaSecrets serves SDS.
func (x single) DeltaSecrets(g secretservice.SecretDiscoveryService_DeltaSecretsServer) error {
	return x.server.serveDelta(g, secretType)
}

// StreamSecrets serves SDS.
func (x single) StreamSecrets(g secretservice.SecretDiscoveryService_StreamSecretsServer) error {
	return x.server.serveStateOfTheWorld(g, secretType)
}

// DeltaClusters serves CDS.
func (x single) DeltaClusters(g clusterservice.ClusterDiscoveryService_DeltaClustersServer) error {
	return x.server.serveDelta(g, clusterType)
}

// StreamClusters serves CDS.
func (x single) StreamClusters(g clusterservice.ClusterDiscoveryService_StreamClustersServer) error {
	return x.server.serveStateOfTheWorld(g, clusterType)
}

// DeltaEndpoints serves EDS.
func (x single) DeltaEndpoints(g endpointservice.EndpointDiscoveryService_DeltaEndpointsServer) error {
	return x.server.serveDelta(g, endpointType)
}

// StreamEndpoints serves EDS.
func (x single) StreamEndpoints(g endpointservice.EndpointDiscoveryService_StreamEndpointsServer) error {
	return x.server.serveStateOfTheWorld(g, endpointType)
}

// DeltaListeners serves LDS.
func (x single) DeltaListeners(g listenerservice.ListenerDiscoveryService_DeltaListenersServer) error {
	return x.server.serveDelta(g, listenerType)
}

// StreamListeners serves LDS.
func (x single) StreamListeners(g listenerservice.ListenerDiscoveryService_StreamListenersServer) error {
	return x.server.serveStateOfTheWorld(g, listenerType)
}

// DeltaRoutes serves RDS.
func (x single) DeltaRoutes(g routeservice.RouteDiscoveryService_DeltaRoutesServer) error {
	return x.server.serveDelta(g, routeType)
}

// StreamRoutes serves RDS.
func (x single) StreamRoutes(g routeservice.RouteDiscoveryService_StreamRoutesServer) error {
	return x.server.serveStateOfTheWorld(g, routeType)
}
