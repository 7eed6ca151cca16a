package xds

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
)

// loris is a client that sends a request, and all of another but the last byte, on one stream after the other.
type loris struct {
	*testing.T
	conn   net.Conn
	framer *http2.Framer
	// windows are what may be sent on each stream; that of 0 is the connection's.
	windows map[uint32]int
	// sent is how much was sent, and ended is closed once the server has closed the connection.
	sent  atomic.Int64
	ended chan struct{}
}

// loris begins requests of a size on so many streams of one connection.
func (w *world) loris(streams, size int) *loris {
	w.Helper()
	conn, err := w.connect()
	require.NoError(w, err)
	w.Cleanup(func() { _ = conn.Close() })
	l := &loris{T: w.T, conn: conn, framer: http2.NewFramer(conn, conn), windows: map[uint32]int{0: initialWindow}, ended: make(chan struct{})}
	_, err = conn.Write([]byte(http2.ClientPreface))
	require.NoError(w, err)
	require.NoError(w, l.framer.WriteSettings())
	go func() {
		defer close(l.ended)
		for i := range streams {
			if l.begin(uint32(2*i+1), size) != nil {
				return
			}
		}
		for l.listen() == nil {
		}
	}()
	return l
}

// initialWindow is what may be sent before anything is agreed upon.
const initialWindow = 1<<16 - 1

// begin sends a request, and nearly all of another.
func (l *loris) begin(id uint32, size int) error {
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	for _, field := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"},
		{":authority", "podway"},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
	} {
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}) // to a buffer
	}
	if err := l.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head.Bytes(), EndHeaders: true}); err != nil {
		return err
	}
	l.windows[id] = initialWindow
	first, err := proto.Marshal(&discoveryv3.DeltaDiscoveryRequest{Node: node("loris"), TypeUrl: clusterType})
	require.NoError(l, err)
	message := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(first))), first...)
	message = append(binary.BigEndian.AppendUint32(append(message, 0), uint32(size)), make([]byte, size-1)...)
	for len(message) > 0 {
		n := min(len(message), l.windows[id], l.windows[0], 16<<10)
		if n == 0 {
			if err := l.listen(); err != nil {
				return err
			}
			continue
		}
		if err := l.framer.WriteData(id, false, message[:n]); err != nil {
			return err
		}
		message = message[n:]
		l.windows[id] -= n
		l.windows[0] -= n
		l.sent.Add(int64(n))
	}
	return nil
}

// listen reads one frame.
func (l *loris) listen() error {
	f, err := l.framer.ReadFrame()
	switch f := f.(type) {
	case *http2.WindowUpdateFrame:
		l.windows[f.StreamID] += int(f.Increment)
	case *http2.PingFrame:
		if !f.IsAck() {
			return l.framer.WritePing(true, f.Data)
		}
	}
	return err
}

// standsStill waits until the server takes nothing more, and returns how much it took.
func (l *loris) standsStill() int64 {
	l.Helper()
	last, since := int64(0), time.Now()
	eventually(l.T, func() bool {
		if sent := l.sent.Load(); sent != last {
			last, since = sent, time.Now()
		}
		return last > 0 && time.Since(since) > time.Second
	}, "the client can send no more")
	return last
}

// long are names of a KiB each.
func long(count int) []string { return unheard(strings.Repeat("x", 1000), count) }

// toldAbsent takes responses until so many names were told to be absent.
func (c *deltaClient) toldAbsent(count int) {
	c.Helper()
	for told := 0; told < count; {
		r := c.next()
		c.ack(r)
		told += len(r.GetRemovedResources())
	}
}

func TestUnfinishedRequestsOfAPeerAreBounded(t *testing.T) {
	config := quick()
	config.Limits.MaxIntakeBytesPerPeer = 16 << 20
	w := newWorld(t, config, endpoints("a", 1))
	before := heap()
	sent := w.loris(100, 4<<20).standsStill()
	held := heap() - before
	t.Logf("it sent %d MiB, for which %d MiB are held", sent>>20, held>>20)
	require.Less(t, sent, int64(16<<20+101*(64<<10)))
	require.Less(t, held, int64(40<<20))
	c := w.delta()
	c.subscribe(endpointType, "a") // a small request needs no room
	c.want(endpointType, "a")
}

