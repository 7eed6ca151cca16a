package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// PodHeader is the response header in which a backend names itself, as CLUSTER/NAMESPACE/NAME.
const PodHeader = "X-Pod"

// BackendConfig says who a backend is.
type BackendConfig struct {
	Cluster, Namespace, Name string
	// Version of the application, such as v1.
	Version string
	// Address to listen on; port 0 lets the kernel choose one.
	Address netip.AddrPort
	// TLS, where set, is spoken instead of plain text.
	TLS *tls.Config
}

// Backend is an HTTP server that answers as httpbin does, and as a Pod: HTTP/1.1, HTTP/2 (with prior knowledge where
// there is no TLS), WebSocket, and gRPC's health service, all on one port.
type Backend struct {
	cfg      BackendConfig
	address  netip.AddrPort
	server   *http.Server
	grpc     *grpc.Server
	health   *health.Server
	status   atomic.Int32
	requests atomic.Int64
	// done is closed once the server no longer accepts connections.
	done chan struct{}
}

// StartBackend opens the port and serves until Stop or Kill.
func StartBackend(cfg BackendConfig) (*Backend, error) {
	listener, err := net.Listen("tcp", cfg.Address.String())
	if err != nil {
		return nil, fmt.Errorf("starting Pod %s: %w", cfg.Name, err)
	}
	b := &Backend{
		cfg: cfg, address: listener.Addr().(*net.TCPAddr).AddrPort(), done: make(chan struct{}),
		grpc: grpc.NewServer(), health: health.NewServer(),
	}
	healthpb.RegisterHealthServer(b.grpc, b.health)
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	b.server = &http.Server{
		Handler: b.handler(), Protocols: protocols, TLSConfig: cfg.TLS,
		ReadHeaderTimeout: 10 * time.Second,
		// Clients that go away, and those that do not trust this server, are part of the play.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() {
		defer close(b.done)
		if cfg.TLS != nil {
			_ = b.server.ServeTLS(listener, "", "") // http.ErrServerClosed: there is no other way to end it
			return
		}
		_ = b.server.Serve(listener)
	}()
	return b, nil
}

// Address is where it listens.
func (b *Backend) Address() netip.AddrPort { return b.address }

// ID is CLUSTER/NAMESPACE/NAME.
func (b *Backend) ID() string { return b.cfg.Cluster + "/" + b.cfg.Namespace + "/" + b.cfg.Name }

// Version is that of the application.
func (b *Backend) Version() string { return b.cfg.Version }

// Requests is how many it has begun to answer, health checks included.
func (b *Backend) Requests() int64 { return b.requests.Load() }

// Answer makes it answer every request with a status, as an application does that is ill; 0 heals it. gRPC's health
// service says NOT_SERVING meanwhile.
func (b *Backend) Answer(status int) {
	b.status.Store(int32(status))
	serving := healthpb.HealthCheckResponse_SERVING
	if status != 0 {
		serving = healthpb.HealthCheckResponse_NOT_SERVING
	}
	b.health.SetServingStatus("", serving)
}

// Stop finishes the requests under way, closes the connections and returns; it fails where that takes longer than ctx.
func (b *Backend) Stop(ctx context.Context) error {
	err := b.server.Shutdown(ctx)
	b.Kill() // also what took too long
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("stopping Pod %s: %w", b.cfg.Name, err)
	}
	return nil
}

// Kill closes the port and all connections at once, as a crash does. Upgraded connections alone live on until their client ends them.
func (b *Backend) Kill() {
	_ = b.server.Close() // its error is that of a listener that is closed already
	b.grpc.Stop()
	<-b.done
}
