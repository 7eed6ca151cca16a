//go:build clusters

package clusters

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/podway/podway/api/snapshot"
	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/kube"
)

// TestPodsThatComeAndGoWhileAServerIsAwayAreNobodysToSendTo has Pods come and go while podway cannot know of it. Afterwards the API server tells of each of
// them, one after the other: nothing of that is handed on but what it comes to.
func TestPodsThatComeAndGoWhileAServerIsAwayAreNobodysToSendTo(t *testing.T) {
	c := kubetest.Start(t, kubetest.Options{Name: "east"})
	proxy := kubetest.NewProxy(t, c.Address())
	service := kubetest.Service("shop", "web", kubetest.Port("http", 80, "http"))
	slice := kubetest.Slice(service, "web-1", []discoveryv1.EndpointPort{kubetest.SlicePort("http", podPort)})
	set := func(address string) {
		slice.Endpoints = []discoveryv1.Endpoint{kubetest.Endpoint("shop", "web-"+address, address)}
		c.Update(slice)
	}
	slice.Endpoints = []discoveryv1.Endpoint{kubetest.Endpoint("shop", "web-0", "10.77.0.1")}
	c.Create(kubetest.Namespace("shop"), service, slice)
	f := followAt(t, c, proxy.URL(), c.AdminToken(), kube.Config{Scope: snapshot.Everything, UID: string(c.ClusterUID())})
	f.until("live", func() bool { return f.health.Phase == kube.Live })

	for i, fault := range []struct {
		name string
		do   func()
		undo func()
		// lasts is how long it is away after it was missed.
		lasts time.Duration
	}{
		{name: "silent for a moment", do: proxy.Blackhole, undo: proxy.Pass},
		{name: "silent until the connection is given up", do: proxy.Blackhole, undo: proxy.Pass, lasts: 8 * time.Second},
		{name: "unreachable", do: proxy.Refuse, undo: proxy.Accept},
	} {
		<-time.After(1500 * time.Millisecond) // or client-go takes the watch for one that never was, and lists again
		fault.do()
		f.until(fault.name+": stale", func() bool { return f.health.Phase == kube.Stale })
		gone := func(j int) string { return fmt.Sprintf("10.77.%d.%d", i+1, j+2) }
		const count = 50
		for j := range count {
			set(gone(j))
		}
		last := fmt.Sprintf("10.77.%d.1", i+1)
		set(last)
		<-time.After(fault.lasts)
		begun := time.Now()
		fault.undo()
		f.until(fault.name+": what it has come to", func() bool {
			ready := f.ready("shop/web")
			return len(ready) == 1 && ready[0] == last
		})
		took := time.Since(begun)
		f.until(fault.name+": live", func() bool { return f.health.Phase == kube.Live })
		t.Logf("measured: %s: %d changes were caught up with %s after it was back", fault.name, count, took.Round(time.Millisecond))
		require.Zero(t, f.session.Health().Relists)
		f.mu.Lock()
		seen := maps.Clone(f.seen)
		f.mu.Unlock()
		for j := range count {
			require.NotContains(t, seen, gone(j), fault.name)
		}
	}
}
