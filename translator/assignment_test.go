package translator

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/podway/podway/api/pods"
)

// TestAssignmentsAreEncodedAsProtobufWould compares with the message of the same content.
func TestAssignmentsAreEncodedAsProtobufWould(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func(most int) string { return strings.Repeat("x", random.IntN(most)) }
	address := func() netip.AddrPort {
		b := [16]byte{0x20, 1, byte(random.Uint32()), 15: byte(random.Uint32())}
		if random.IntN(2) == 0 {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:])), uint16(1+random.IntN(65535)))
		}
		return netip.AddrPortFrom(netip.AddrFrom16(b), uint16(1+random.IntN(65535)))
	}
	for range 500 {
		backends := make([]backend, random.IntN(4))
		for i := range backends {
			backends[i] = backend{address: address(), weight: 1 + random.Uint32N(1<<random.IntN(31))}
			if random.IntN(3) > 0 {
				backends[i].cluster = word(200)
				backends[i].pod = named(word(63), word(253))
			}
		}
		name, hostname := "tunnel/"+word(200), word(253)
		want := assignmentMessage(name, backends, hostname)
		wire := encodeAssignment(name, asTheyAre(backends), hostname)
		var got endpointv3.ClusterLoadAssignment
		require.NoError(t, proto.Unmarshal(wire, &got))
		require.True(t, proto.Equal(want, &got), "%v\n%v", want, &got)
		require.Len(t, wire, proto.Size(want), "nothing has more bytes than it needs")
		require.Equal(t, len(wire), cap(wire), "it is kept: nothing is wasted")
	}
}

func TestStringsThatAreNotUTF8DoNotSpoilAnAssignment(t *testing.T) {
	wire := encodeAssignment("tunnel/edge/t", asTheyAre([]backend{{
		address: netip.MustParseAddrPort("10.0.0.1:80"), weight: 1, cluster: "east", pod: named("default", "a\xffb"),
	}}), "")
	var got endpointv3.ClusterLoadAssignment
	require.NoError(t, proto.Unmarshal(wire, &got))
	require.Equal(t, "a\uFFFDb", got.GetEndpoints()[0].GetLbEndpoints()[0].GetMetadata().GetFilterMetadata()["podway"].GetFields()["pod"].GetStringValue())
}

func named(namespace, name string) *pods.Pod {
	one := []pods.Pod{{Group: &pods.Group{Namespace: namespace}}}
	pods.GiveNames(one, []string{name})
	return &one[0]
}

// asTheyAre are backends in the order in which they are given.
func asTheyAre(backends []backend) *sorter {
	s := &sorter{backends: backends}
	for i := range backends {
		s.order = append(s.order, sortKey{index: i})
	}
	return s
}

// assignmentMessage is what encodeAssignment encodes.
func assignmentMessage(name string, backends []backend, hostname string) *endpointv3.ClusterLoadAssignment {
	assignment := &endpointv3.ClusterLoadAssignment{ClusterName: name}
	var all []*endpointv3.LbEndpoint
	for _, b := range backends {
		lb := &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Hostname: hostname,
				Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
					Address: b.address.Addr().String(), PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(b.address.Port())},
				}}},
			}},
			LoadBalancingWeight: wrapperspb.UInt32(b.weight),
		}
		if b.pod != nil {
			lb.Metadata = metadata("cluster", b.cluster, "namespace", b.pod.Namespace, "pod", b.pod.Name())
		}
		all = append(all, lb)
	}
	if len(all) > 0 {
		assignment.Endpoints = []*endpointv3.LocalityLbEndpoints{{LbEndpoints: all}}
	}
	return assignment
}
