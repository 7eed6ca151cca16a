package servers

import (
	"context"
	"net"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	gcp "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
)

func startLinear(listener net.Listener, names []string) *System {
	initial := map[string]types.Resource{}
	for _, name := range names {
		initial[name] = small(name)
	}
	linear := cache.NewLinearCache(resource.EndpointType, cache.WithInitialResources(initial))
	ctx, cancel := context.WithCancel(context.Background())
	server := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(server, gcp.NewServer(ctx, linear, nil))
	return serve(listener, server, func(cluster, seed int) error {
		return linear.UpdateResource(name(cluster), assignment(name(cluster), seed))
	}, cancel)
}
