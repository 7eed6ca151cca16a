//go:build clusters

package clusters

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/podway/podway/demo"
	"github.com/podway/podway/watcher/fleet"
)

// lateAtMost is how late Envoy may follow what a cluster says that podway calls Live. It is 2 s on a machine that has time.
const lateAtMost = 5 * time.Second

// neverCame is for how long a cluster has to be Live for a Pod that Envoy did not have, and that was removed, not to come any more. It is more than a watch may
// take to be opened again before its cluster is Stale.
const neverCame = 3 * time.Second

// entry is what is known of a Pod.
type entry struct {
	pod     *pod
	cluster string
	// added and removed are when the API server had taken that; zero where it has not.
	added, removed time.Time
	// ending is true from before the API server is told of the end.
	ending bool
	// was is true for a Pod that Envoy had before it was removed.
	was bool
	// gone is when Envoy had it no more after it was removed; done is that its backend was told to end.
	gone time.Time
	done bool
}

// book keeps what the API servers were told, and compares it with what Envoy has.
type book struct {
	w      *world
	ending sync.WaitGroup // Pods that end

	mu      sync.Mutex // guards all that follows
	entries map[netip.AddrPort]*entry
	live    map[string]time.Time // clusters that are Live, since when they have been without a break in what was seen
	looks   int
	// The worst that was seen: how late a Pod left or came while its cluster was Live, and how few there were.
	lateGone, lateCome     time.Duration
	latestGone, latestCome string
	fewest                 int
}

func newBook(w *world) *book {
	return &book{w: w, entries: map[netip.AddrPort]*entry{}, live: map[string]time.Time{}, fewest: 1 << 30}
}

// adding notes that a Pod may be in Envoy from now on.
func (b *book) adding(cluster string, p *pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries[p.Address()] = &entry{pod: p, cluster: cluster}
}

// added notes that the API server has taken a Pod.
func (b *book) added(cluster string, p *pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries[p.Address()] = &entry{pod: p, cluster: cluster, added: time.Now()}
}

// removing notes that a Pod need not be in Envoy from now on.
func (b *book) removing(p *pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries[p.Address()].ending = true
}

// removed notes that the API server has taken the end of a Pod.
func (b *book) removed(p *pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries[p.Address()].removed = time.Now()
}

// equal is "" where Envoy has just what the API servers were told.
func (b *book) equal() string {
	have, err := b.w.edge.pods("web")
	if err != nil {
		return err.Error()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	want := map[netip.AddrPort]bool{}
	for address, e := range b.entries {
		if !e.ending {
			want[address] = true
		}
	}
	for _, address := range have {
		if !want[address] {
			return fmt.Sprintf("Envoy has %s", address)
		}
		delete(want, address)
	}
	if len(want) > 0 {
		return fmt.Sprintf("Envoy lacks %v", want)
	}
	return ""
}

// check compares until the context ends.
func (b *book) check(ctx context.Context) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	defer b.ending.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var clusters []told
		if err := b.w.plane.tell("/clusters", &clusters); err != nil {
			b.w.whole.Errorf("asking podway: %v", err)
			return
		}
		have, err := b.w.edge.pods("web")
		if err != nil {
			b.w.whole.Errorf("asking Envoy: %v", err)
			return
		}
		for _, p := range b.look(time.Now(), clusters, have) {
			b.ending.Go(func() { p.stop(b.w) })
		}
	}
}

// look compares once, and returns the Pods that nobody sends to any more.
func (b *book) look(now time.Time, clusters []told, have []netip.AddrPort) (done []*pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.looks++
	b.fewest = min(b.fewest, len(have))
	for _, cluster := range clusters {
		if cluster.State != fleet.Live {
			delete(b.live, cluster.Name)
		} else if since, was := b.live[cluster.Name]; !was || cluster.Since.After(since) {
			b.live[cluster.Name] = now
		}
	}
	if len(have) == 0 {
		b.w.whole.Errorf("the tunnel is empty")
	}
	there := map[netip.AddrPort]bool{}
	for _, address := range have {
		there[address] = true
		if b.entries[address] == nil {
			b.w.whole.Errorf("Envoy has %s, which never was a Pod", address)
		}
	}
	for address, e := range b.entries {
		if b.compare(now, address, e, there[address]) {
			e.done = true
			done = append(done, e.pod)
		}
	}
	return done
}

// clock is a time of day as podway's log has it.
func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// compare looks at one Pod, and says whether it is done with.
func (b *book) compare(now time.Time, address netip.AddrPort, e *entry, there bool) (done bool) {
	live, isLive := b.live[e.cluster]
	late := func(since time.Time) time.Duration {
		if !isLive {
			return 0
		}
		if live.After(since) {
			since = live
		}
		return now.Sub(since)
	}
	e.was = e.was || there && e.removed.IsZero()
	switch {
	case !e.removed.IsZero() && there:
		// Who has never been there may come late: what was on its way from a slow API server still had the Pod.
		if !e.gone.IsZero() && e.was {
			b.w.whole.Errorf("at %s Pod %s, removed at %s, has come back after it was gone at %s", clock(now), address, clock(e.removed), clock(e.gone))
		}
		if by := late(e.removed); by > b.lateGone {
			b.lateGone, b.latestGone = by, fmt.Sprintf("%s of %s, at %s", address, e.cluster, clock(now))
		}
	case !e.removed.IsZero() && e.gone.IsZero():
		e.gone = now
	case !e.removed.IsZero() && !e.done && e.was:
		return now.Sub(e.gone) > time.Second
	case !e.removed.IsZero() && !e.done:
		// It may be on its way still, for as long as podway cannot know that it has gone.
		return isLive && now.Sub(e.gone) > neverCame && now.Sub(live) > neverCame
	case !there && !e.ending && !e.added.IsZero():
		if by := late(e.added); by > b.lateCome {
			b.lateCome, b.latestCome = by, fmt.Sprintf("%s of %s, at %s", address, e.cluster, clock(now))
		}
	}
	return false
}

// report tells the worst, and fails where that is too bad.
func (b *book) report(t *testing.T, tally *demo.Tally, took time.Duration) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Logf("measured: %d requests, %d failed; %d looks, %d Pods at the least; while Live, a Pod left %s late (%s) and came %s late (%s) at the most; equal %s after the end",
		tally.Requests, tally.Failed, b.looks, b.fewest, b.lateGone.Round(time.Millisecond), b.latestGone, b.lateCome.Round(time.Millisecond), b.latestCome, took.Round(time.Millisecond))
	if b.lateGone > lateAtMost || b.lateCome > lateAtMost {
		t.Errorf("more than %s late", lateAtMost)
	}
}