func TestLargeRequestWaitsForThoseThatAreNotFinishedAndTheirConnectionEnds(t *testing.T) {
	config, registry := quick(), prometheus.NewRegistry()
	config.Limits.MaxIntakeBytesPerPeer, config.Registerer = 8<<20, registry
	onTheClock(t, config, nil, func(w *world) {
		l := w.loris(3, 4<<20)
		<-time.After(time.Second)
		c := w.delta()
		w.took(intakeBound-time.Second, func() {
			c.subscribe(endpointType, long(3000)...)
			c.toldAbsent(3000)
		})
		<-l.ended
		require.Equal(w, 1.0, gathered(w.T, registry)["podway_xds_ended_connections_total"]["request_bytes_per_peer"])
	})
}

func TestConnectionOfARequestThatIsNotFinishedEnds(t *testing.T) {
	config, registry := quick(), prometheus.NewRegistry()
	config.Registerer = registry
	onTheClock(t, config, nil, func(w *world) {
		l := w.loris(1, 4<<20)
		w.took(requestBound, func() { <-l.ended })
		require.Equal(w, 1.0, gathered(w.T, registry)["podway_xds_ended_connections_total"]["slow_request"])
	})
}

func TestHerdWithLargeRequestsIsServedInTurn(t *testing.T) {
	config := quick()
	config.Limits.MaxIntakeBytesPerPeer = 4 << 20
	onTheClock(t, config, nil, func(w *world) {
		clients := make([]*deltaClient, 20)
		for i := range clients {
			clients[i] = w.deltaNode(fmt.Sprintf("envoy-%d", i))
		}
		w.askTogether(clients, 4<<20)
	})
}

// askTogether has clients of one address ask for much at once. They are told of all of it, and then their peer has all its room again.
func (w *world) askTogether(clients []*deltaClient, room int64) {
	w.Helper()
	w.took(0, func() {
		var herd sync.WaitGroup
		for _, c := range clients {
			herd.Go(func() { c.subscribe(endpointType, long(3000)...) }) // on one connection, their frames alternate
		}
		herd.Wait()
		for _, c := range clients {
			c.toldAbsent(3000)
		}
	})
	synctest.Wait()
	require.True(w, w.server.doorman.callers[callerKey{"address", "bufconn"}].intake.TryAcquire(room), "all room is given back")
}

func TestLargeRequestsOnOneConnectionDoNotWaitForEachOther(t *testing.T) {
	config := quick()
	config.Limits.MaxIntakeBytesPerPeer = 8 << 20
	onTheClock(t, config, nil, func(w *world) {
		conn := w.dial()
		clients := make([]*deltaClient, 20)
		for i := range clients {
			clients[i] = w.deltaOver(conn, fmt.Sprintf("envoy-%d", i))
		}
		w.askTogether(clients, 8<<20)
	})
}

func TestRestOfAConnectionDoesNotWaitForRoom(t *testing.T) {
	config := quick()
	config.Limits.MaxIntakeBytesPerPeer = 4 << 20
	onTheClock(t, config, []*api.Resource{endpoints("a", 1)}, func(w *world) {
		l := w.loris(1, 4<<20)
		<-time.After(time.Second)
		conn := w.dial()
		large := w.deltaOver(conn, "large")
		large.subscribe(endpointType, long(3000)...)
		w.took(0, func() {
			small := w.deltaOver(conn, "small")
			small.subscribe(endpointType, "a")
			small.want(endpointType, "a")
		})
		w.took(0, func() {
			require.NoError(w, l.conn.Close())
			large.toldAbsent(3000)
		})
	})
}

func TestLargeRequestsForTheStatusOfClientsGiveTheirRoomBack(t *testing.T) {
	config := quick()
	config.Limits.MaxIntakeBytesPerPeer = 1 << 20
	w := newWorld(t, config)
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := statusv3.NewClientStatusDiscoveryServiceClient(conn).StreamClientStatus(ctx)
	require.NoError(t, err)
	for range 20 {
		require.NoError(t, stream.Send(&statusv3.ClientStatusRequest{Node: &corev3.Node{Id: strings.Repeat("x", 100<<10)}}))
		_, err := stream.Recv()
		require.NoError(t, err)
	}
}
