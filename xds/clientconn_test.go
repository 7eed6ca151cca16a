package xds

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/xds/devca"
)

// hall is the connections of an Access, without anything behind them.
type hall struct {
	*pki
	access     *Access
	handshaker *handshaker
	ended      atomic.Int64
}

// inHall runs a test by the bubble's clock.
func inHall(t *testing.T, test func(*hall)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hall{pki: newPKI(t)}
		access, err := NewAccess(h.config())
		require.NoError(t, err)
		require.NoError(t, access.Load())
		h.access = access
		h.handshaker = newHandshaker(New(Config{Access: access, Logger: slog.New(slog.DiscardHandler)}))
		test(h)
	})
}

// hallConn counts its end.
type hallConn struct {
	net.Conn
	ended *atomic.Int64
}

func (c *hallConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

func (c *hallConn) Close() error {
	c.ended.Add(1)
	return nil
}

// enter adds connections whose clients share a certificate.
func (h *hall) enter(count int, until time.Time) {
	h.Helper()
	chain := []*x509.Certificate{h.clientUntil(until, gatewayIdentity).Leaf}
	end, err := h.access.credentials.Load().trust(chain)
	require.NoError(h, err)
	for range count {
		conn := &clientConn{Conn: &hallConn{ended: &h.ended}, handshaker: h.handshaker, chain: chain}
		conn.watch(end)
	}
}

// wait lets time pass.
func (h *hall) wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// trust makes authorities those of clients.
func (h *hall) trust(authority []byte) {
	h.Helper()
	require.NoError(h, h.access.loadBundle([][]byte{authority}))
	synctest.Wait()
}

func TestConnectionsOfAnAuthorityThatIsTrustedNoMoreAreClosedOneAfterTheOther(t *testing.T) {
	for _, count := range []int{1, 100, 2000} {
		inHall(t, func(h *hall) {
			h.enter(count, time.Now().Add(time.Hour))
			h.trust(newAuthority(t).PEM)
			require.EqualValues(t, 1, h.ended.Load(), "at once")
			within := min(closeWithin, time.Duration(count)*closeEvery)
			h.wait(within / 2)
			require.InDelta(t, (count+1)/2, h.ended.Load(), 2)
			h.wait(within / 2)
			require.EqualValues(t, count, h.ended.Load())
			require.Empty(t, h.access.open())
		})
	}
}

func TestConnectionIsKeptWhoseAuthorityIsBackBeforeItsTurn(t *testing.T) {
	inHall(t, func(h *hall) {
		h.enter(100, time.Now().Add(time.Hour))
		h.trust(newAuthority(t).PEM)
		h.trust(h.authority.PEM)
		h.wait(time.Minute)
		require.EqualValues(t, 1, h.ended.Load())
		h.wait(time.Hour)
		require.EqualValues(t, 100, h.ended.Load())
	})
}

func TestConnectionsWhoseClientsShareACertificateEndOneAfterTheOtherBeforeIt(t *testing.T) {
	inHall(t, func(h *hall) {
		h.enter(1000, time.Now().Add(time.Hour))
		h.wait(time.Hour - closeWithin)
		require.LessOrEqual(t, h.ended.Load(), int64(1))
		for range 5 {
			before := h.ended.Load()
			h.wait(closeWithin / 5)
			require.InDelta(t, 200, h.ended.Load()-before, 100)
		}
		require.EqualValues(t, 1000, h.ended.Load())
	})
}

func TestConnectionOutlivesTheAuthorityThatWasRenewed(t *testing.T) {
	inHall(t, func(h *hall) {
		before := h.authority
		key, err := before.KeyPEM()
		require.NoError(t, err)
		h.authority = renewed(t, before.Certificate, key, time.Now().Add(48*time.Hour))
		h.enter(1, h.authority.Certificate.NotAfter)
		h.trust(h.authority.PEM)
		h.wait(25 * time.Hour)
		require.Zero(t, h.ended.Load(), "what was its authority when it connected has ended")
		h.wait(23 * time.Hour)
		require.EqualValues(t, 1, h.ended.Load(), "its own certificate has ended")
	})
}

// renewed is an authority with the same key and another end.
func renewed(t *testing.T, before *x509.Certificate, key []byte, until time.Time) *devca.Authority {
	t.Helper()
	block, _ := pem.Decode(key)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	template := *before
	template.NotAfter = until
	signer := private.(*ecdsa.PrivateKey)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, signer.Public(), signer)
	require.NoError(t, err)
	authority, err := devca.Parse(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key)
	require.NoError(t, err)
	return authority
}
