package servers

import (
	"sync/atomic"

	"google.golang.org/grpc"
)

// turn is a stream of the floor that is sent the latest publication once it has acknowledged the one before.
type turn struct {
	latest atomic.Pointer[[]byte]
	wake   chan struct{}
}

func (t *turn) poke() {
	select {
	case t.wake <- struct{}{}:
	default: // it is awake, or about to be
	}
}

func (f *floor) serveByTurns(stream grpc.ServerStream, first []byte) error {
	t := &turn{wake: make(chan struct{}, 1)}
	f.mu.Lock()
	f.turns[t] = true
	if first == nil {
		first = f.last
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.turns, t)
		f.mu.Unlock()
	}()
	var acked atomic.Int64
	go func() {
		var ack []byte
		for stream.RecvMsg(&ack) == nil {
			acked.Add(1)
			t.poke()
		}
	}()
	sent := int64(0)
	send := func(m []byte) error {
		sent++
		return stream.SendMsg(m)
	}
	if first != nil {
		if err := send(first); err != nil {
			return err
		}
	}
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case <-t.wake:
		}
		if acked.Load() < sent {
			continue
		}
		if m := t.latest.Swap(nil); m != nil {
			if err := send(*m); err != nil {
				return err
			}
		}
	}
}
