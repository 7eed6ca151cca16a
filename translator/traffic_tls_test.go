package translator

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// tlsBackend answers with the protocol and the SNI that it was asked for, and with the name of the client's certificate.
func tlsBackend(t *testing.T, clients tls.ClientAuthType) int {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(testPEM("@certificate pods.example.com")), []byte(testPEM("@key pods.example.com")))
	require.NoError(t, err)
	authorities := x509.NewCertPool()
	require.True(t, authorities.AppendCertsFromPEM([]byte(testPEM("@authority"))))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			client = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "%s sni=%q client=%s", r.Proto, r.TLS.ServerName, client)
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: clients, ClientCAs: authorities}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that do not trust it
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

// TestTLSTowardThePods with a real Envoy and servers that hold a certificate for pods.example.com.
func TestTLSTowardThePods(t *testing.T) {
	open, closed := tlsBackend(t, tls.NoClientCert), tlsBackend(t, tls.RequireAndVerifyClientCert)
	const untrusted = "remote connection failure"
	tests := []struct {
		name, spec string
		port       int
		status     int
		body       string
	}{
		{"verified", "tls: {hostname: pods.example.com, caCertificateRefs: [{name: authority}]}", open, 200, `HTTP/1.1 sni="pods.example.com" client=nobody`},
		{"http2", "protocol: HTTP2\n  tls: {hostname: pods.example.com, caCertificateRefs: [{name: authority}]}", open, 200, `HTTP/2.0 sni="pods.example.com" client=nobody`},
		{"other-name", "tls: {hostname: other.example.com, caCertificateRefs: [{name: authority}]}", open, 503, untrusted},
		{"other-sni", "tls: {hostname: other.example.com, subjectAltNames: [{type: DNS, value: pods.example.com}], caCertificateRefs: [{name: authority}]}", open, 200, `HTTP/1.1 sni="other.example.com" client=nobody`},
		{"no-sni", "tls: {subjectAltNames: [{type: DNS, value: pods.example.com}], caCertificateRefs: [{name: authority}]}", open, 200, `HTTP/1.1 sni="" client=nobody`},
		{"uri-name", "tls: {hostname: pods.example.com, subjectAltNames: [{type: URI, value: spiffe://example.com/pod}], caCertificateRefs: [{name: authority}]}", open, 503, untrusted},
		{"system", "tls: {hostname: pods.example.com, wellKnownCACertificates: System}", open, 503, untrusted},
		{"unverified", "tls: {hostname: other.example.com, insecureSkipVerify: true}", open, 200, `HTTP/1.1 sni="other.example.com" client=nobody`},
		{"no-client", "tls: {hostname: pods.example.com, caCertificateRefs: [{name: authority}]}", closed, 503, ""},
		{"client", "tls: {hostname: pods.example.com, caCertificateRefs: [{name: authority}], clientCertificateRef: {name: client}}", closed, 200, `HTTP/1.1 sni="pods.example.com" client=gateway.example.com`},
		{"plain", "protocol: HTTP", open, 400, "HTTP request to an HTTPS server"},
	}
	input := []byte(`
kind: ConfigMap
metadata: {name: authority, namespace: edge}
data: {ca.crt: "@authority"}
---
kind: Secret
metadata: {name: client, namespace: edge}
type: kubernetes.io/tls
stringData: {tls.crt: "@certificate gateway.example.com", tls.key: "@key gateway.example.com"}
`)
	for _, test := range tests {
		input = fmt.Appendf(input, "---\nkind: Tunnel\nmetadata: {name: %s, namespace: edge}\nspec:\n  addresses: [{address: 127.0.0.1, port: %d}]\n  %s\n", test.name, test.port, test.spec)
	}
	url := frontend(t, mustPicture(t, input))
	for _, test := range tests {
		got := ask(t, url+"/"+test.name+"/")
		require.Equal(t, test.status, got.status, "%s: %s", test.name, got.body)
		require.Contains(t, got.body, test.body, test.name)
	}
}
