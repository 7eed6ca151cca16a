package xds

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sync/semaphore"
)

const (
	// requestBound is how long a large request may take to arrive.
	requestBound = time.Minute
	// messageHeadBytes is what gRPC puts before each message: whether it is compressed, and its length in 4 bytes.
	messageHeadBytes = 5
	// maxWatched is how many streams of a connection are watched: more than gRPC lets it have at a time, for those that it refuses.
	maxWatched = 8 * streamsPerConnection
)

// intake bounds what a peer has podway keep of requests that are on their way in. gRPC extends a stream's window by the length of a message as
// soon as that is told, so that a client could leave a nearly whole request of the largest size on each of its streams. So the intake reads
// along on a connection: a request that is larger than receiveWindow must find room in its peer's budget before the client is told of the larger
// window, and gives it back once it has been taken in. Nothing else on the connection waits for it: what is on its way on another stream may be
// what has the room.
type intake struct {
	net.Conn
	server *Server
	peer   client
	// exit is called when it ends.
	exit   func()
	ctx    context.Context
	cancel context.CancelFunc
	// One goroutine of gRPC reads.
	received frames
	sent     outgoing
	// whole is how many requests have arrived and were not taken in yet, and waiting, how many wait for room.
	whole, waiting atomic.Int64

	mu      sync.Mutex
	streams map[uint32]*arrival
	// budgets are those of the peer, once they are needed.
	budgets []*semaphore.Weighted
	failed  error
	// lost is why nothing more is read, nil while something may be.
	lost error
}

// arrival is what arrives on a stream.
type arrival struct {
	head [messageHeadBytes]byte
	have int
	// left is how much of the message is to come, and held, what it has of the peer's budget.
	left, held int
	compressed bool
	timer      *time.Timer
	// wait is that of the message for room, nil where it has it or needs none.
	wait *wait
	// whole are the sizes of requests that have arrived and were not taken in yet.
	whole []int
	gone  bool
}

// newIntake watches over a connection that was let in, until it ends.
func (s *Server) newIntake(conn net.Conn, who client, exit func()) *intake {
	in := &intake{
		Conn: conn, server: s, peer: who, exit: exit, streams: map[uint32]*arrival{},
		received: frames{skip: len(http2.ClientPreface)},
	}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	return in
}

// Read reads what the client sends.
func (in *intake) Read(p []byte) (int, error) {
	n, err := in.Conn.Read(p)
	if err != nil {
		in.end(err)
	}
	if failed := in.follow(p[:n]); failed != nil {
		return 0, failed
	}
	return n, err
}

// follow reads along. An error ends the connection.
func (in *intake) follow(p []byte) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.received.skip == len(http2.ClientPreface) && len(p) > 0 {
		in.greeted(p)
	}
	in.received.take(p, in.opened, in.arrived)
	return in.failed
}

// Close ends the connection, and gives back all that it has.
func (in *intake) Close() error {
	in.cancel()
	in.end(net.ErrClosed)
	in.mu.Lock()
	for id := range in.streams {
		in.forget(id)
	}
	in.mu.Unlock()
	defer in.exit()
	return in.Conn.Close()
}

// opened notes a stream that the client opens or resets. in.mu is held.
func (in *intake) opened(head frameHead) {
	switch head.kind {
	case http2.FrameHeaders:
		if in.streams[head.stream] == nil {
			in.streams[head.stream] = &arrival{}
		}
		if len(in.streams) > maxWatched {
			in.fail(reasonMaxStreamsPerPeer, fmt.Errorf("more than %d streams were opened on one connection", maxWatched))
		}
	case http2.FrameRSTStream:
		in.forget(head.stream)
	}
}

// closed notes a stream that podway ends: gRPC has let go of what arrived on it.
func (in *intake) closed(head frameHead) {
	ends := head.kind == http2.FrameHeaders && head.flags.Has(http2.FlagHeadersEndStream)
	if ends || head.kind == http2.FrameRSTStream {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.forget(head.stream)
	}
}

// forget gives back what a stream has. in.mu is held.
func (in *intake) forget(id uint32) {
	a := in.streams[id]
	if a == nil {
		return
	}
	delete(in.streams, id)
	a.gone = true
	if a.wait != nil {
		a.wait.cancel()
	}
	if a.held > 0 {
		a.timer.Stop()
		in.giveBack(a.held)
	}
	for _, size := range a.whole {
		in.giveBack(size)
		in.whole.Add(-1)
	}
	a.held, a.whole = 0, nil
}

// arrived follows the messages of a stream. in.mu is held.
func (in *intake) arrived(id uint32, p []byte) {
	a := in.streams[id]
	if a == nil {
		return // it has ended
	}
	for len(p) > 0 && in.failed == nil {
		if a.left > 0 {
			n := min(a.left, len(p))
			a.left, p = a.left-n, p[n:]
			if a.left == 0 {
				in.complete(a)
			}
			continue
		}
		n := copy(a.head[a.have:], p)
		a.have, p = a.have+n, p[n:]
		if a.have == messageHeadBytes {
			a.have, a.left = 0, int(binary.BigEndian.Uint32(a.head[1:]))
			a.compressed = a.head[0] != 0
			in.begin(id, a)
		}
	}
}

// complete notes that a message has arrived. Of a compressed one podway does not learn later how large it was.
func (in *intake) complete(a *arrival) {
	if a.wait != nil {
		// It went into what was left of the window, and needs no room any more.
		a.wait.cancel()
		a.wait = nil
	}
	if a.held == 0 {
		return
	}
	a.timer.Stop()
	if a.compressed {
		in.giveBack(a.held)
	} else {
		a.whole = append(a.whole, a.held)
		in.whole.Add(1)
	}
	a.held = 0
}

// late ends the connection of a client that does not finish its request.
func (in *intake) late(a *arrival, size int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if a.held > 0 && !a.gone {
		in.fail(reasonSlowRequest, fmt.Errorf("a request of %d bytes did not arrive within %s", size, requestBound))
		_ = in.Conn.Close()
	}
}

// fail has the connection end. in.mu is held.
func (in *intake) fail(why reason, err error) {
	if in.failed != nil || in.ctx.Err() != nil {
		return // it ends already
	}
	in.failed = err
	in.server.closeConnection(in.peer.address, why, "error", err)
}

// took gives back what a request of a size had that has been taken in. A nil intake is allowed.
func (in *intake) took(size int) {
	if in == nil || in.whole.Load() == 0 {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, a := range in.streams {
		if i := slices.Index(a.whole, size); i >= 0 {
			a.whole = slices.Delete(a.whole, i, i+1)
			in.giveBack(size)
			in.whole.Add(-1)
			return
		}
	}
}
