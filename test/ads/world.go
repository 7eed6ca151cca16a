package ads

import (
	"context"
	"fmt"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// order is that in which Envoy asks.
var order = []string{resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType, resource.SecretType}

// world is state of the world.
type world struct {
	discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient

	config Config
}

func openWorld(ctx context.Context, conn *grpc.ClientConn, config Config) (*world, error) {
	s, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).StreamAggregatedResources(ctx)
	return &world{AggregatedDiscoveryService_StreamAggregatedResourcesClient: s, config: config}, err
}

func (w *world) first(typeURL string) error {
	version := ""
	// Of a type whose answers are complete, all names have the version of the last one.
	for _, version = range w.config.Has[typeURL] {
		break
	}
	return w.Send(&discoveryv3.DiscoveryRequest{
		Node: node(w.config.Node, w.config.Gateway), TypeUrl: typeURL, ResourceNames: w.config.Wanted[typeURL], VersionInfo: version,
	})
}

func (w *world) receive() (Response, error) {
	m, err := w.Recv()
	if err != nil {
		return Response{}, err
	}
	r := Response{Type: m.GetTypeUrl(), nonce: m.GetNonce(), version: m.GetVersionInfo()}
	for _, packed := range m.GetResources() {
		name, err := nameOf(packed)
		if err != nil {
			return Response{}, err
		}
		r.Names = append(r.Names, name)
	}
	return r, nil
}

func (w *world) ack(r Response) error {
	return w.Send(&discoveryv3.DiscoveryRequest{
		TypeUrl: r.Type, ResourceNames: w.config.Wanted[r.Type], VersionInfo: r.version, ResponseNonce: r.nonce,
	})
}

// nameOf is the name of a packed resource.
func nameOf(packed *anypb.Any) (string, error) {
	m, err := packed.UnmarshalNew()
	if err != nil {
		return "", err
	}
	for _, field := range []protoreflect.Name{"name", "cluster_name"} {
		if f := m.ProtoReflect().Descriptor().Fields().ByName(field); f != nil {
			return m.ProtoReflect().Get(f).String(), nil
		}
	}
	return "", fmt.Errorf("a resource of type %s has no name", packed.GetTypeUrl())
}
