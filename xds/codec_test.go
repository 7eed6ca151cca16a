package xds

import (
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

func TestHeadIsThatOfBothVariants(t *testing.T) {
	for _, version := range []string{"", "v1"} {
		head := newHead(version, endpointType, "17")
		d, s := &discoveryv3.DeltaDiscoveryResponse{}, &discoveryv3.DiscoveryResponse{}
		require.NoError(t, proto.Unmarshal(head, d))
		require.NoError(t, proto.Unmarshal(head, s))
		require.True(t, proto.Equal(&discoveryv3.DeltaDiscoveryResponse{SystemVersionInfo: version, TypeUrl: endpointType, Nonce: "17"}, d))
		require.True(t, proto.Equal(&discoveryv3.DiscoveryResponse{VersionInfo: version, TypeUrl: endpointType, Nonce: "17"}, s))
	}
}

func TestEmptiedSliceHoldsNothing(t *testing.T) {
	small := emptied([]*record{{}, {}})
	require.Empty(t, small)
	require.Equal(t, []*record{nil, nil}, small[:2])
	require.Nil(t, emptied(make([]*record, 1, 2*fewKept)), "what was needed once is given back")
}
