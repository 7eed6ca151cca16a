//go:build clusters

package clusters

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podway/podway/watcher/fleet"
)

// TestRolloutCostsNoRequest replaces all Pods of a Service as a Deployment does, three at a time: new ones become ready, and as soon as the
// API server knows that, as many old ones are asked to end. Those answer until shortly after they have left the tunnel, as a Pod with a long
// enough preStop hook does: the controller of EndpointSlices alone may take a second to tell of a change that follows another one closely.
func TestRolloutCostsNoRequest(t *testing.T) {
	w := newWorld(t, memberConfig{name: "east", network: 71, controllers: true}, memberConfig{name: "west", network: 72, controllers: true})
	east, west := w.members["east"], w.members["west"]
	_, old := east.web(12)
	_, others := west.web(2)
	w.newTunnel("web", []string{"east", "west"})
	w.newTunnel("once", []string{"east", "west"}, "retry: {attempts: 0}")
	w.start()
	w.awaitState("east", fleet.Live)
	w.awaitState("west", fleet.Live)
	w.edge.await("web", slices.Concat(old, others)...)
	w.edge.await("once", slices.Concat(old, others)...)
	web, once := w.load("web", 150), w.load("once", 150)
	w.requests(once, 50)

	const surge, grace = 3, time.Second
	var ending sync.WaitGroup
	var current, ended []*pod
	slowest := make(chan time.Duration, len(old))
	for len(old) > 0 {
		come := east.newPods("web", surge)
		current = append(current, come...)
		for _, p := range come {
			notReady(p.object)
		}
		east.Run(objectsOf(come)...)
		east.SetReady(true, objectsOf(come)...)
		leave := old[:surge]
		old, ended = old[surge:], append(ended, leave...)
		begun := time.Now()
		east.Terminate(objectsOf(leave)...)
		ending.Go(func() {
			slowest <- max(w.gone("web", leave, begun), w.gone("once", leave, begun))
			<-time.After(grace)
			for _, p := range leave {
				p.stop(w)
			}
		})
		w.requests(once, 20)
	}
	ending.Wait()
	east.Delete(asObjects(objectsOf(ended))...)
	w.edge.await("web", slices.Concat(current, others)...)
	w.edge.await("once", slices.Concat(current, others)...)
	w.requests(once, 50)
	w.requireServed(web)
	w.requireServed(once)
	close(slowest)
	worst := time.Duration(0)
	for each := range slowest {
		worst = max(worst, each)
	}
	t.Logf("measured: old Pods had left Envoy at most %s after they were asked to end", worst.Round(time.Millisecond))
}

// gone waits until none of the Pods is in the tunnel, and says how long after begun that was. It is for goroutines too.
func (w *world) gone(tunnel string, pods []*pod, begun time.Time) time.Duration {
	left := func(address netip.AddrPort) bool { return slices.Contains(addressesOf(pods), address) }
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ; time.Since(begun) < patience; <-tick.C {
		if have, err := w.edge.pods(tunnel); err == nil && !slices.ContainsFunc(have, left) {
			return time.Since(begun)
		}
	}
	w.Errorf("%v are still in tunnel %s after %s", addressesOf(pods), tunnel, patience)
	return patience
}

// notReady makes a Pod one that runs and is not ready yet.
func notReady(p *corev1.Pod) {
	for i := range p.Status.Conditions {
		if kind := p.Status.Conditions[i].Type; kind == corev1.PodReady || kind == corev1.ContainersReady {
			p.Status.Conditions[i].Status = corev1.ConditionFalse
		}
	}
}
