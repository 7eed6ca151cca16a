//go:build clusters

package clusters

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/podway/podway/watcher/fleet"
)

// TestAPIServerBehindAnHTTPProxy has podway reach an API server by a name that only a proxy knows: that of the kubeconfig, then that of the environment.
func TestAPIServerBehindAnHTTPProxy(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71})
	east := w.members["east"]
	h := east.handmade(2)
	w.newTunnel("web", []string{"east"})
	proxy := httpProxy(t, east.Address())
	east.proxyBy(proxy)
	w.start()
	w.awaitState("east", fleet.Live)
	h.follow("web")

	w.plane.stop()
	t.Setenv("HTTPS_PROXY", proxy)
	east.proxyBy("")
	w.startPlane()
	w.awaitState("east", fleet.Live)
	h.follow("web")
}

// proxyBy has podway use a proxy, or name none, toward a server that it cannot find by itself.
func (m *member) proxyBy(proxy string) {
	m.w.Helper()
	config, err := clientcmd.Load(m.KubeconfigAt("https://api.example:6443", m.TokenOf(viewer)))
	require.NoError(m.w, err)
	config.Clusters["it"].ProxyURL, config.Clusters["it"].TLSServerName = proxy, "127.0.0.1"
	content, err := clientcmd.Write(*config)
	require.NoError(m.w, err)
	m.writeKubeconfig(content)
}

// httpProxy is one that connects to target, whatever it is asked for. It ends with the test.
func httpProxy(t *testing.T, target string) (url string) {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer server.Close()
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return // it has gone
		}
		defer client.Close()
		if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(server, client) // its end is that of the other direction
			server.Close()
		}()
		_, _ = io.Copy(client, server)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}
