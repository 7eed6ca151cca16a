package xds

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	// closeWithin is the time over which connections are closed that end together, and closeEvery, how long one is after the other where they are few.
	closeWithin = 5 * time.Second
	closeEvery  = 10 * time.Millisecond
	// closeShare is what part of the time that is left is given up for that at the most.
	closeShare = 10
)

// clientConn is a connection that ends with what its client's certificate allows.
type clientConn struct {
	net.Conn
	handshaker *handshaker
	chain      []*x509.Certificate
	// intake is what reads from it.
	intake *intake
	timer  *time.Timer
	once   sync.Once
}

// watch closes the connection when its client's certificate ends, or the last authority that vouches for it.
func (c *clientConn) watch(until time.Time) {
	a := c.handshaker.access
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns[c] = struct{}{}
	c.timer = time.AfterFunc(untilClosed(until), func() {
		c.end(reasonExpired, errors.New("the client's certificate, or its authority's, expires; its client must connect with a new one"))
	})
}

// untilClosed is how long a connection stays open whose certificates end then. Envoys that share a certificate go one after the other, before its end:
// all at once they would take each other's turn to come back.
func untilClosed(end time.Time) time.Duration {
	left := time.Until(end)
	if spread := min(closeWithin, left/closeShare); spread > 0 {
		left -= rand.N(spread)
	}
	return left
}

// recheckAll closes the connections of clients that are not trusted any more, one after the other: when a fleet's authority is changed, all its Envoys
// have connections of the one before.
func (a *Access) recheckAll() {
	var lost []*clientConn
	now := a.credentials.Load()
	for _, conn := range a.open() {
		if until, err := now.trust(conn.chain); err == nil {
			conn.closeAt(until)
		} else {
			lost = append(lost, conn)
		}
	}
	for i, conn := range lost {
		every := min(closeEvery, closeWithin/time.Duration(len(lost)))
		time.AfterFunc(every*time.Duration(i), func() { conn.recheck(a.credentials.Load()) })
	}
}

// recheck closes the connection where its client is no longer trusted.
func (c *clientConn) recheck(now *serverCredentials) {
	until, err := now.trust(c.chain)
	switch {
	case err == nil:
		c.closeAt(until)
	case c.isOpen():
		c.end(verificationReason(err), err)
	}
}

// closeAt has the connection end at another time than before: an authority may have been renewed since.
func (c *clientConn) closeAt(end time.Time) {
	a := c.handshaker.access
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, open := a.conns[c]; open {
		c.timer.Reset(untilClosed(end))
	}
}

func (c *clientConn) isOpen() bool {
	a := c.handshaker.access
	a.mu.Lock()
	defer a.mu.Unlock()
	_, open := a.conns[c]
	return open
}

func (c *clientConn) end(why reason, err error) {
	c.intake.end(err)
	unverified := &tls.CertificateVerificationError{UnverifiedCertificates: c.chain, Err: err}
	c.handshaker.server.closeConnection(hostOf(c.RemoteAddr()), why, "claims", claimed(unverified), "error", unverified)
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
