package xds

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// health is grpc.health.v1.Health, for probes and for Envoys that choose between several podways. Watch is not implemented, which clients take
// for healthy, as the protocol says: each would be a stream more.
type health struct {
	healthv1.UnimplementedHealthServer

	server *Server
	// services are those that can be asked for by name.
	services func() map[string]grpc.ServiceInfo
}

// Check is SERVING from the first state on until shutdown begins.
func (h health) Check(_ context.Context, r *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	if name := r.GetService(); name != "" {
		if _, there := h.services()[name]; !there {
			return nil, status.Errorf(codes.NotFound, "there is no service %q here", short(name))
		}
	}
	state := healthv1.HealthCheckResponse_NOT_SERVING
	if h.server.serving() {
		state = healthv1.HealthCheckResponse_SERVING
	}
	return &healthv1.HealthCheckResponse{Status: state}, nil
}

func (s *Server) serving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready && !s.closing
}
