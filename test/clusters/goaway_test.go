//go:build clusters

package clusters

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// TestServerThatSendsConnectionsElsewhere has API servers that ask for a new connection with one request in 50, the most there is, as those do that
// are behind a load balancer. Watches are opened and closed all the time, Pods come and go, and nobody is to notice.
func TestServerThatSendsConnectionsElsewhere(t *testing.T) {
	seed := chaosSeed(t)
	t.Logf("PODWAY_CHAOS_SEED=%d", seed)
	scope := []string{namespace} // each namespace is two watches
	for i := range 40 {
		scope = append(scope, fmt.Sprintf("ns-%d", i))
	}
	config := memberConfig{
		proxied: true, flags: []string{"--goaway-chance=0.02"},
		spec: []string{"allowedTunnels: [{from: [edge], to: [" + strings.Join(scope, ", ") + "]}]"},
	}
	a, b := config, config
	a.name, a.network, b.name, b.network = "a", 71, "b", 72
	w := newWorld(t, a, b)
	names := []string{"a", "b"}
	book := newBook(w)
	var services []*churned
	for i, name := range names {
		for _, namespace := range scope[1:] {
			w.members[name].Create(kubetest.Namespace(namespace))
		}
		services = append(services, newChurned(book, w.members[name].handmade(4), rand.New(rand.NewPCG(seed, uint64(i)))))
	}
	w.newTunnel("web", names, "retry: {attempts: 0}")
	w.start("--state", w.state)
	before := map[string]told{}
	for _, name := range names {
		before[name] = w.awaitState(name, fleet.Live)
	}
	w.eventually("Envoy has all Pods", func() bool { return book.equal() == "" })

	ctx, cancel := context.WithTimeout(w.Context(), chaosDuration(t)/2)
	defer cancel()
	var running, checker sync.WaitGroup
	for _, service := range services {
		running.Go(func() { service.run(ctx) })
	}
	running.Go(func() {
		// The labels of Pods are followed in one namespace after the other.
		for i := 0; ctx.Err() == nil; i++ {
			w.write("labeled.yaml", fmt.Sprintf("---\napiVersion: podway.dev/v1alpha1\nkind: Tunnel\nmetadata: {name: labeled, namespace: edge}\nspec:\n"+
				"  services: [{cluster: %s, namespace: ns-%d, name: none, port: http, podSelector: {matchLabels: {a: b}}}]\n", names[i%2], i%40))
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	checking, endChecking := context.WithCancel(w.Context())
	defer endChecking()
	checker.Go(func() { book.check(checking) })
	tally := make(chan *demo.Tally, 1)
	go func() { tally <- w.steady(checking) }()
	running.Wait()
	took := w.eventually("Envoy has what the API servers say", func() bool { return book.equal() == "" })
	for _, name := range names {
		after := w.awaitState(name, fleet.Live)
		t.Logf("measured: %d connections to %s", w.members[name].proxy.Accepted(), name)
		require.Greater(t, w.members[name].proxy.Accepted(), 1)
		require.Equal(t, before[name].Since, after.Since, "it was Live all the time")
		require.Zero(t, after.Relists)
	}
	endChecking()
	checker.Wait()
	all := <-tally
	require.NoError(t, all.Err())
	book.report(t, all, took)
}
