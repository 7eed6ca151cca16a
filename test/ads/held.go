package ads

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Held are versions by type URL and name. That of a state-of-the-world client has the version_info with which each name last came.
type Held map[string]map[string]string

func (h Held) set(typeURL, name, version string) {
	if h[typeURL] == nil {
		h[typeURL] = map[string]string{}
	}
	h[typeURL][name] = version
}

// Names are those of a type, sorted.
func (h Held) Names(typeURL string) []string { return slices.Sorted(maps.Keys(h[typeURL])) }

// Equal is true where both have the same names in the same versions.
func (h Held) Equal(other Held) bool {
	return maps.EqualFunc(h, other, maps.Equal[map[string]string, map[string]string])
}

// HeldBy asks a server's CSDS what a node has of it. A node that is not connected, or has not acknowledged all that it is owed, is an error.
func HeldBy(ctx context.Context, address, node string) (Held, error) {
	conn, err := dial(address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	exact := &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: node}}
	response, err := statusv3.NewClientStatusDiscoveryServiceClient(conn).FetchClientStatus(ctx, &statusv3.ClientStatusRequest{
		NodeMatchers: []*matcherv3.NodeMatcher{{NodeId: exact}}, ExcludeResourceContents: true,
	})
	if err != nil {
		return nil, err
	}
	if count := len(response.GetConfig()); count != 1 {
		return nil, fmt.Errorf("%d streams of the node %s are open at %s", count, node, address)
	}
	held := Held{}
	for _, config := range response.GetConfig()[0].GetGenericXdsConfigs() {
		if status := config.GetConfigStatus(); status != statusv3.ConfigStatus_SYNCED {
			return nil, fmt.Errorf("node %s: %s %s is %s", node, config.GetTypeUrl(), config.GetName(), status)
		}
		held.set(config.GetTypeUrl(), config.GetName(), config.GetVersionInfo())
	}
	return held, nil
}

func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
}

func node(id, cluster string) *corev3.Node { return &corev3.Node{Id: id, Cluster: cluster} }
