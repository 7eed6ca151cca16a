package xds

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// serverCredentials are what new connections meet. They are not changed once made.
type serverCredentials struct {
	pair        *tls.Certificate
	authorities []*x509.Certificate
	pool        *x509.CertPool
	config      *tls.Config
}

// newServerCredentials has no config while the pair or the authorities are lacking.
func newServerCredentials(pair *tls.Certificate, authorities []*x509.Certificate) *serverCredentials {
	c := &serverCredentials{pair: pair, authorities: authorities}
	if pair == nil || len(authorities) == 0 {
		return c
	}
	c.pool = x509.NewCertPool()
	for _, authority := range authorities {
		c.pool.AddCert(authority)
	}
	c.config = &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2"},
		Certificates: []tls.Certificate{*pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    c.pool,
		// A resumed session would bring along what an older set of authorities allowed.
		SessionTicketsDisabled: true,
	}
	return c
}

// trust verifies a client's chain as the handshake does.
func (c *serverCredentials) trust(chain []*x509.Certificate) error {
	options := x509.VerifyOptions{
		Roots: c.pool, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, intermediate := range chain[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	_, err := chain[0].Verify(options)
	return err
}

// clientInfo is what a stream is told of its connection.
type clientInfo struct {
	credentials.TLSInfo
	identity identity
	intake   *intake
	// denial is why the connection stands for nobody. It is told on the streams, for a handshake could not say it in words.
	denial *denial
}

// handshaker makes TLS of connections, and watches over them.
type handshaker struct {
	credentials.TransportCredentials
	access  *Access
	metrics *metrics
	notices *notices
	log     *slog.Logger
	server  *Server
}

func newHandshaker(s *Server) *handshaker {
	access := s.config.Access
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if c := access.credentials.Load(); c != nil && c.config != nil {
			return c.config, nil
		}
		return nil, errors.New("no certificate has been loaded yet")
	}}
	return &handshaker{
		TransportCredentials: credentials.NewTLS(config), access: access, metrics: s.metrics, notices: &s.notices, log: s.log, server: s,
	}
}

// Clone is for grpc.
func (h *handshaker) Clone() credentials.TransportCredentials {
	clone := *h
	clone.TransportCredentials = h.TransportCredentials.Clone()
	return &clone
}

// ServerHandshake is for grpc.
func (h *handshaker) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	before := h.access.credentials.Load()
	slow := &lingerer{Conn: raw}
	conn, auth, err := h.TransportCredentials.ServerHandshake(slow)
	slow.shaken = err == nil
	if err != nil {
		h.refused(raw.RemoteAddr(), handshakeReason(err), err)
		return nil, nil, err
	}
	info, ok := auth.(credentials.TLSInfo)
	if !ok {
		_ = conn.Close()
		return nil, nil, errors.New("the connection is no TLS")
	}
	watched := &clientConn{Conn: conn, handshaker: h, chain: info.State.PeerCertificates}
	watched.watch(validUntil(info.State.VerifiedChains))
	if now := h.access.credentials.Load(); now != before {
		watched.recheck(now)
	}
	out := clientInfo{TLSInfo: info}
	out.identity, out.denial = h.access.identities.of(watched.chain[0])
	who := client{address: hostOf(raw.RemoteAddr())}
	if out.denial == nil {
		who.identity = &out.identity
	}
	out.intake = h.server.newIntake(watched, who)
	return out.intake, out, nil
}

func (h *handshaker) refused(address net.Addr, why reason, err error) {
	h.metrics.refusedConnections.WithLabelValues(string(why)).Inc()
	h.say("A connection was refused", address, why, err)
}

// say is all that a person learns: of a refused handshake in TLS 1.3, Envoy itself logs no more than that the connection ended.
func (h *handshaker) say(what string, address net.Addr, why reason, err error) {
	host := hostOf(address)
	if h.notices.first(string(why)+" "+host, time.Now()) {
		h.log.Warn(what, "peer", host, "reason", why, "claims", claimed(err), "error", err)
	}
}

// claimed is what a certificate that could not be verified says of its owner.
func claimed(err error) string {
	var unverified *tls.CertificateVerificationError
	if !errors.As(err, &unverified) || len(unverified.UnverifiedCertificates) == 0 || len(unverified.UnverifiedCertificates[0].URIs) == 0 {
		return ""
	}
	return short(unverified.UnverifiedCertificates[0].URIs[0].String())
}

// handshakeReason sorts what crypto/tls says.
func handshakeReason(err error) reason {
	switch {
	case errors.As(err, new(tls.RecordHeaderError)):
		return reasonNoTLS
	case strings.Contains(err.Error(), "client didn't provide a certificate"):
		return reasonNoCertificate
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return verificationReason(err)
	}
	return reasonHandshake
}

func verificationReason(err error) reason {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return reasonExpired
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return reasonUnknownAuthority
	}
	return reasonBadCertificate
}

// validUntil is when the last of the chains ends.
func validUntil(chains [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, chain := range chains {
		end := chain[0].NotAfter
		for _, certificate := range chain {
			if certificate.NotAfter.Before(end) {
				end = certificate.NotAfter
			}
		}
		if end.After(last) {
			last = end
		}
	}
	return last
}

// A refused client has this long to read why, and may say this much meanwhile.
const (
	lingerBound = time.Second
	lingerBytes = 64 << 10
)

// lingerer is a connection that, while its handshake is not done, is closed only once its client has read what was said last.
// Closed at once, what the client sent meanwhile would be answered by a reset, which throws away the alert.
type lingerer struct {
	net.Conn
	shaken bool
}

// Close ends the connection.
func (l *lingerer) Close() error {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok && !l.shaken && half.CloseWrite() == nil {
		if l.SetReadDeadline(time.Now().Add(lingerBound)) == nil {
			_, _ = io.CopyN(io.Discard, l.Conn, lingerBytes) // how it ends does not matter any more
		}
	}
	return l.Conn.Close()
}

// clientConn is a connection that ends with what its client's certificate allows.
type clientConn struct {
	net.Conn
	handshaker *handshaker
	chain      []*x509.Certificate
	timer      *time.Timer
	once       sync.Once
}

// watch closes the connection when its client's certificate has expired.
func (c *clientConn) watch(until time.Time) {
	a := c.handshaker.access
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns[c] = struct{}{}
	c.timer = time.AfterFunc(time.Until(until), func() {
		c.end(reasonExpired, errors.New("the client's certificate has expired; its client must connect with a new one"))
	})
}

// recheck closes the connection where its client is no longer trusted.
func (c *clientConn) recheck(now *serverCredentials) {
	if err := now.trust(c.chain); err != nil {
		c.end(verificationReason(err), err)
	}
}

func (c *clientConn) end(why reason, err error) {
	c.handshaker.metrics.endedConnections.WithLabelValues(string(why)).Inc()
	c.handshaker.say("A connection was closed", c.RemoteAddr(), why, &tls.CertificateVerificationError{UnverifiedCertificates: c.chain, Err: err})
	_ = c.Close()
}

// Close ends the connection.
func (c *clientConn) Close() error {
	c.once.Do(func() {
		a := c.handshaker.access
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.conns, c)
		c.timer.Stop()
	})
	return c.Conn.Close()
}
