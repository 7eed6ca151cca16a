package xds

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// reason is why a connection or a stream is refused, as metrics have it.
type reason string

// The reasons for which streams are refused.
const (
	reasonMaxStreams        reason = "max_streams"
	reasonMaxStreamsPerPeer reason = "max_streams_per_peer"
	reasonRate              reason = "stream_rate"
	reasonRatePerPeer       reason = "stream_rate_per_peer"
	reasonUnknownNames      reason = "unknown_names_per_peer"
	reasonNoURI             reason = "no_uri_san"
	reasonSeveralURIs       reason = "several_uri_sans"
	reasonTrustDomain       reason = "wrong_trust_domain"
	reasonNoGateway         reason = "no_gateway"
	reasonWrongGateway      reason = "wrong_gateway"
	reasonChangedGateway    reason = "changed_gateway"
	reasonNoOperator        reason = "no_operator"
	reasonBadNode           reason = "bad_node"
	reasonBadRequest        reason = "bad_request"
)

// The reasons for which connections are refused, or closed.
const (
	reasonNoCertificate    reason = "no_certificate"
	reasonExpired          reason = "expired"
	reasonUnknownAuthority reason = "unknown_authority"
	reasonBadCertificate   reason = "bad_certificate"
	reasonNoTLS            reason = "no_tls"
	reasonNoHTTP2          reason = "no_http2"
	reasonRefusesUs        reason = "certificate_refused"
	reasonHandshake        reason = "handshake"
	reasonRequestBytes     reason = "request_bytes_per_peer"
	reasonSlowRequest      reason = "slow_request"

	reasonMaxConnections        reason = "max_connections"
	reasonMaxConnectionsPerPeer reason = "max_connections_per_peer"
)

// denial is what is said to a client that may not have what it asks for.
type denial struct {
	reason reason
	err    error
}

// Error is what the client is told.
func (d *denial) Error() string { return d.err.Error() }

// GRPCStatus is what the client is told, for gRPC.
func (d *denial) GRPCStatus() *status.Status { return status.Convert(d.err) }

func deny(why reason, code codes.Code, format string, args ...any) *denial {
	return &denial{reason: why, err: status.Errorf(code, format, args...)}
}

// deny counts a denial, tells of it, and returns what the client is told.
func (s *Server) deny(ctx context.Context, r *denial) error {
	s.metrics.refused.WithLabelValues(string(r.reason)).Inc()
	s.notice("A stream was refused", peerAddress(ctx), r.reason, "message", status.Convert(r.err).Message())
	return r
}

// notice tells of what becomes of a peer, and why, unless that has been said a while ago.
func (s *Server) notice(what, peer string, why reason, details ...any) {
	if s.notices.first(string(why)+" "+peer, time.Now()) {
		s.log.Warn(what, append([]any{"peer", peer, "reason", why}, details...)...)
	}
}

// refuseConnection counts a connection that is refused, and tells of it.
func (s *Server) refuseConnection(peer string, why reason, details ...any) {
	s.metrics.refusedConnections.WithLabelValues(string(why)).Inc()
	s.notice("A connection was refused", peer, why, details...)
}

// closeConnection is the same for one that is closed.
func (s *Server) closeConnection(peer string, why reason, details ...any) {
	s.metrics.endedConnections.WithLabelValues(string(why)).Inc()
	s.notice("A connection was closed", peer, why, details...)
}

// denyRequest counts and tells of a request that ended its stream: it is malformed, or over a limit. Other ends, such as that the client has gone, are none of
// that, and what was denied already has been told.
func (s *Server) denyRequest(ctx context.Context, err error) error {
	if known := (*denial)(nil); errors.As(err, &known) {
		return err
	}
	switch status.Code(err) {
	case codes.Internal: // gRPC's word on what it cannot decode, and on what breaks off because the client goes
		if strings.Contains(err.Error(), io.ErrUnexpectedEOF.Error()) {
			return err
		}
	case codes.InvalidArgument, codes.ResourceExhausted:
	default:
		return err
	}
	return s.deny(ctx, &denial{reason: reasonBadRequest, err: err})
}

// client is who is at the other end of a stream.
type client struct {
	address string
	// identity is nil in plain text.
	identity *identity
}

// client tells who opened a stream, or why nobody can be told.
func (s *Server) client(ctx context.Context) (client, *denial) {
	who := client{address: peerAddress(ctx)}
	if s.config.Access == nil {
		return who, nil
	}
	p, _ := peer.FromContext(ctx)
	info, ok := p.AuthInfo.(clientInfo)
	if !ok {
		return who, deny(reasonNoCertificate, codes.PermissionDenied, "the connection has no client certificate")
	}
	if info.denial != nil {
		return who, info.denial
	}
	who.identity = &info.identity
	return who, nil
}

// AuthorizeOperator returns nil where the client of a call may see what all Envoys have, and else a status with the code PermissionDenied.
// With mTLS, that is an identity named as operator; in plain text, a client on this host, which can be any Gateway anyway.
func (s *Server) AuthorizeOperator(ctx context.Context) error {
	who, refused := s.client(ctx)
	switch {
	case refused != nil:
	case who.identity == nil && !isLoopback(who.address):
		refused = deny(reasonNoOperator, codes.PermissionDenied, "without mTLS only clients on podway's own host are operators, and %s is none", who.address)
	case who.identity != nil && !who.identity.operator:
		refused = deny(reasonNoOperator, codes.PermissionDenied, "the identity %s is not named as operator", short(who.identity.uri))
	default:
		return nil
	}
	return s.deny(ctx, refused)
}

const (
	// noticeEvery is how often the same is said of the same client.
	noticeEvery = time.Minute
	// maxNotices bounds what is remembered of it.
	maxNotices = 1000
)

// notices keeps a fleet that tries again and again from filling the log.
type notices struct {
	mu   sync.Mutex
	said map[string]time.Time
}

// first is true where that has not been said for a while.
func (n *notices) first(what string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at, there := n.said[what]; there && now.Sub(at) < noticeEvery {
		return false
	}
	if len(n.said) >= maxNotices {
		for old, at := range n.said {
			if now.Sub(at) >= noticeEvery {
				delete(n.said, old)
			}
		}
		if len(n.said) >= maxNotices {
			return false
		}
	}
	if n.said == nil {
		n.said = map[string]time.Time{}
	}
	n.said[what] = now
	return true
}
