//go:build clusters

package clusters

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/envoy"
)

// edge is a real Envoy of a Gateway.
type edge struct {
	*envoy.Process
	w *world
}

// startEnvoy starts one of the Gateway front or spare, and waits until it takes traffic.
func (w *world) startEnvoy(gateway string) *edge {
	w.Helper()
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapConfig{
		Gateway: types.NamespacedName{Namespace: "edge", Name: gateway}, NodeID: gateway, XDSAddress: cmp.Or(w.relay, w.plane.xds), AdminAddress: "127.0.0.1:0",
	})
	require.NoError(w, err)
	process, err := envoy.Start(context.Background(), envoy.StartConfig{Bootstrap: bootstrap, Directory: w.whole.TempDir(), Concurrency: 2})
	require.NoError(w, err)
	e := &edge{Process: process, w: w}
	w.whole.Cleanup(func() {
		if err := process.Stop(); err != nil {
			w.Errorf("stopping Envoy: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	require.NoError(w, process.WaitReady(ctx))
	return e
}

// pods are the addresses of a tunnel as Envoy has them, sorted. An error says that it cannot be asked, or has no such tunnel.
func (e *edge) pods(tunnel string) ([]netip.AddrPort, error) {
	clusters, err := e.Admin().Clusters(context.Background())
	if err != nil {
		return nil, err
	}
	hosts, ok := clusters["tunnel/edge/"+tunnel]
	if !ok {
		return nil, fmt.Errorf("envoy has no tunnel %s", tunnel)
	}
	var addresses []netip.AddrPort
	for _, host := range hosts {
		addresses = append(addresses, host.Address)
	}
	slices.SortFunc(addresses, netip.AddrPort.Compare)
	return addresses, nil
}

// await waits until Envoy has exactly these Pods in a tunnel, and says how long that took.
func (e *edge) await(tunnel string, pods ...*pod) time.Duration {
	e.w.Helper()
	want := addressesOf(pods)
	var have []netip.AddrPort
	var err error
	defer func() {
		if e.w.Failed() {
			e.w.Logf("Envoy has %v (%v)", have, err)
		}
	}()
	return e.w.eventually(fmt.Sprintf("Envoy has the %d Pods %v in tunnel %s", len(want), want, tunnel), func() bool {
		have, err = e.pods(tunnel)
		return err == nil && slices.Equal(have, want)
	})
}

// stat is a counter or gauge.
func (e *edge) stat(name string) uint64 {
	e.w.Helper()
	stats, err := e.Admin().Stats(e.w.Context(), "^"+strings.ReplaceAll(name, ".", `\.`)+"$")
	require.NoError(e.w, err)
	return stats[name]
}

// guard looks at a tunnel again and again: it must never have less than it must.
type guard struct {
	stop    context.CancelFunc
	running sync.WaitGroup
	// looks counts them; fewest is how few Pods there were.
	looks, fewest int
}

// guard begins to look at a tunnel. All the while, each of these Pods must be in it.
func (w *world) guard(tunnel string, pods ...*pod) *guard {
	ctx, stop := context.WithCancel(w.Context())
	g := &guard{stop: stop}
	must, t := addressesOf(pods), w.T
	g.running.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			have, err := w.edge.pods(tunnel)
			if err != nil {
				continue // it is asked again
			}
			if g.looks++; g.looks == 1 || len(have) < g.fewest {
				g.fewest = len(have)
			}
			for _, address := range must {
				if !slices.Contains(have, address) {
					t.Errorf("%s has left tunnel %s: Envoy has %v", address, tunnel, have)
					return
				}
			}
		}
	})
	w.Cleanup(func() {
		stop()
		g.running.Wait()
	})
	return g
}

// end ends it, and says how few Pods there were at the least.
func (g *guard) end(w *world) (fewest int) {
	w.Helper()
	g.stop()
	g.running.Wait()
	assert.NotZero(w, g.looks, "nobody looked")
	return g.fewest
}
