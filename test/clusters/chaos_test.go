//go:build clusters

package clusters

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/fleet"
)

// chaosDuration is how long the chaos lasts: PODWAY_CHAOS, such as 10m, or a minute.
func chaosDuration(t *testing.T) time.Duration {
	text := os.Getenv("PODWAY_CHAOS")
	if text == "" {
		return time.Minute
	}
	duration, err := time.ParseDuration(text)
	require.NoError(t, err)
	return duration
}

// chaosSeed is PODWAY_CHAOS_SEED, or another one each time.
func chaosSeed(t *testing.T) uint64 {
	text := os.Getenv("PODWAY_CHAOS_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return seed
}

// startChurned starts podway and an Envoy with a tunnel to a Service in each of the clusters, whose Pods are to come and go by the seed.
func (w *world) startChurned(names []string, seed uint64) (b *book, services []*churned) {
	w.Helper()
	b = newBook(w)
	for i, name := range names {
		services = append(services, newChurned(b, w.members[name].handmade(4), rand.New(rand.NewPCG(seed, uint64(i)))))
	}
	w.newTunnel("web", names, "retry: {attempts: 0}")
	w.start("--state", w.state)
	for _, name := range names {
		w.awaitState(name, fleet.Live)
	}
	w.eventually("Envoy has all Pods", func() bool { return b.equal() == "" })
	return b, services
}

// TestChaos has 3 clusters go up and down at random while Pods come and go in them and requests flow.
func TestChaos(t *testing.T) {
	duration, seed := chaosDuration(t), chaosSeed(t)
	t.Logf("%s of chaos with PODWAY_CHAOS_SEED=%d", duration, seed)
	w := newWorld(t, memberConfig{name: "a", network: 71, proxied: true}, memberConfig{name: "b", network: 72, proxied: true}, memberConfig{name: "c", network: 73, proxied: true})
	names := []string{"a", "b", "c"}
	book, services := w.startChurned(names, seed)

	ctx, cancel := context.WithTimeout(w.Context(), duration)
	defer cancel()
	var running sync.WaitGroup
	for _, service := range services {
		running.Go(func() { service.run(ctx) })
	}
	checking, endChecking := context.WithCancel(w.Context())
	defer endChecking()
	var checker sync.WaitGroup
	checker.Go(func() { book.check(checking) })
	tally := make(chan *demo.Tally, 1)
	go func() { tally <- w.steady(checking) }()

	w.trouble(ctx, names, rand.New(rand.NewPCG(seed, 99)))
	running.Wait()
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
	book.report(t, all, took)
}

// steady is one load after the other.
func (w *world) steady(ctx context.Context) *demo.Tally {
	all := demo.NewTally()
	for ctx.Err() == nil {
		part := w.load("web", 100)
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
		}
		all.Add(part.Stop())
	}
	return all
}

// trouble breaks and mends clusters until the context ends; then it mends all.
func (w *world) trouble(ctx context.Context, names []string, random *rand.Rand) {
	mend := map[string]func(){}
	counts := map[string]int{}
	for ctx.Err() == nil {
		name := names[random.IntN(len(names))]
		if undo := mend[name]; undo != nil {
			w.Logf("%s: mending %s", clock(time.Now()), name)
			undo()
			delete(mend, name)
		} else {
			kind, undo := w.breakOne(w.members[name], random)
			w.Logf("%s: %s is %s", clock(time.Now()), name, kind)
			counts[kind]++
			mend[name] = undo
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(random.IntN(1500)) * time.Millisecond):
		}
	}
	for _, undo := range mend {
		undo()
	}
	w.Logf("there was %v", counts)
}

// breakOne does something to an API server, or to the network before it.
func (w *world) breakOne(m *member, random *rand.Rand) (kind string, undo func()) {
	restart := func() { m.Restart(kubetest.RestartOptions{Compact: random.IntN(2) == 0}) }
	switch random.IntN(7) {
	case 0, 1:
		m.Kill()
		return "killed", restart
	case 2:
		m.StopServer()
		return "stopped", restart
	case 3:
		m.Freeze()
		return "frozen", m.Thaw
	case 4:
		m.proxy.Blackhole()
		return "blackholed", m.proxy.Pass
	case 5:
		m.proxy.Refuse()
		return "unreachable", m.proxy.Accept
	}
	m.proxy.Cut()
	m.proxy.Delay(300 * time.Millisecond)
	return "cut and slow", func() { m.proxy.Delay(0) }
}
