package xds

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	gateway = "edge/public"
	// streamsPerConnection keeps the clients' share of the machine small.
	streamsPerConnection = 50
	// nonceField is that of a DeltaDiscoveryResponse.
	nonceField = 5
	deltaADS   = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
)

// raw hands bytes through, so that clients cost little beside the server that is measured.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// fleet is delta clients that acknowledge whatever they get.
type fleet struct {
	// arrived has one element for each response with resources that was acknowledged.
	arrived chan struct{}
	cancel  context.CancelFunc
	group   sync.WaitGroup
	conns   []*grpc.ClientConn
}

func names(count int) []string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf("tunnel/edge/service-%04d", i)
	}
	return all
}

func newFleet(tb testing.TB, address string, streams, clusters int) *fleet {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleet{arrived: make(chan struct{}, streams*clusters+1), cancel: cancel}
	for i := range streams {
		if i%streamsPerConnection == 0 {
			conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
				grpc.WithInitialConnWindowSize(64<<20), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(64<<20)))
			require.NoError(tb, err)
			f.conns = append(f.conns, conn)
		}
		f.open(ctx, tb, f.conns[len(f.conns)-1], i, clusters)
	}
	return f
}

func (f *fleet) open(ctx context.Context, tb testing.TB, conn *grpc.ClientConn, i, clusters int) {
	tb.Helper()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, deltaADS)
	require.NoError(tb, err)
	first, err := proto.Marshal(&discoveryv3.DeltaDiscoveryRequest{
		Node: &corev3.Node{Id: fmt.Sprintf("envoy-%d", i), Cluster: gateway}, TypeUrl: resource.EndpointType, ResourceNamesSubscribe: names(clusters),
	})
	require.NoError(tb, err)
	require.NoError(tb, stream.SendMsg(first))
	f.group.Go(func() {
		for {
			var m []byte
			if stream.RecvMsg(&m) != nil {
				return
			}
			nonce, resources := read(m)
			ack, err := proto.Marshal(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType, ResponseNonce: nonce})
			if err != nil || stream.SendMsg(ack) != nil {
				return
			}
			for range resources {
				f.arrived <- struct{}{}
			}
		}
	})
}

// read finds the nonce and counts the resources of a DeltaDiscoveryResponse.
func read(m []byte) (nonce string, resources int) {
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return "", 0
		}
		m = m[n:]
		size := protowire.ConsumeFieldValue(number, kind, m)
		if size < 0 {
			return "", 0
		}
		switch number {
		case 2:
			resources++
		case nonceField:
			value, _ := protowire.ConsumeString(m)
			nonce = value
		}
		m = m[size:]
	}
	return nonce, resources
}

// wait blocks until count resources have been acknowledged.
func (f *fleet) wait(count int) {
	for range count {
		<-f.arrived
	}
}

func (f *fleet) close() {
	f.cancel()
	f.group.Wait()
	for _, conn := range f.conns {
		_ = conn.Close()
	}
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	return listener
}
