package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/metric"
)

const (
	// handshakeBound is how long a connection may take to become one of TLS and HTTP/2.
	handshakeBound = 10 * time.Second
	// minPing is how often a client may ping: podway's bootstrap does so every 15 s, and others every second. Whoever does more often is cut off, and
	// neither side says why: Envoy tells that the connection ended.
	minPing = 500 * time.Millisecond
	// maxIdle is how long a connection without a stream stays open.
	maxIdle = 5 * time.Minute
	// receiveWindow is how many bytes a client may send on a stream before they are read, the least that gRPC allows; of a larger request, it is
	// extended to that. A fixed one saves a ping for nearly every ACK, by which gRPC would otherwise measure how large it should be.
	receiveWindow = 64 << 10
	// connectionWindow is the same for a connection.
	connectionWindow = 256 << 10
	// streamsPerConnection bounds one connection; an Envoy needs one.
	streamsPerConnection = 128
	// maxHeaderBytes bounds the metadata of a call, of which podway needs none.
	maxHeaderBytes = 64 << 10
)

var errShutdown = status.Error(codes.Unavailable, "podway is shutting down; connect again")

// Server serves xDS to Envoys. It answers nobody before the first SetViews.
type Server struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	config    Config
	log       *slog.Logger
	metrics   *metrics
	doorman   *doorman
	notices   notices
	refusals  refusals
	heldBack  atomic.Pointer[map[string][]api.HeldBack]
	names     nameSets
	publisher publisher
	// down is closed at shutdown.
	down chan struct{}

	// mu guards what follows; it comes before view.mu.
	mu      sync.Mutex
	views   map[string]*view
	streams map[*stream]struct{}
	nodes   nodes
	// minorities are the Envoys of each, by view.
	minorities map[string]map[api.Member]struct{}
	ready      bool
	closing    bool
}

// New returns a server that holds nothing yet and listens nowhere.
func New(config Config) *Server {
	config = config.withDefaults()
	if a := config.Access; a != nil {
		metric.Register(config.Registerer, a.expiry)
		metric.Register(config.Registerer, a.reloads)
	}
	return &Server{
		config:  config,
		log:     config.Logger,
		metrics: newMetrics(config.Registerer),
		doorman: newDoorman(config.Limits),
		down:    make(chan struct{}),
		views:   map[string]*view{},
		streams: map[*stream]struct{}{},
		nodes:   nodes{},
	}
}

// Run serves on the listener, which it closes, until the context ends; then it closes the streams and returns nil. Call
// it once, after the first SetViews. The error says why serving failed.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer(s.options()...)
	s.register(server)
	statusv3.RegisterClientStatusDiscoveryServiceServer(server, newInspection(s))
	healthv1.RegisterHealthServer(server, health{server: s, services: server.GetServiceInfo})
	reflection.Register(server)
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
			s.shutdown(server)
		case <-done:
		}
	}()
	err := server.Serve(listener)
	close(done)
	<-stopped
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving xDS on %s: %w", listener.Addr(), err)
	}
	return nil
}

func (s *Server) options() []grpc.ServerOption {
	limits := s.config.Limits
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.ConnectionTimeout(handshakeBound),
		grpc.MaxRecvMsgSize(limits.MaxRequestBytes),
		grpc.StaticStreamWindowSize(receiveWindow), grpc.StaticConnWindowSize(connectionWindow),
		grpc.MaxConcurrentStreams(streamsPerConnection),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.StreamInterceptor(s.guardReflection),
		// Peers that have gone without a word are found by pings.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: limits.PingInterval, Timeout: limits.PingTimeout, MaxConnectionIdle: maxIdle}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	}
	if s.config.Access != nil {
		return append(options, grpc.Creds(newHandshaker(s)))
	}
	return append(options, grpc.Creds(newPlain(s)))
}

// shutdown closes the streams, spread over a time, and then whatever is left.
func (s *Server) shutdown(server *grpc.Server) {
	deadline := time.AfterFunc(s.config.ShutdownBound, server.Stop)
	defer deadline.Stop()
	s.mu.Lock()
	s.closing = true
	close(s.down)
	streams := make([]*stream, 0, len(s.streams))
	for st := range s.streams {
		streams = append(streams, st)
	}
	s.mu.Unlock()
	slices.SortFunc(streams, func(a, b *stream) int { return strings.Compare(a.node.id, b.node.id) })
	go closeSpread(streams, s.config.ShutdownSpread)
	server.GracefulStop()
}

// closeSpread closes streams evenly over a time.
func closeSpread(streams []*stream, over time.Duration) {
	for i, st := range streams {
		time.AfterFunc(over*time.Duration(i)/time.Duration(len(streams)), st.close)
	}
}

// DeltaAggregatedResources serves one Envoy's delta stream.
func (s *Server) DeltaAggregatedResources(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.serveDelta(g, "")
}

