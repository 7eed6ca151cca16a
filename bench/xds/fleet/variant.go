package fleet

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/bench/xds/raw"
	"github.com/podway/podway/bench/xds/servers"
)

// variant is how requests are made: delta or state of the world.
type variant interface {
	method() string
	first(node int) ([]byte, error)
	ack(r raw.Response) ([]byte, error)
}

func node(number int) *corev3.Node {
	return &corev3.Node{Id: fmt.Sprintf("envoy-%d", number), Cluster: servers.Gateway}
}

// delta subscribes to names once.
type delta struct {
	names    []string
	versions map[string]string
}

func (delta) method() string { return raw.DeltaMethod }

func (d delta) first(number int) ([]byte, error) {
	return proto.Marshal(&discoveryv3.DeltaDiscoveryRequest{
		Node: node(number), TypeUrl: resource.EndpointType, ResourceNamesSubscribe: d.names, InitialResourceVersions: d.versions,
	})
}

func (delta) ack(r raw.Response) ([]byte, error) {
	return proto.Marshal(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType, ResponseNonce: r.Nonce})
}

// world is state of the world, which says all names in each request.
type world struct {
	// names are a DiscoveryRequest that holds only them: encoded once, for they are much the longest part of each request.
	names   []byte
	version string
}

func newWorld(names []string, version string) (world, error) {
	encoded, err := proto.Marshal(&discoveryv3.DiscoveryRequest{ResourceNames: names})
	return world{names: encoded, version: version}, err
}

func (world) method() string { return raw.WorldMethod }

func (w world) first(number int) ([]byte, error) {
	return w.request(&discoveryv3.DiscoveryRequest{Node: node(number), VersionInfo: w.version})
}

func (w world) ack(r raw.Response) ([]byte, error) {
	return w.request(&discoveryv3.DiscoveryRequest{VersionInfo: r.Version, ResponseNonce: r.Nonce})
}

// request relies on encoded messages that follow each other being their union.
func (w world) request(r *discoveryv3.DiscoveryRequest) ([]byte, error) {
	r.TypeUrl = resource.EndpointType
	encoded, err := proto.Marshal(r)
	return append(encoded, w.names...), err
}
