package xds

import (
	"errors"
	"strings"

	"golang.org/x/net/http2"
)

// tlsHandshake is the first byte of a connection in TLS, see RFC 8446, section 5.1. A server reads it as nothing that it knows.
const tlsHandshake = 0x16

// Heads of the PROXY protocol, versions 1 and 2, section 2 of its specification.
const (
	proxyText   = "PROXY "
	proxyBinary = "\r\n\r\n\x00\r\nQUIT\n"
)

var (
	errProxyGreeting = errors.New("a load balancer before this port speaks the PROXY protocol, which podway does not: turn it off there")
	errTLSGreeting   = errors.New("the client speaks TLS, and this port is plain text; serve with --xds-cert, or make its bootstrap without --xds-ca")
	errNoGreeting    = errors.New("the client does not speak HTTP/2, as gRPC does; this is the port for xDS")
)

// greeted tells of a client whose first bytes are not those of HTTP/2. gRPC closes its connection without a word.
func (in *intake) greeted(p []byte) {
	if n := min(len(p), len(http2.ClientPreface)); string(p[:n]) == http2.ClientPreface[:n] {
		return
	}
	err := errNoGreeting
	switch said := string(p[:min(len(p), len(proxyBinary))]); {
	case p[0] == tlsHandshake:
		err = errTLSGreeting
	case strings.HasPrefix(said, proxyText), said == proxyBinary:
		err = errProxyGreeting
	}
	in.server.refuseConnection(in.peer.address, reasonNoHTTP2, "error", err)
}
