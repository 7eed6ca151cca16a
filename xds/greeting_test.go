package xds

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"

	"github.com/podway/podway/test/locked"
)

func TestClientThatDoesNotSpeakHTTP2IsTold(t *testing.T) {
	says := func(greeting string) func(*testing.T, net.Conn) {
		return func(t *testing.T, conn net.Conn) {
			_, err := io.WriteString(conn, greeting)
			require.NoError(t, err)
			_, _ = io.ReadAll(conn) // until the end of it
		}
	}
	for name, test := range map[string]struct {
		speak func(*testing.T, net.Conn)
		says  string
	}{
		"TLS": {func(t *testing.T, conn net.Conn) {
			require.Error(t, tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()))
		}, "the client speaks TLS, and this port is plain text; serve with --xds-cert, or make its bootstrap without --xds-ca"},
		"HTTP/1": {says("POST /v3/discovery:clusters HTTP/1.1\r\nHost: podway\r\n\r\n"), "the client does not speak HTTP/2, as gRPC does; this is the port for xDS"},
		"PROXY protocol 1": {
			says("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + http2.ClientPreface),
			"a load balancer before this port speaks the PROXY protocol, which podway does not: turn it off there",
		},
		"PROXY protocol 2": {
			says(proxyBinary + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02" + http2.ClientPreface),
			"a load balancer before this port speaks the PROXY protocol, which podway does not: turn it off there",
		},
	} {
		t.Run(name, func(t *testing.T) {
			log, registry := &locked.Buffer{}, prometheus.NewRegistry()
			config := quick()
			config.Logger, config.Registerer = slog.New(slog.NewTextHandler(log, nil)), registry
			w := newWorld(t, config, cluster("a", 1))
			for range 2 {
				conn, err := net.Dial("tcp", w.address)
				require.NoError(t, err)
				test.speak(t, conn)
				require.NoError(t, conn.Close())
			}
			eventually(t, func() bool {
				return gathered(t, registry)["podway_xds_refused_connections_total"][string(reasonNoHTTP2)] == 2
			}, "both are counted")
			eventually(t, func() bool { return strings.Contains(log.String(), "reason=no_http2") }, "it is told")
			require.Regexp(t, `^time=\S+ level=WARN msg="A connection was refused" peer=127\.0\.0\.1 reason=no_http2 error="`+test.says+`"\n$`, log.String(), "once")
			c := w.delta()
			c.subscribe(clusterType)
			c.want(clusterType, "a")
			require.Equal(t, 2.0, gathered(t, registry)["podway_xds_refused_connections_total"][string(reasonNoHTTP2)])
		})
	}
}
