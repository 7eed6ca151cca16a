//go:build clusters

package clusters

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
	kubetest "github.com/podway/podway/test/kube"
)

// patience is more than anything here takes that a test waits for.
const patience = 2 * time.Minute

// world is the whole of it: member clusters with real API servers, podway as a process of its own, a real Envoy, Pods that answer, and clients.
type world struct {
	*testing.T
	// whole is the test that the world ends with; T may be a part of it.
	whole *testing.T
	// directory is podway's configuration, state where it keeps what it remembers.
	directory, state string
	// gateway is where Envoy listens for clients.
	gateway netip.AddrPort
	members map[string]*member
	plane   *plane
	edge    *edge
	// relay is where Envoys find podway, where that is not the plane itself.
	relay string

	mu      sync.Mutex
	secrets map[string]bool // by mu: what no log line and no answer may have in it
}

// ownAddress is a loopback address that nobody had before. What connects to somewhere does not come from it: a port of it that is let go can be had again.
func ownAddress() netip.Addr { return netip.AddrFrom4([4]byte{127, 9, 0, byte(addresses.Add(1))}) }

var addresses atomic.Uint32

// newWorld starts the clusters, and writes the configuration but for tunnels and routes. Neither podway nor Envoy runs yet.
func newWorld(t *testing.T, configs ...memberConfig) *world {
	t.Helper()
	w := &world{T: t, whole: t, directory: t.TempDir(), state: t.TempDir(), members: map[string]*member{}, secrets: map[string]bool{}}
	w.gateway = netip.AddrPortFrom(ownAddress(), 8080)
	w.startMembers(configs)
	w.write("gateway.yaml", w.gatewayYAML())
	return w
}

// newTunnel adds a tunnel of the namespace edge over a Service of each cluster given, as CLUSTER or CLUSTER/NAMESPACE/NAME, and a route
// of the host NAME.example to it. spec is further lines of the tunnel.
func (w *world) newTunnel(name string, services []string, spec ...string) {
	w.Helper()
	w.write("tunnel-"+name+".yaml", tunnelYAML(name, services, spec...)+routeYAML(name))
}

// write replaces a file of the configuration.
func (w *world) write(name, content string) {
	w.Helper()
	_, err := demo.WriteFile(filepath.Join(w.directory, name), []byte(content))
	require.NoError(w, err)
}

// start runs podway and Envoy with what has been written so far.
func (w *world) start(flags ...string) {
	w.Helper()
	w.startPlane(flags...)
	w.edge = w.startEnvoy("front")
}

// secret has a text looked for, at the end, in all that podway has said.
func (w *world) secret(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[text] = true
	return text
}

// requireDiscreet fails where podway has said a secret.
func (w *world) requireDiscreet(where, said string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for secret := range w.secrets {
		assert.NotContains(w, said, secret, "%s has a token in it", where)
		// The claims of a JSON Web Token are no less telling.
		if parts := strings.Split(secret, "."); len(parts) == 3 {
			assert.NotContains(w, said, parts[2], "%s has the signature of a token in it", where)
		}
	}
}

// load is clients that send requests of a tunnel's host until they are stopped, 10 minutes at the most. Each request is answered by a Pod with
// 200, or it has failed.
func (w *world) load(tunnel string, rate float64) *demo.Running {
	load := demo.Load{URL: "http://" + w.gateway.String() + "/", Host: tunnel + ".example", Clients: 8, Rate: rate}
	return load.Start(w.Context())
}

// requireServed ends a load, no request of which may have failed.
func (w *world) requireServed(load *demo.Running) *demo.Tally {
	w.Helper()
	tally := load.Stop()
	require.NoError(w, tally.Err())
	require.NotZero(w, tally.Requests)
	answered := 0
	for _, count := range tally.Pods {
		answered += count
	}
	require.Equal(w, tally.Requests, answered, "each request is answered by a Pod")
	w.Logf("%d requests to %d Pods, 0 failed", tally.Requests, len(tally.Pods))
	return tally
}

// requests waits for so many more requests.
func (w *world) requests(load *demo.Running, more int) {
	w.Helper()
	before := load.Tally().Requests
	w.eventually(fmt.Sprintf("%d more requests", more), func() bool { return load.Tally().Requests >= before+more })
}

// eventually waits for a condition, and says what it was that did not come true.
func (w *world) eventually(what string, condition func() bool) time.Duration {
	w.Helper()
	begun := time.Now()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-end.C:
			w.Fatalf("%s: not within %s", what, patience)
		}
	}
	return time.Since(begun)
}

// never fails where a condition comes true within a time.
func (w *world) never(what string, within time.Duration, condition func() bool) {
	w.Helper()
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if condition() {
			w.Fatalf("%s, which must not be", what)
		}
		select {
		case <-tick.C:
		case <-end.C:
			return
		}
	}
}

// member is a cluster, and how podway reaches it.
type member struct {
	*kubetest.Cluster
	memberConfig
	w *world
	// proxy is the network before the API server, front what answers for it; nil where there is none.
	proxy *kubetest.Proxy
	front *kubetest.Front
	next  int // number of the next Pod
}

// run runs a subtest in the world. It is not for two at once.
func (w *world) run(name string, part func()) {
	defer func() { w.T = w.whole }()
	w.whole.Run(name, func(t *testing.T) {
		w.T = t
		part()
	})
}
