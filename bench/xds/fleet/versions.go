package fleet

import (
	"context"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
)

// Versions asks a server for the versions of all names.
func Versions(ctx context.Context, address string, names []string) (map[string]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := Dial(address, window)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // it was only read from
	stream, err := Stream(ctx, conn, 0, names, nil)
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for len(versions) < len(names) {
		var m []byte
		if err := stream.RecvMsg(&m); err != nil {
			return nil, err
		}
		var r discoveryv3.DeltaDiscoveryResponse
		if err := proto.Unmarshal(m, &r); err != nil {
			return nil, err
		}
		for _, resource := range r.GetResources() {
			versions[resource.GetName()] = resource.GetVersion()
		}
	}
	return versions, nil
}
