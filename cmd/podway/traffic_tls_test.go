package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
)

// TestTrafficHostThatThePodsReceive has tunnels with and without a Host of their own.
func TestTrafficHostThatThePodsReceive(t *testing.T) {
	w := newWorld(t)
	one := w.service(w.east, demo.ServiceConfig{Name: "one"}, 1)
	two := w.service(w.west, demo.ServiceConfig{Name: "two"}, 1)
	rewrite := "filters: [{type: URLRewrite, urlRewrite: {hostname: rewritten.internal}}]"
	w.write("tunnels.yaml", tunnelYAML("one", members("east/one=100"), "hostHeader: one.internal")+
		tunnelYAML("two", members("west/two=100"), "hostHeader: two.internal")+
		tunnelYAML("plain", members("west/two=100")))
	w.write("routes.yaml", routeYAML("one", "one.example", []string{"one"})+
		routeYAML("plain", "plain.example", []string{"plain"})+
		routeYAML("both", "both.example", []string{"one", "two"})+
		routeYAML("mixed", "mixed.example", []string{"one", "plain"})+
		routeYAML("rewrite", "rewrite.example", []string{"one"}, rewrite)+
		routeYAML("rewrite-plain", "rewrite-plain.example", []string{"plain"}, rewrite)+
		routeYAML("rewrite-mixed", "rewrite-mixed.example", []string{"one", "plain"}, rewrite))
	w.start()

	podOne, podTwo := one.Pods()[0].Name, two.Pods()[0].Name
	for host, want := range map[string]map[string]string{
		"one.example":           {podOne: "one.internal"},
		"plain.example":         {podTwo: "plain.example"},
		"both.example":          {podOne: "one.internal", podTwo: "two.internal"},
		"mixed.example":         {podOne: "one.internal", podTwo: "mixed.example"},
		"rewrite.example":       {podOne: "rewritten.internal"},
		"rewrite-plain.example": {podTwo: "rewritten.internal"},
		"rewrite-mixed.example": {podOne: "rewritten.internal", podTwo: "rewritten.internal"},
	} {
		t.Run(host, func(t *testing.T) {
			got := map[string]string{}
			for range 40 { // with two tunnels, the chance to meet only one of them is 2e-12
				answer := w.get(host, "/")
				require.Equal(t, http.StatusOK, answer.status, answer.body)
				got[answer.echo.Pod] = answer.echo.Host
				if answer.echo.Host != host {
					assert.Equal(t, []string{host}, answer.echo.Headers["X-Forwarded-Host"], "the client's Host is not lost")
				}
				if len(got) == len(want) {
					break
				}
			}
			assert.Equal(t, want, got)
		})
	}
}

// TestTrafficTLSTowardThePods has Pods that speak TLS with a certificate for *.example.com.
func TestTrafficTLSTowardThePods(t *testing.T) {
	w := newWorld(t)
	service := w.service(w.east, demo.ServiceConfig{Name: "app", TLS: serverTLS(t, "pods", nil)}, 1)
	strict := w.service(w.east, demo.ServiceConfig{Name: "strict", TLS: serverTLS(t, "pods", poolOf(t, "client"))}, 1)
	w.service(w.west, demo.ServiceConfig{Name: "h2", TLS: serverTLS(t, "pods", nil)}, 1)
	trust := func(ca, hostname string, more ...string) []string {
		lines := []string{members("east/app=100"), "tls:", "  hostname: " + hostname, "  caCertificateRefs: [{name: " + ca + "}]"}
		return append(lines, more...)
	}
	tunnels := map[string]string{
		"trusted":   tunnelYAML("trusted", trust("pods", "api.example.com")...),
		"wrongca":   tunnelYAML("wrongca", trust("other", "api.example.com")...),
		"wrongname": tunnelYAML("wrongname", trust("pods", "api.example.org")...),
		"san": tunnelYAML("san", trust("pods", "sni.example.org",
			"  subjectAltNames: [{type: DNS, value: api.example.com}]", "hostHeader: host.internal")...),
		"wrongsan": tunnelYAML("wrongsan", trust("pods", "api.example.com", "  subjectAltNames: [{type: DNS, value: api.example.org}]")...),
		"system":   tunnelYAML("system", members("east/app=100"), "tls: {hostname: api.example.com, wellKnownCACertificates: System}"),
		"skip":     tunnelYAML("skip", members("east/app=100"), "tls: {insecureSkipVerify: true}"),
		"client": tunnelYAML("client", members("east/strict=100"), "tls:", "  hostname: api.example.com",
			"  caCertificateRefs: [{name: pods}]", "  clientCertificateRef: {name: client}"),
		"noclient": tunnelYAML("noclient", members("east/strict=100"), "tls:", "  hostname: api.example.com", "  caCertificateRefs: [{name: pods}]"),
		"h2":       tunnelYAML("h2", members("west/h2=100"), "protocol: HTTP2", "tls:", "  hostname: api.example.com", "  caCertificateRefs: [{name: pods}]"),
	}
	var all string
	for name, yaml := range tunnels {
		all += yaml + routeYAML(name, name+".test", []string{name})
	}
	w.write("all.yaml", all+caYAML("pods", pair("pods").certificate)+caYAML("other", pair("other").certificate)+
		tlsSecretYAML("edge", "client", pair("client").certificate, pair("client").key))
	w.start()

	pod := service.Pods()[0].Name
	for name, want := range map[string]demo.Echo{
		"trusted": {Pod: pod, Host: "trusted.test", TLS: &demo.EchoTLS{ServerName: "api.example.com"}},
		"san":     {Pod: pod, Host: "host.internal", TLS: &demo.EchoTLS{ServerName: "sni.example.org"}},
		"skip":    {Pod: pod, Host: "skip.test", TLS: &demo.EchoTLS{}},
		"client":  {Pod: strict.Pods()[0].Name, Host: "client.test", TLS: &demo.EchoTLS{ServerName: "api.example.com", Client: "client"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.get(name+".test", "/")
			require.Equal(t, http.StatusOK, got.status, got.body)
			assert.Equal(t, want, demo.Echo{Pod: got.echo.Pod, Host: got.echo.Host, TLS: got.echo.TLS})
		})
	}
	t.Run("h2", func(t *testing.T) {
		got := w.get("h2.test", "/")
		require.Equal(t, http.StatusOK, got.status, got.body)
		assert.Equal(t, "HTTP/2.0", got.echo.Protocol)
	})
	for name, stat := range map[string]string{
		"wrongca": "ssl.fail_verify_error", "system": "ssl.fail_verify_error",
		"wrongname": "ssl.fail_verify_san", "wrongsan": "ssl.fail_verify_san",
		"noclient": "upstream_rq_503", // it is the Pod that refuses
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, http.StatusServiceUnavailable, w.get(name+".test", "/").status, "a Pod that is not trusted gets no request")
			name = "cluster.tunnel/edge/" + name + "." + stat
			assert.Positive(t, w.stats("^" + name + "$")[name])
		})
	}
	t.Run("the authority is replaced", func(*testing.T) {
		w.write("all.yaml", all+caYAML("pods", pair("pods").certificate)+caYAML("other", pair("pods").certificate)+
			tlsSecretYAML("edge", "client", pair("client").certificate, pair("client").key))
		w.awaitStatus("wrongca.test", "/", http.StatusOK)
	})
}

