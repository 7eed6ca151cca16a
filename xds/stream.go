package xds

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/podway/podway/api"
)

// variant is the protocol of a stream: delta or SotW.
type variant interface {
	name() string
	// single is the type of a stream for one alone, else empty.
	single() string
	// complete is true for types whose answers hold everything, and removes, for those in which an absence can be told.
	complete(typeURL string) bool
	removes(typeURL string) bool
	// receive blocks for the next request.
	receive() (request, error)
	// send blocks until the response has been handed to the transport.
	send(*response) error
	// accept takes a request in, and returns the names that it asks for: those that a SotW client only repeats are not among them. Stream and
	// view are locked.
	accept(*stream, *typeState, request) (asked []string)
}

// stream is one connected Envoy. Its own goroutine works out what it is owed and sends it.
type stream struct {
	server  *Server
	variant variant
	node    nodeInfo
	// described is the node as its Envoy describes it, nearly whole; it does not change.
	described *corev3.Node
	view      *view
	log       *slog.Logger
	since     time.Time
	// peer is the other end of its connection, nil where there is none.
	peer net.Addr
	// shared is true once an Envoy of another host has been there with the same node: what was rejected under that name may not be what this one rejected.
	// rejecting is true once this one has rejected something.
	shared, rejecting atomic.Bool
	wakeup            chan struct{}
	// ended is why the stream ends, nil while it does not. One channel to wait for is cheaper than several.
	ended atomic.Pointer[error]
	// awaited is a ClusterLoadAssignment that the client has to acknowledge before it can be sent another version, where it is owed nothing else of
	// that type: it need not be woken for it. nil where it must.
	awaited atomic.Pointer[record]
	// warned is true once it was said that the Gateway is not served; the server's mu guards it.
	warned bool

	// mu guards what follows; it is never held while sending. It comes before view.mu.
	mu sync.Mutex
	// tab is nil where nobody is charged.
	tab *tab
	// rejections are to be told once no lock is held: of the request that is being taken in, or of what came back.
	rejections []api.Rejection
	// types are in the order in which a change is sent.
	types  []*typeState
	cursor uint64
	// returning is true for a client that came with resources it has from an earlier stream.
	returning bool
	sent      uint64
	// sending is what the peer is charged for names that are being told to be absent, in bytes.
	sending int
	// due and responses are room for what a pass finds, empty between two of them.
	due       []item
	responses []*response
	// unwarmed are the ClusterLoadAssignments to send because their Cluster was: a changed Cluster warms until one arrives after it.
	unwarmed map[string]struct{}
}

// nodeInfo is what an Envoy says of itself in its first request.
type nodeInfo struct {
	id, gateway, build string
}

func (s *stream) poke() {
	select {
	case s.wakeup <- struct{}{}:
	default:
	}
}

// end has the stream end. The first reason counts.
func (s *stream) end(err error) {
	s.ended.CompareAndSwap(nil, &err)
	s.poke()
}

// close asks the stream to end, so that its client connects anew.
func (s *stream) close() { s.end(errShutdown) }

// run serves the stream until it ends.
func (s *stream) run(ctx context.Context, first request, in *inbox) error {
	if err := s.take(ctx, first); err != nil {
		return err
	}
	in.intake.took(first.size)
	in.stream <- s
	stop := context.AfterFunc(ctx, func() {
		<-in.done // gRPC ends a stream before it says what was wrong with a request
		s.end(ctx.Err())
	})
	defer stop()
	timer := time.AfterFunc(time.Hour, s.poke)
	defer timer.Stop()
	for {
		wakeAt, err := s.flush()
		if err != nil {
			return err
		}
		if !wakeAt.IsZero() {
			timer.Reset(max(0, time.Until(wakeAt)))
		}
		<-s.wakeup
		if ended := s.ended.Load(); ended != nil {
			if errors.Is(*ended, io.EOF) {
				// A client that has nothing more to ask is sent what it asked for.
				if _, err := s.flush(); err != nil {
					return err
				}
			}
			return *ended
		}
	}
}

// state returns the state of a type, beginning it where the client names it for the first time.
func (s *stream) state(typeURL string) (*typeState, error) {
	if typeURL == "" {
		return nil, status.Error(codes.InvalidArgument, "a request without type_url; on an aggregated stream every request needs one")
	}
	if st := s.find(typeURL); st != nil {
		return st, nil
	}
	if limit := s.server.config.Limits.MaxNameBytes; len(typeURL) > limit {
		return nil, status.Errorf(codes.InvalidArgument, "a type_url of %d bytes; at most %d are allowed", len(typeURL), limit)
	}
	if len(s.types) >= maxTypes {
		return nil, status.Errorf(codes.InvalidArgument, "a stream asks for more than %d resource types", maxTypes)
	}
	st := &typeState{url: typeURL}
	s.types = append(s.types, st)
	slices.SortStableFunc(s.types, func(a, b *typeState) int { return rank(a.url) - rank(b.url) })
	return st, nil
}

func (s *stream) find(typeURL string) *typeState {
	for _, st := range s.types {
		if st.url == typeURL {
			return st
		}
	}
	return nil
}

// address is HOST:PORT of the other end of its connection, empty where there is none.
func (s *stream) address() string {
	if s.peer == nil {
		return ""
	}
	return s.peer.String()
}

func (s *stream) nextNumber() uint64 {
	s.sent++
	return s.sent
}

// release gives up what the stream shares with others, and what it remembers.
func (s *stream) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleTab()
	for _, st := range s.types {
		s.server.names.release(st.sub.shared)
	}
	s.types, s.unwarmed, s.sending = nil, nil, 0
}
