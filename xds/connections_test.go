package xds

import (
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/test/locked"
)

// from dials from an address of this host.
func from(address string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
}

// dialFrom connects from an address of this host.
func (w *world) dialFrom(address string) net.Conn {
	w.Helper()
	conn, err := from(address).DialContext(w.Context(), "tcp", w.address)
	require.NoError(w, err)
	return conn
}

// TestConnectionsThatSayNothingAreLimited: they cost memory and descriptors, which others need.
func TestConnectionsThatSayNothingAreLimited(t *testing.T) {
	plain := func(t *testing.T, config Config) (*world, *prometheus.Registry, func(net.Conn) error) {
		registry := prometheus.NewRegistry()
		config.Registerer = registry
		return newWorld(t, config), registry, func(conn net.Conn) error {
			_, err := conn.Read(make([]byte, 1)) // the server's preface
			return err
		}
	}
	secure := func(t *testing.T, config Config) (*world, *prometheus.Registry, func(net.Conn) error) {
		s := newSecureWorld(t, config, nil)
		own := &tls.Config{Certificates: []tls.Certificate{s.client(gatewayIdentity)}, InsecureSkipVerify: true, NextProtos: []string{"h2"}}
		return s.world, s.registry, func(conn net.Conn) error { return tls.Client(conn, own).HandshakeContext(t.Context()) }
	}
	for name, test := range map[string]struct {
		world  func(*testing.T, Config) (*world, *prometheus.Registry, func(net.Conn) error)
		limits Limits
		reason reason
		says   string
		others bool
	}{
		"of one address, plain text": {plain, Limits{MaxStreamsPerPeer: 5}, reasonMaxConnectionsPerPeer, "it has 10 connections, 2 times --xds-max-streams-per-peer", true},
		"of one address, TLS":        {secure, Limits{MaxStreamsPerPeer: 5}, reasonMaxConnectionsPerPeer, "it has 10 connections, 2 times --xds-max-streams-per-peer", true},
		"in all, plain text":         {plain, Limits{MaxStreams: 5}, reasonMaxConnections, "there are 10 connections, 2 times --xds-max-streams", false},
		"in all, few files":          {plain, Limits{MaxConnections: 10}, reasonMaxConnections, "there are 10 connections, as many as the limit of open files (ulimit -n) leaves room for", false},
		"in all, TLS":                {secure, Limits{MaxStreams: 5}, reasonMaxConnections, "there are 10 connections, 2 times --xds-max-streams", false},
	} {
		t.Run(name, func(t *testing.T) {
			log, config := &locked.Buffer{}, quick()
			config.Limits, config.Logger = test.limits, slog.New(slog.NewTextHandler(log, nil))
			w, registry, greet := test.world(t, config)
			isLetIn := func(from string) bool {
				conn := w.dialFrom(from)
				defer conn.Close()
				return greet(conn) == nil
			}
			idle := make([]net.Conn, 10)
			for i := range idle {
				idle[i] = w.dialFrom("127.0.0.1")
			}
			eventually(t, func() bool {
				w.server.doorman.mu.Lock()
				defer w.server.doorman.mu.Unlock()
				return w.server.doorman.connections == len(idle)
			}, "all are counted")
			require.False(t, isLetIn("127.0.0.1"))
			require.Positive(t, gathered(t, registry)["podway_xds_refused_connections_total"][string(test.reason)])
			require.Contains(t, log.String(), `msg="A connection was refused" peer=127.0.0.1 reason=`+string(test.reason)+` error="`+test.says+`"`)
			require.Equal(t, 1, strings.Count(log.String(), string(test.reason)), "once")
			require.Equal(t, test.others, isLetIn("127.0.0.2"), "others")
			for _, conn := range idle {
				require.NoError(t, conn.Close())
			}
			eventually(t, func() bool { return isLetIn("127.0.0.1") }, "there is room again")
		})
	}
}