// TestTrafficHTTPSListeners has two of them on one port, and replaces a certificate while connections are open.
func TestTrafficHTTPSListeners(t *testing.T) {
	w := newWorld(t)
	w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	w.write("gateway.yaml", w.gatewayYAML(httpsListener(w, "a", "a.example.com")+httpsListener(w, "b", "b.example.com")))
	secrets := func(a, b string) string {
		return tlsSecretYAML("edge", "a", pair(a).certificate, pair(a).key) + tlsSecretYAML("edge", "b", pair(b).certificate, pair(b).key)
	}
	w.write("app.yaml", tunnelYAML("app", members("east/app=100"))+
		routeYAML("a", "a.example.com", []string{"app"})+routeYAML("b", "b.example.com", []string{"app"}))
	w.write("secrets.yaml", secrets("first", "second"))
	w.start()

	// commonName is that of the certificate that a new connection gets.
	commonName := func(host string) string {
		got, err := w.try(host, "/", &tls.Config{InsecureSkipVerify: true}) // which one it is, not whether it is trusted
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, got.status)
		assert.Equal(t, host, got.echo.Host)
		return got.peer.PeerCertificates[0].Subject.CommonName
	}
	assert.Equal(t, "first", commonName("a.example.com"))
	assert.Equal(t, "second", commonName("b.example.com"))
	_, err := w.try("c.example.com", "/", &tls.Config{InsecureSkipVerify: true})
	require.Error(t, err, "no listener has this name")
	_, err = w.try("a.example.com", "/", &tls.Config{RootCAs: poolOf(t, "first")})
	require.NoError(t, err)

	load := demo.Load{URL: "http://" + w.http.String() + "/", Host: "a.example.com", Clients: 4, Rate: 200}.Start(t.Context())
	listeners := w.stats("^listener_manager.*(added|modified|removed|in_place_updated)$")
	w.write("secrets.yaml", secrets("third", "second"))
	eventually(t, "the new certificate", func() bool { return commonName("a.example.com") == "third" })
	assert.Equal(t, "second", commonName("b.example.com"))
	assert.Equal(t, listeners, w.stats("^listener_manager.*(added|modified|removed|in_place_updated)$"), "no listener was touched")
	assert.NoError(t, load.Stop().Err())
}

func httpsListener(w *world, name, host string) string {
	return "  - {name: " + name + ", protocol: HTTPS, port: " + portOf(w.https) + ", hostname: " + host +
		", tls: {certificateRefs: [{name: " + name + "}]}}\n"
}

// serverTLS is what Pods speak; they ask for a client certificate of the pool where there is one.
func serverTLS(t *testing.T, name string, clients *x509.CertPool) *tls.Config {
	t.Helper()
	certificate, err := tls.X509KeyPair([]byte(pair(name).certificate), []byte(pair(name).key))
	require.NoError(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	return config
}

func poolOf(t *testing.T, name string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(pair(name).certificate)))
	return pool
}
