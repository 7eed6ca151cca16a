//go:build clusters

package clusters

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"

	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// TestSlowNetworkThatPauses has a list take some 20 s, because the network carries no more, and nothing at all for 2 s of every 6: signs of life come late,
// behind all that was said before, but something always comes.
func TestSlowNetworkThatPauses(t *testing.T) {
	const rate, slices, pods = 20_000, 300, 10
	w := newWorld(t, memberConfig{name: "east", network: 71, proxied: true})
	east := w.members["east"]
	for i := range slices {
		service := kubetest.Service(namespace, fmt.Sprint("other-", i), kubetest.Port("http", 80, "http"))
		slice := kubetest.Slice(service, fmt.Sprintf("other-%d-abcde", i), []discoveryv1.EndpointPort{kubetest.SlicePort("http", podPort)})
		for j := range pods {
			slice.Endpoints = append(slice.Endpoints, kubetest.Endpoint(namespace, fmt.Sprintf("other-%d-7c9f8d6b5-%05d", i, j), fmt.Sprintf("10.%d.%d.%d", 80+j, i/250, i%250+1)))
		}
		east.Create(service, slice)
	}
	web := east.handmade(2)
	w.newTunnel("web", []string{"east"})
	east.proxy.Limit(rate)
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	go east.pause(ctx)
	w.start()
	begun := time.Now()
	now := w.awaitState("east", fleet.Live)
	w.Logf("measured: Live after %s, over %d connections", time.Since(begun), east.proxy.Accepted())
	require.Equal(t, slices*pods+len(web.pods), now.Pods)
	require.Zero(t, now.Relists)
	require.Equal(t, 1, east.proxy.Accepted(), "connections")
	cancel()
	east.proxy.Pass()
	w.edge.await("web", web.pods...)
	web.follow("web")
}

// pause has nothing get through for 2 s of every 6, until the context ends.
func (m *member) pause(ctx context.Context) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		switch i % 3 {
		case 0:
			m.proxy.Blackhole()
		case 1:
			m.proxy.Pass()
		}
	}
}
