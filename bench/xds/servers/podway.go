package servers

import (
	"context"
	"io"
	"log/slog"
	"net"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/podway/podway/api"
	"github.com/podway/podway/xds"
)

// plenty is a limit that no benchmark reaches.
const plenty = 1_000_000

func startPodway(listener net.Listener, names []string) *System {
	server := xds.New(xds.Config{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Limits: xds.Limits{MaxStreams: plenty, MaxStreamsPerPeer: plenty, StreamRate: plenty, StreamBurst: plenty, StreamRatePerPeer: plenty},
	})
	var all []*api.Resource
	for _, name := range names {
		all = append(all, endpoints(small(name)))
	}
	server.SetViews(map[string][]*api.Resource{Gateway: all})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx, listener) }()
	return &System{
		Address: listener.Addr().String(),
		Publish: func(cluster, seed int) error {
			server.SetEndpoints([]*api.Resource{endpoints(assignment(name(cluster), seed))}, nil)
			return nil
		},
		Stop: func() error {
			cancel()
			return <-done
		},
	}
}

func endpoints(m *endpointv3.ClusterLoadAssignment) *api.Resource {
	return &api.Resource{ResourceKey: api.ResourceKey{Type: resource.EndpointType, Name: m.GetClusterName()}, Message: m}
}
