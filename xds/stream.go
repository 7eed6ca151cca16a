package xds

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
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

// request is what any variant asks, in its own fields.
type request struct {
	// size is that of the message, in bytes.
	size    int
	typeURL string
	node    *corev3.Node
	nonce   string
	// rejected is true for a NACK, and message is why.
	rejected bool
	message  string

	subscribe, unsubscribe []string
	initial                map[string]string

	names   []string
	version string

	// manySubscribe and manyNames stand for subscribe and names, until they are decoded.
	manySubscribe, manyNames encodedNames
}

// maxHeard is how much of a NACK's message is looked at, in bytes. Envoy cuts its own at 4 KiB.
const maxHeard = 16 << 10

func heard(message string) string { return message[:min(len(message), maxHeard)] }

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
	wakeup    chan struct{}
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
	stop := context.AfterFunc(ctx, func() { s.end(ctx.Err()) })
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

// sameGateway refuses a node that is of another Gateway than that of the stream's first request. A request needs none.
func (s *stream) sameGateway(node *corev3.Node) *denial {
	if cluster := node.GetCluster(); cluster != "" && cluster != s.node.gateway {
		return deny(reasonChangedGateway, codes.PermissionDenied, "node.cluster changed from %q to %q within the stream; open another stream for another Gateway",
			short(s.node.gateway), short(cluster))
	}
	return nil
}

// take takes a request in, tells of what it rejects once no lock is held, and sees to it that what it leads to is sent.
func (s *stream) take(ctx context.Context, r request) error {
	if refused := s.sameGateway(r.node); refused != nil {
		return s.server.deny(ctx, refused)
	}
	rejections, owes, err := s.accept(r)
	s.tell(rejections)
	if err != nil {
		// The stream may take long to end, where its client does not read.
		s.release()
		return s.refusal(ctx, err)
	}
	if owes {
		s.poke()
	}
	return nil
}

// tell tells of rejections. No lock is held.
func (s *stream) tell(rejections []api.Rejection) {
	for _, rejection := range rejections {
		level := slog.LevelWarn
		if rejection.Again {
			level = slog.LevelDebug
		}
		s.log.Log(context.Background(), level, "Envoy rejected a resource", "type", messageName(rejection.Key.Type), "name", rejection.Key.Name,
			"version", rejection.Version, "error", rejection.Message)
		s.server.config.OnRejected(rejection)
	}
}

// takeRejections returns what is to be told.
func (s *stream) takeRejections() []api.Rejection {
	s.mu.Lock()
	defer s.mu.Unlock()
	rejections := s.rejections
	s.rejections = nil
	return rejections
}

// refusal is why the stream ends because of a request.
func (s *stream) refusal(ctx context.Context, err error) error {
	var refused *denial
	if errors.As(err, &refused) {
		return s.server.deny(ctx, refused)
	}
	return err
}

// accept takes a request in. What changed in the view before it comes first, so that a new subscription starts from now. It returns what the
// request rejects, and whether there may be something to send.
func (s *stream) accept(r request) (rejections []api.Rejection, owes bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// What is published before this is taken in now, and the stream is woken for what is published after it.
	s.awaited.Store(nil)
	s.view.rLock()
	defer s.view.mu.RUnlock()
	if s.view.known {
		if err := s.absorb(); err != nil {
			return nil, false, err
		}
	}
	r.decode(s.view)
	if err := r.check(s.server.config.Limits); err != nil {
		return nil, false, err
	}
	st, err := s.state(r.typeURL)
	if err != nil {
		return nil, false, err
	}
	s.returning = s.returning || !st.begun && (len(r.initial) > 0 || r.version != "")
	asked := s.variant.accept(s, st, r)
	st.sub.fold(&s.server.names)
	rejections, s.rejections = s.rejections, nil
	if r.count() > 0 {
		st.loose, st.pending = s.looseCost(st), s.claimsCost(st)
	}
	if err := s.checkSubscriptions(st); err != nil {
		return rejections, false, err
	}
	// What asks for nothing that costs is not refused for what was asked before: a SotW client repeats its names with each ACK.
	if refused := s.pay(); refused != nil && (len(r.initial) > 0 || s.costs(st, asked)) {
		return rejections, false, refused
	}
	return rejections, s.mayOwe(), nil
}

// count is how many names are in a request.
func (r *request) count() int {
	return r.manySubscribe.count + r.manyNames.count + len(r.subscribe) + len(r.unsubscribe) + len(r.initial) + len(r.names)
}

// check refuses what a request may not name.
func (r *request) check(limits Limits) error {
	for _, names := range [][]string{r.subscribe, r.unsubscribe, r.names} {
		if err := limits.checkNames(names); err != nil {
			return err
		}
	}
	if len(r.initial) == 0 {
		return nil
	}
	return limits.checkNames(slices.Collect(maps.Keys(r.initial)))
}

// mayOwe is false where there is surely nothing to send before something else happens: all that is not current is endpoints on their way.
func (s *stream) mayOwe() bool {
	for _, st := range s.types {
		if st.owesAnswer || !st.synced || len(st.retry) > 0 || len(st.untold) > 0 || st.url != endpointType && st.entries.len() > 0 {
			return true
		}
		for _, e := range st.entries.all() {
			if e.flight == nil || e.again {
				return true
			}
		}
	}
	return false
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

// flush sends what the stream is owed, and returns when to look again even if nothing happens.
func (s *stream) flush() (wakeAt time.Time, err error) {
	responses, wakeAt, err := s.owed(time.Now())
	s.tell(s.takeRejections())
	if err != nil {
		return wakeAt, err
	}
	told := false
	for _, r := range responses {
		if err := s.variant.send(r); err != nil {
			return wakeAt, err
		}
		told, r.absent = told || len(r.absent) > 0, nil
		s.server.metrics.sent(r.state.url, r.size)
	}
	if told {
		s.sentAbsent()
	}
	s.responses = emptied(responses)
	return wakeAt, nil
}

// owed works out the next responses. They count as sent from here on: only this goroutine sends.
func (s *stream) owed(now time.Time) ([]*response, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.rLock()
	defer s.view.mu.RUnlock()
	if !s.view.known {
		return nil, time.Time{}, nil
	}
	if err := s.absorb(); err != nil {
		return nil, time.Time{}, err
	}
	p := &pass{stream: s, view: s.view, now: now, responses: s.responses}
	s.responses = nil
	for _, st := range s.types {
		p.sends(st)
		s.due = emptied(s.due)
	}
	for _, st := range slices.Backward(s.types) {
		p.removals(st)
	}
	s.awaited.Store(s.onlyOnItsWay())
	_ = s.pay() // mostly it is less than before; more is refused when the client asks for something
	return p.responses, p.wakeAt, nil
}

// onlyOnItsWay is the ClusterLoadAssignment that is being sent or not acknowledged, where all others are up to date, or nil.
func (s *stream) onlyOnItsWay() *record {
	st := s.find(endpointType)
	if st == nil || !st.synced || st.entries.len() != 1 {
		return nil
	}
	for _, e := range st.entries.all() {
		if e.flight != nil && e.sent != nil && !e.again {
			return e.sent
		}
	}
	return nil
}

// fewKept is how many elements a slice may have room for that is kept while it is empty.
const fewKept = 16

// emptied is the slice without its elements, for use again where it is small.
func emptied[E any](all []E) []E {
	if cap(all) > fewKept {
		return nil
	}
	clear(all)
	return all[:0]
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