// StreamAggregatedResources serves one Envoy's state-of-the-world stream.
func (s *Server) StreamAggregatedResources(g discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return s.serveStateOfTheWorld(g, "")
}

func (s *Server) plane() *corev3.ControlPlane {
	return &corev3.ControlPlane{Identifier: s.config.Identifier}
}

func (s *Server) serve(ctx context.Context, v variant) error {
	who, refused := s.client(ctx)
	if refused != nil {
		return s.deny(ctx, refused)
	}
	leave, refused := s.doorman.admit(who)
	if refused != nil {
		return s.deny(ctx, refused)
	}
	defer leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := newInbox(ctx, v, newReader(s.config.Limits, s.doorman.requestsOf(who.keys())), intakeOf(ctx))
	first, err := in.wait(ctx, s.down)
	if err != nil {
		return s.ended(s.denyRequest(ctx, err), nil)
	}
	if refused := who.mayBe(first.node); refused != nil {
		return s.deny(ctx, refused)
	}
	if refused := s.config.Limits.checkNode(first.node); refused != nil {
		return s.deny(ctx, refused)
	}
	st, err := s.open(first, v, peerOf(ctx))
	if err != nil {
		return err
	}
	defer func() { s.close(st, whyEnded(err, in.intake)) }()
	st.tab = &tab{doorman: s.doorman, keys: who.keys()}
	err = st.run(ctx, first, in)
	return s.ended(s.denyRequest(ctx, err), st)
}

// ended is how a stream ends for its client. One that says that it has nothing more to ask ends it well: what it was owed by then was sent. It is
// a tool rather than an Envoy, so that it is told where there was nothing that could be owed. st is nil for one that asked nothing.
func (s *Server) ended(err error, st *stream) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.view.rLock()
	defer st.view.mu.RUnlock()
	if !st.view.isThere() {
		return status.Errorf(codes.NotFound, "the Gateway %q, which node.cluster names, is not served here", short(st.node.gateway))
	}
	return nil
}

// open makes a stream of its first request, whose node has been checked.
func (s *Server) open(first request, v variant, peer net.Addr) (*stream, error) {
	node := first.node
	st := &stream{
		server: s, variant: v, since: time.Now(), peer: peer,
		node: nodeInfo{id: node.GetId(), gateway: node.GetCluster(), build: buildVersion(node)}, described: describeNode(node),
		wakeup: make(chan struct{}, 1),
	}
	st.log = s.log.With("node", st.node.id, "gateway", st.node.gateway)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, errShutdown
	}
	s.nodes.add(st)
	st.view = s.viewOf(st)
	st.view.lock()
	st.view.listening.add(st)
	st.cursor = st.view.head
	s.warnUnknown(st.view, st)
	st.view.mu.Unlock()
	s.streams[st] = struct{}{}
	s.regroupNode(st.nodeKey()) // another Envoy of this name may be another one now
	s.metrics.streams.Inc()
	if st.warned {
		s.countUnknown()
	}
	st.log.Info("Envoy connected", "version", st.node.build, "variant", v.name(), "address", st.address())
	return st, nil
}

// close forgets a stream, and says why it has ended.
func (s *Server) close(st *stream, why string) {
	st.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
	s.nodes.remove(st)
	st.view.lock()
	st.view.listening.remove(st)
	if st.view.listening.count() == 0 && !st.view.isThere() {
		delete(s.views, st.view.name)
	}
	st.view.mu.Unlock()
	s.metrics.streams.Dec()
	if st.warned {
		s.countUnknown()
	}
	st.log.Info("Envoy disconnected", "reason", why, "after", time.Since(st.since).Round(time.Millisecond))
}

// view returns the view of a Gateway, making an unknown one where there is none. s.mu is held.
func (s *Server) view(name string) *view {
	v := s.views[name]
	if v == nil {
		v = newView(name)
		s.views[name] = v
	}
	return v
}

// warnUnknown says once for a stream that its Gateway is not served. s.mu and v.mu are held.
func (s *Server) warnUnknown(v *view, st *stream) {
	if !s.ready || st.warned || v.isThere() {
		return
	}
	st.warned = true
	if v.gone {
		st.log.Warn("Envoy names a Gateway that is served no more; its listeners are taken from it",
			"remedy", "end the Envoy, or bring back the Gateway, with a GatewayClass that is podway's")
		return
	}
	st.log.Warn("Envoy names a Gateway that is not served; it keeps what it has",
		"remedy", "set node.cluster to NAMESPACE/NAME of a Gateway whose GatewayClass is podway's")
}

// buildVersion is the Envoy's own version, such as 1.40.0, or what its user agent says.
func buildVersion(node *corev3.Node) string {
	if v := node.GetUserAgentBuildVersion().GetVersion(); v != nil {
		return fmt.Sprintf("%d.%d.%d", v.GetMajorNumber(), v.GetMinorNumber(), v.GetPatch())
	}
	return node.GetUserAgentVersion()
}
