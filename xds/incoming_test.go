package xds

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
)

func TestManyNamesArriveAsFewDo(t *testing.T) {
	for _, count := range []int{0, 1, fewestEncoded - 1, fewestEncoded, 1000} {
		names := make([]string, count)
		for i := range names {
			names[i] = fmt.Sprint("name-", i)
		}
		sent := &discoveryv3.DeltaDiscoveryRequest{
			Node: node("envoy"), TypeUrl: endpointType, ResourceNamesSubscribe: names, ResourceNamesUnsubscribe: []string{"other"},
			InitialResourceVersions: map[string]string{"a": "1"}, ResponseNonce: "n",
		}
		encoded, err := proto.Marshal(sent)
		require.NoError(t, err)
		var in incoming[discoveryv3.DeltaDiscoveryRequest]
		require.NoError(t, newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(encoded)}, &in))
		require.Equal(t, len(encoded), in.size)
		if count < fewestEncoded {
			require.True(t, proto.Equal(sent, &in.message))
			continue
		}
		r := request{typeURL: endpointType, manySubscribe: in.names}
		require.Equal(t, count, r.count())
		r.decode(newView("edge/front"))
		require.Equal(t, names, r.subscribe)
		require.Equal(t, count, r.count())
		sent.ResourceNamesSubscribe = nil
		require.True(t, proto.Equal(sent, &in.message))
	}
}

func TestNamesThatTheViewHasAreItsOwn(t *testing.T) {
	v := newView("edge/front")
	r, err := newRecord(emptyAssignment("there"))
	require.NoError(t, err)
	v.put(api.ResourceKey{Type: endpointType, Name: "there"}, r, time.Now())
	encoded := encodedNames{raw: []byte("\x05there\x06absent\x00"), count: 3}
	names := v.namesOf(endpointType, encoded)
	require.Equal(t, []string{"there", "absent", ""}, names)
	require.Same(t, unsafe.StringData(r.key.Name), unsafe.StringData(names[0]))
}

func FuzzIncoming(f *testing.F) {
	names := slices.Repeat([]string{"name"}, fewestEncoded)
	sent, err := proto.Marshal(&discoveryv3.DiscoveryRequest{ResourceNames: names, TypeUrl: endpointType})
	require.NoError(f, err)
	f.Add(sent)
	f.Add(protowire.AppendVarint(protowire.AppendTag(sent, requestNames, protowire.VarintType), 7))
	f.Add(append(sent, 0x1a, 2, 0xff, 0xff))
	f.Add(append(sent, 0x1b, 0x1c))
	f.Add(append(sent, 0x1a))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var want discoveryv3.DiscoveryRequest
		failed := proto.Unmarshal(encoded, &want)
		var in incoming[discoveryv3.DiscoveryRequest]
		err := in.decode(mem.BufferSlice{mem.SliceBuffer(encoded)})
		require.Equal(t, failed == nil, err == nil, "%v, %v", failed, err)
		if err != nil {
			return
		}
		in.message.ResourceNames = append(in.message.ResourceNames, newView("").namesOf(endpointType, in.names)...)
		require.True(t, proto.Equal(&want, &in.message))
	})
}
