package servers

import (
	"sync/atomic"

	"google.golang.org/grpc"
)

// turn is a stream of the floor that is sent the latest publication once it has acknowledged the one before.
type turn struct {
	latest atomic.Pointer[[]byte]
	// fresh has a value when there may be a publication that was not sent.
	fresh chan struct{}
}

func (t *turn) publish(m []byte) {
	t.latest.Store(&m)
	select {
	case t.fresh <- struct{}{}:
	default: // it knows that already
	}
}

func (f *floor) serveByTurns(stream grpc.ServerStream, first []byte) error {
	t := &turn{fresh: make(chan struct{}, 1)}
	f.mu.Lock()
	f.turns[t] = true
	if first == nil {
		first = f.last
	}
	if first != nil {
		t.publish(first)
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.turns, t)
		f.mu.Unlock()
	}()
	var ack []byte
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case <-t.fresh:
		}
		if err := stream.SendMsg(*t.latest.Load()); err != nil {
			return err
		}
		if err := stream.RecvMsg(&ack); err != nil {
			return err
		}
	}
}
