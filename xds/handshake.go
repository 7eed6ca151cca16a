package xds

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
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

// trust verifies a client's chain as the handshake does, and returns when that ends.
func (c *serverCredentials) trust(chain []*x509.Certificate) (until time.Time, err error) {
	options := x509.VerifyOptions{
		Roots: c.pool, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, intermediate := range chain[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	chains, err := chain[0].Verify(options)
	if err != nil {
		return time.Time{}, err
	}
	return validUntil(chains), nil
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
	access *Access
	server *Server
}

func newHandshaker(s *Server) *handshaker {
	access := s.config.Access
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if c := access.credentials.Load(); c != nil && c.config != nil {
			return c.config, nil
		}
		return nil, errors.New("no certificate has been loaded yet")
	}}
	return &handshaker{TransportCredentials: credentials.NewTLS(config), access: access, server: s}
}

// Clone is for grpc.
func (h *handshaker) Clone() credentials.TransportCredentials {
	clone := *h
	clone.TransportCredentials = h.TransportCredentials.Clone()
	return &clone
}

// ServerHandshake is for grpc.
func (h *handshaker) ServerHandshake(raw net.Conn) (_ net.Conn, _ credentials.AuthInfo, err error) {
	exit, err := h.server.enter(raw.RemoteAddr())
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			exit()
		}
	}()
	before := h.access.credentials.Load()
	slow := &lingerer{Conn: raw}
	conn, auth, err := h.TransportCredentials.ServerHandshake(slow)
	slow.shaken = err == nil
	if err != nil {
		why := handshakeReason(err) // all that a person learns: of it, in TLS 1.3, Envoy itself logs no more than that the connection ended
		if why == reasonRefusesUs {
			err = fmt.Errorf("the client refuses podway's certificate (%w); its --xds-ca must hold the authority of --xds-cert, and that certificate be good for its --xds-server-name", err)
		}
		h.server.refuseConnection(hostOf(raw.RemoteAddr()), why, "claims", claimed(err), "error", err)
		return nil, nil, err
	}
	info, ok := auth.(credentials.TLSInfo)
	if !ok {
		_ = conn.Close()
		return nil, nil, errors.New("the connection is no TLS")
	}
	watched := &clientConn{Conn: conn, handshaker: h, chain: info.State.PeerCertificates}
	out := clientInfo{TLSInfo: info}
	out.identity, out.denial = h.access.identities.of(watched.chain[0])
	who := client{address: hostOf(raw.RemoteAddr())}
	if out.denial == nil {
		who.identity = &out.identity
	}
	out.intake = h.server.newIntake(watched, who, exit)
	watched.intake = out.intake
	watched.watch(validUntil(info.State.VerifiedChains))
	if now := h.access.credentials.Load(); now != before {
		watched.recheck(now)
	}
	return out.intake, out, nil
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
	case isRefusal(err):
		return reasonRefusesUs
	}
	return reasonHandshake
}

// isRefusal says whether the client has ended the handshake because of podway's certificate. Its alerts have no type that is exported.
func isRefusal(err error) bool {
	var alert *net.OpError
	return errors.As(err, &alert) && alert.Op == "remote error" && strings.Contains(alert.Err.Error(), "certificate")
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
