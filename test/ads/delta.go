package ads

import (
	"context"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

type delta struct {
	discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient

	config Config
}

func openDelta(ctx context.Context, conn *grpc.ClientConn, config Config) (*delta, error) {
	s, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	return &delta{AggregatedDiscoveryService_DeltaAggregatedResourcesClient: s, config: config}, err
}

func (d *delta) first(typeURL string) error {
	return d.Send(&discoveryv3.DeltaDiscoveryRequest{
		Node: node(d.config.Node, d.config.Gateway), TypeUrl: typeURL,
		ResourceNamesSubscribe: d.config.Wanted[typeURL], InitialResourceVersions: d.config.Has[typeURL],
	})
}

func (d *delta) receive() (Response, error) {
	m, err := d.Recv()
	r := Response{Type: m.GetTypeUrl(), nonce: m.GetNonce(), Removed: m.GetRemovedResources()}
	for _, resource := range m.GetResources() {
		r.Names, r.versions = append(r.Names, resource.GetName()), append(r.versions, resource.GetVersion())
	}
	return r, err
}

func (d *delta) ack(r Response) error {
	return d.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.Type, ResponseNonce: r.nonce})
}
