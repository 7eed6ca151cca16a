//go:build clusters

package clusters

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/podway/podway/demo"
	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// TestManyClustersAtOnce has six clusters restarted at the same moment, in several ways, while Pods come and go and requests flow.
func TestManyClustersAtOnce(t *testing.T) {
	seed := chaosSeed(t)
	t.Logf("PODWAY_CHAOS_SEED=%d", seed)
	var configs []memberConfig
	var names []string
	for i := range 6 {
		names = append(names, string(rune('a'+i)))
		configs = append(configs, memberConfig{name: names[i], network: 71 + i})
	}
	w := newWorld(t, configs...)
	book, services := w.startChurned(names, seed)

	ctx, cancel := context.WithTimeout(w.Context(), 3*time.Minute)
	defer cancel()
	var running, checker sync.WaitGroup
	for _, service := range services {
		running.Go(func() { service.run(ctx) })
	}
	checking, endChecking := context.WithCancel(w.Context())
	defer endChecking()
	checker.Go(func() { book.check(checking) })
	tally := make(chan *demo.Tally, 1)
	go func() { tally <- w.steady(checking) }()
	all := func(what string, do func(*kubetest.Cluster)) {
		begun := time.Now()
		var at sync.WaitGroup
		for _, name := range names {
			at.Go(func() { do(w.members[name].Cluster) })
		}
		at.Wait()
		took := time.Since(begun)
		begun = time.Now()
		for _, name := range names {
			w.awaitState(name, fleet.Live)
		}
		t.Logf("measured: %s: %s; all Live %s later", what, took, time.Since(begun))
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
	all("killed and restarted", func(c *kubetest.Cluster) { c.Restart(kubetest.RestartOptions{}) })
	all("restarted without history", func(c *kubetest.Cluster) { c.Restart(kubetest.RestartOptions{Compact: true}) })
	all("etcd killed", func(c *kubetest.Cluster) { c.RestartEtcd(func() {}) })
	all("all of it", func(c *kubetest.Cluster) { c.Save() })
	cancel()
	running.Wait()
	took := w.eventually("Envoy has what the API servers say", func() bool { return book.equal() == "" })
	for _, service := range services {
		service.requireWritten()
	}
	endChecking()
	checker.Wait()
	total := <-tally
	assert.NoError(t, total.Err())
	book.report(t, total, took)
}
