//go:build clusters

package clusters

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/demo"
	"github.com/podway/podway/envoy"
	"github.com/podway/podway/watcher/fleet"
)

// startEnvoyOf starts one that knows several control planes.
func (w *world) startEnvoyOf(planes ...*plane) *edge {
	w.Helper()
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapConfig{
		Gateway: types.NamespacedName{Namespace: "edge", Name: "front"}, NodeID: "front", XDSAddress: planes[0].xds, AdminAddress: "127.0.0.1:0",
	})
	require.NoError(w, err)
	for _, p := range planes[1:] {
		addControlPlane(bootstrap, netip.MustParseAddrPort(p.xds))
	}
	process, err := envoy.Start(context.Background(), envoy.StartConfig{Bootstrap: bootstrap, Directory: w.whole.TempDir(), Concurrency: 2})
	require.NoError(w, err)
	w.whole.Cleanup(func() {
		if err := process.Stop(); err != nil {
			w.Errorf("stopping Envoy: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	require.NoError(w, process.WaitReady(ctx))
	return &edge{Process: process, w: w}
}

// addControlPlane adds one more host to the cluster of the control plane, which is the only one.
func addControlPlane(bootstrap *bootstrapv3.Bootstrap, address netip.AddrPort) {
	locality := bootstrap.GetStaticResources().GetClusters()[0].GetLoadAssignment().GetEndpoints()[0]
	added := proto.CloneOf(locality.GetLbEndpoints()[0])
	socket := added.GetEndpoint().GetAddress().GetSocketAddress()
	socket.Address, socket.PortSpecifier = address.Addr().String(), &corev3.SocketAddress_PortValue{PortValue: uint32(address.Port())}
	locality.LbEndpoints = append(locality.LbEndpoints, added)
}

// TestReplicasAreKilledAtRandom has Envoy know two control planes, each of which is killed again and again while Pods come
// and go.
func TestReplicasAreKilledAtRandom(t *testing.T) {
	duration, seed := chaosDuration(t), chaosSeed(t)
	t.Logf("%s of chaos with PODWAY_CHAOS_SEED=%d", duration, seed)
	w := newWorld(t, memberConfig{name: "a", network: 71}, memberConfig{name: "b", network: 72})
	names := []string{"a", "b"}
	book := newBook(w)
	var services []*churned
	for i, name := range names {
		services = append(services, newChurned(book, w.members[name].handmade(4), rand.New(rand.NewPCG(seed, uint64(i)))))
	}
	w.newTunnel("web", names, "retry: {attempts: 0}")
	states := []string{w.state, t.TempDir()}
	var planes []*plane
	start := func(i int) *plane {
		w.startPlane("--state", states[i])
		return w.plane
	}
	for i := range states {
		w.plane = nil
		planes = append(planes, start(i))
	}
	w.edge = w.startEnvoyOf(planes...)
	// A third one, which no Envoy knows, says what state the clusters are in.
	w.plane = nil
	w.startPlane()
	observer := w.plane
	for _, name := range names {
		w.awaitState(name, fleet.Live)
	}
	w.eventually("Envoy has all Pods", func() bool { return book.equal() == "" })

	ctx, cancel := context.WithTimeout(w.Context(), duration)
	defer cancel()
	var running, checker sync.WaitGroup
	for _, service := range services {
		running.Go(func() { service.run(ctx) })
	}
	checking, endChecking := context.WithCancel(w.Context())
	defer endChecking()
	watched := &world{T: w.T, whole: w.whole, plane: observer, edge: w.edge}
	book.w = watched
	checker.Go(func() { book.check(checking) })
	tally := make(chan *demo.Tally, 1)
	go func() { tally <- w.steady(checking) }()

	random := rand.New(rand.NewPCG(seed, 99))
	kills := 0
	for ; ctx.Err() == nil; kills++ {
		i := random.IntN(len(planes))
		w.plane = planes[i]
		w.plane.kill()
		pause(ctx, time.Duration(random.IntN(1500))*time.Millisecond)
		planes[i] = start(i)
		pause(ctx, time.Duration(random.IntN(3000))*time.Millisecond)
	}
	running.Wait()
	w.plane = observer
	for _, name := range names {
		w.awaitState(name, fleet.Live)
	}
	took := w.eventually("Envoy has what the API servers say", func() bool { return book.equal() == "" })
	for _, service := range services {
		service.requireWritten()
	}
	endChecking()
	checker.Wait()
	all := <-tally
	assert.NoError(t, all.Err())
	t.Logf("measured: %d times a control plane was killed", kills)
	book.report(t, all, took)
}

// pause waits, or until the context ends.
func pause(ctx context.Context, most time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(most):
	}
}
