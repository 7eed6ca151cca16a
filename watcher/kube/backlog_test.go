package kube

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// historian is an API server whose watches of slices tell what happened since the version that they were asked for, of one slice.
type historian struct {
	mu      sync.Mutex
	version string
	// addresses are those of the slice, a version after the other; the first is that of the lists.
	addresses []string
	changed   chan struct{}
	// between is how long it takes from one event to the next.
	between time.Duration
	// away has no other request answered but with 503.
	away atomic.Bool
}

func newHistorian() *historian {
	return &historian{addresses: []string{"10.0.0.1"}, changed: make(chan struct{}), between: 5 * time.Millisecond}
}

// say has the slice have other addresses, one after the other.
func (h *historian) say(addresses ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addresses = append(h.addresses, addresses...)
	h.version = fmt.Sprint(6 + len(h.addresses))
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *historian) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if h.away.Load() {
		http.Error(w, "no server is there", http.StatusServiceUnavailable)
		return
	}
	if path.Base(r.URL.Path) != endpointSlices || query.Get("watch") == "" || query.Get("sendInitialEvents") != "" {
		h.mu.Lock()
		now := &oldServer{services: 1, version: h.version}
		h.mu.Unlock()
		now.ServeHTTP(w, r)
		return
	}
	var version int
	_, _ = fmt.Sscan(query.Get("resourceVersion"), &version)
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	for {
		h.mu.Lock()
		news, changed := h.addresses[version-6:], h.changed
		h.mu.Unlock()
		for _, address := range news {
			version++
			_, _ = fmt.Fprintf(w, `{"type": "MODIFIED", "object": {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", `+
				`"metadata": {"namespace": "shop", "name": "s-0-x", "labels": {"kubernetes.io/service-name": "s-0"}, "resourceVersion": "%d"}, `+
				`"addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [{"addresses": [%q]}]}}`+"\n", version, address)
			w.(http.Flusher).Flush()
			wait(r.Context(), h.between)
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// told collects the addresses that are handed on.
type told struct {
	mu        sync.Mutex
	addresses []string
}

func (a *told) take(c Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, set := range c.Sets {
		for _, pod := range set.Pods {
			a.addresses = append(a.addresses, pod.Address.String())
		}
	}
}

func (a *told) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.addresses)
}

func (a *told) awaits(t *testing.T, latest string) []string {
	t.Helper()
	require.Eventually(t, func() bool {
		all := a.all()
		return len(all) > 0 && all[len(all)-1] == latest
	}, patience, poll)
	return a.all()
}

// TestWhatHappenedWhileAServerWasAwayIsHandedOnAtOnce: a Pod that came and went meanwhile is none that anybody is to send to.
func TestWhatHappenedWhileAServerWasAwayIsHandedOnAtOnce(t *testing.T) {
	h, a := newHistorian(), &told{}
	session, there := attach(t, h, a.take, nil)
	session.awaits(t, Live)
	session.awaitsWatches(t)
	h.say("10.0.0.2", "10.0.0.3")
	require.Equal(t, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, a.awaits(t, "10.0.0.3"), "while it is there, each by itself")
	require.Eventually(t, func() bool { return session.opened(time.Time{}, 2*time.Second) }, patience, poll) // or client-go lists again

	h.away.Store(true)
	there.CloseClientConnections()
	require.Eventually(t, func() bool { _, failure := session.gate.state(); return failure != nil }, patience, poll)
	h.say("10.0.0.4", "10.0.0.5", "10.0.0.6")
	h.away.Store(false)
	session.awaits(t, Live)
	require.Equal(t, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.6"}, a.awaits(t, "10.0.0.6"))
	require.Zero(t, session.Health().Relists)
	require.Eventually(t, func() bool {
		session.mu.Lock()
		defer session.mu.Unlock()
		return session.catchesUp(time.Now()).IsZero()
	}, patience, poll)
	h.say("10.0.0.7", "10.0.0.8")
	require.Equal(t, []string{"10.0.0.7", "10.0.0.8"}, a.awaits(t, "10.0.0.8")[4:], "that is over then")
}

// TestABacklogEndsWithAPause, and does not last for ever where there is none.
func TestABacklogEndsWithAPause(t *testing.T) {
	begun := time.Now()
	at := begun.Add
	b := backlog{}
	require.Zero(t, b.until(begun))
	b = backlog{begun: begun, last: begun}
	require.Equal(t, at(backlogPause), b.until(begun))
	b.last = at(backlogPause / 2)
	require.Equal(t, at(backlogPause*3/2), b.until(at(backlogPause)))
	require.Zero(t, b.until(at(backlogPause*3/2)))
	for after := time.Duration(0); after < backlogMost; after += backlogPause / 2 {
		b.last = at(after)
		require.NotZero(t, b.until(at(after)))
	}
	require.Zero(t, b.until(at(backlogMost)))
}

// TestBacklogsWithoutEndHoldUpNothingForEver: watches of many namespaces may be opened anew one after the other, all the time.
func TestBacklogsWithoutEndHoldUpNothingForEver(t *testing.T) {
	session := New(&Client{}, Config{Cluster: "east", Scope: namespaces(100)})
	now := time.Unix(1_800_000_000, 0)
	handed, longest := now, time.Duration(0)
	for i := range 1000 {
		now = now.Add(backlogPause / 4)
		session.units[i%100].slices.catchUp(now)
		if now = now.Add(backlogPause / 4); session.catchesUp(now).IsZero() {
			longest, handed = max(longest, now.Sub(handed)), now
		}
	}
	require.Greater(t, longest, backlogMost, "there was nearly always one")
	require.LessOrEqual(t, longest, backlogsMost+backlogPause)
	require.LessOrEqual(t, now.Sub(handed), backlogsMost+backlogPause)
}
