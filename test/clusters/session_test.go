//go:build clusters

package clusters

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/kube"
)

// followed is a session of a cluster whose changes are kept.
type followed struct {
	t       *testing.T
	session *kube.Session

	mu      sync.Mutex
	sets    map[string]*pods.Set
	seen    map[string]bool // addresses of Pods that were ever handed on
	facts   *watcher.Facts
	changes int
	health  kube.Health
}

// follow runs a session with the token until the test ends.
func follow(t *testing.T, c *kubetest.Cluster, token string, config kube.Config) *followed {
	t.Helper()
	return followAt(t, c, c.URL(), token, config)
}

// followAt is follow with another server, such as a Proxy's URL.
func followAt(t *testing.T, c *kubetest.Cluster, server, token string, config kube.Config) *followed {
	t.Helper()
	rest := c.Config()
	rest.Host, rest.BearerToken = server, token
	client, err := kube.NewClient(rest)
	require.NoError(t, err)
	f := &followed{t: t, sets: map[string]*pods.Set{}, seen: map[string]bool{}}
	config.Cluster = "east"
	config.OnChange = f.change
	config.OnHealth = func(h kube.Health) {
		f.mu.Lock()
		defer f.mu.Unlock()
		t.Logf("%s %s: %s", time.Now().Format("05.000"), h.Phase, h.Reason)
		f.health = h
	}
	f.session = kube.New(client, config)
	f.session.Publish(kube.Known{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.session.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return f
}

func (f *followed) change(c kube.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes++
	if c.Facts != nil {
		f.facts = c.Facts
	}
	for key, set := range c.Sets {
		f.sets[key.Namespace+"/"+key.Name] = set
		for _, pod := range set.Pods {
			f.seen[pod.Address.String()] = true
		}
	}
	for _, key := range c.Gone {
		delete(f.sets, key.Namespace+"/"+key.Name)
	}
}

// until waits until something is true of what is known.
func (f *followed) until(what string, is func() bool) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return is()
	}, patience, 5*time.Millisecond, "%s; health %+v", what, &f.health)
}

// ready are the addresses of the ready Pods of a Service. f.mu is held.
func (f *followed) ready(service string) []string {
	var out []string
	if set := f.sets[service]; set != nil {
		for _, pod := range set.Pods {
			if pod.Ready {
				out = append(out, pod.Address.String())
			}
		}
	}
	return out
}

func TestSessionFollowsAnAPIServer(t *testing.T) {
	c := kubetest.Start(t, kubetest.Options{Name: "east", Controllers: []string{kubetest.EndpointSlices}})
	service := kubetest.Service("shop", "web", kubetest.Port("http", 80, "http"))
	one := kubetest.Pod("shop", "web-1", "web", "10.77.0.1", kubetest.PodPort("http", 8080))
	c.Create(kubetest.Namespace("shop"), service)
	f := follow(t, c, c.AdminToken(), kube.Config{Scope: snapshot.Everything, UID: string(c.ClusterUID())})
	f.until("live", func() bool { return f.health.Phase == kube.Live })
	c.Run(one)
	f.until("a Pod comes", func() bool { return len(f.ready("shop/web")) == 1 })
	c.SetReady(false, one)
	f.until("a Pod that is not ready is left out", func() bool { return len(f.ready("shop/web")) == 0 })
	c.SetReady(true, one)
	f.until("a Pod is ready again", func() bool { return len(f.ready("shop/web")) == 1 })
	c.Kill()
	f.until("stale", func() bool { return f.health.Phase == kube.Stale })
	require.Len(t, f.ready("shop/web"), 1)
	c.Restart(kubetest.RestartOptions{})
	f.until("live", func() bool { return f.health.Phase == kube.Live })
	c.Freeze()
	f.until("stale", func() bool { return f.health.Phase == kube.Stale })
	c.Thaw()
	f.until("live", func() bool { return f.health.Phase == kube.Live })
}
