package main

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
)

// TestTrafficSharesAreWhatTheWeightsSay judges every Pod that is due at least 200 requests.
func TestTrafficSharesAreWhatTheWeightsSay(t *testing.T) {
	w := newWorld(t)
	heavy := w.service(w.east, demo.ServiceConfig{Name: "heavy"}, 3)
	middle := w.service(w.west, demo.ServiceConfig{Name: "middle"}, 2)
	light := w.service(w.west, demo.ServiceConfig{Name: "light"}, 1)
	lightest := w.service(w.west, demo.ServiceConfig{Name: "lightest"}, 1)
	guest := w.service(w.east, demo.ServiceConfig{Name: "guest"}, 1)
	w.write("shares.yaml", tunnelYAML("shares",
		members("east/heavy=100", "west/middle=50", "west/light=10", "west/lightest=1", "east/guest=100"))+
		routeYAML("shares", "shares.example", []string{"shares"}))
	w.start()

	weights, addresses := map[string]int{}, map[netip.AddrPort]uint32{}
	for service, weight := range map[*demo.Service]int{heavy: 100, middle: 50, light: 10, lightest: 1, guest: 100} {
		for _, pod := range service.Pods() {
			weights[pod.ID()], addresses[pod.Address()] = weight, uint32(weight)
		}
	}
	w.awaitWeights("shares", addresses)

	t.Run("while nothing changes", func(t *testing.T) {
		tally := w.load("shares.example", 8, 0).Run(t.Context(), 31_250)
		require.NoError(t, tally.Err())
		assert.NoError(t, demo.CheckShares(demo.Shares(weights, tally.Pods)))
	})

	t.Run("while another Pod comes and goes 20 times a second", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		changes := make(chan int)
		go func() { changes <- w.comeAndGo(ctx, "shares", guest, 20) }()
		before := w.stats("tunnel/edge/shares.update_success$")
		tally := w.load("shares.example", 4, 300).Run(t.Context(), 6250)
		stop()
		made := <-changes
		after := w.stats("tunnel/edge/shares.update_success$")
		require.NoError(t, tally.Err())
		const name = "cluster.tunnel/edge/shares.update_success"
		t.Logf("%d changes of the file, %d endpoint updates at the Envoy", made, after[name]-before[name])
		require.Greater(t, after[name]-before[name], uint64(made)/2, "the Envoy has seen the Pod come and go")

		// What the guest leaves is divided as before.
		id := guest.Pods()[0].ID()
		assert.Positive(t, tally.Pods[id])
		delete(tally.Pods, id)
		delete(weights, id)
		assert.NoError(t, demo.CheckShares(demo.Shares(weights, tally.Pods)))
	})
}

// comeAndGo takes the first Pod of a Service out and in again, so many times a second where Envoy is as quick as that, and returns how many changes it made.
func (w *world) comeAndGo(ctx context.Context, tunnel string, service *demo.Service, times int) int {
	pod, ready, made := service.Pods()[0], true, 0
	ticker := time.NewTicker(time.Second / time.Duration(2*times))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			ready = !ready
			if _, err := service.SetReady(pod, ready); err == nil {
				made++
			}
			for (weightsOf(w.hosts(tunnel))[pod.Address()] > 0) != ready && ctx.Err() == nil {
				<-time.After(time.Millisecond)
			}
		case <-ctx.Done():
			return made
		}
	}
}
