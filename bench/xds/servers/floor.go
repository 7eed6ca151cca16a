package servers

import (
	"net"
	"strconv"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/podway/podway/bench/xds/raw"
)

// floor answers each first request with everything, unless the client has it, and each publication with the same bytes on
// every delta stream.
type floor struct {
	// everything is for delta, world for the state of the world.
	everything, world []byte

	// byTurns has each stream wait for the acknowledgement of one publication before it is sent the latest.
	byTurns bool

	mu      sync.Mutex
	streams map[chan []byte]bool
	turns   map[*turn]bool
	// last is the last publication: a stream that comes later gets it too.
	last []byte
}

// queued is how many publications a stream of the floor may be behind before the publisher waits for it.
const queued = 16

// streamWindow and connectionWindow are podway's.
const (
	streamWindow     = 64 << 10
	connectionWindow = 256 << 10
)

func startFloor(listener net.Listener, names []string, byTurns bool) (*System, error) {
	m := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: resource.EndpointType, Nonce: "first"}
	w := &discoveryv3.DiscoveryResponse{TypeUrl: resource.EndpointType, Nonce: "first", VersionInfo: "0123456789abcdef"}
	for _, name := range names {
		packed, err := anypb.New(small(name))
		if err != nil {
			return nil, err
		}
		m.Resources = append(m.Resources, &discoveryv3.Resource{Name: name, Version: "0123456789abcdef", Resource: packed})
		w.Resources = append(w.Resources, packed)
	}
	everything, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	world, err := proto.Marshal(w)
	if err != nil {
		return nil, err
	}
	f := &floor{everything: everything, world: world, byTurns: byTurns, streams: map[chan []byte]bool{}, turns: map[*turn]bool{}}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw.Codec{}),
		grpc.StaticStreamWindowSize(streamWindow), grpc.StaticConnWindowSize(connectionWindow), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return f.serve(stream)
		}))
	return serve(listener, server, f.publish, func() {}), nil
}

func (f *floor) serve(stream grpc.ServerStream) error {
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	if method, _ := grpc.MethodFromServerStream(stream); method == raw.WorldMethod {
		return f.serveWorld(stream)
	}
	first := f.everything
	if raw.Has(request, raw.InitialVersions) {
		first = nil
	}
	request = nil
	if f.byTurns {
		return f.serveByTurns(stream, first)
	}
	queue := make(chan []byte, queued)
	f.mu.Lock()
	f.streams[queue] = true
	if first == nil {
		first = f.last
	}
	f.mu.Unlock()
	defer f.leave(queue)
	if first != nil {
		if err := stream.SendMsg(first); err != nil {
			return err
		}
	}
	go func() {
		var ack []byte
		for stream.RecvMsg(&ack) == nil {
		}
	}()
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case m := <-queue:
			if err := stream.SendMsg(m); err != nil {
				return err
			}
		}
	}
}

// serveWorld sends everything, as that variant must for endpoints whatever the client has.
func (f *floor) serveWorld(stream grpc.ServerStream) error {
	if err := stream.SendMsg(f.world); err != nil {
		return err
	}
	for {
		var ack []byte
		if err := stream.RecvMsg(&ack); err != nil {
			return err
		}
	}
}

func (f *floor) leave(queue chan []byte) {
	// A publisher may be waiting for room in the queue while it holds the lock.
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-queue:
			case <-done:
				return
			}
		}
	}()
	f.mu.Lock()
	delete(f.streams, queue)
	f.mu.Unlock()
	close(done)
}

func (f *floor) publish(cluster, seed int) error {
	m := assignment(name(cluster), seed)
	packed, err := anypb.New(m)
	if err != nil {
		return err
	}
	response, err := proto.Marshal(&discoveryv3.DeltaDiscoveryResponse{
		TypeUrl: resource.EndpointType, Nonce: strconv.Itoa(seed),
		Resources: []*discoveryv3.Resource{{Name: m.GetClusterName(), Version: strconv.Itoa(seed), Resource: packed}},
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = response
	for queue := range f.streams {
		queue <- response
	}
	for turn := range f.turns {
		turn.publish(response)
	}
	return nil
}
