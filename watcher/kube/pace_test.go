package kube

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// invalid is an API server whose watches of slices are of no use for as long as ails says so; all else goes well.
type invalid struct {
	server *oldServer
	ails   func(w http.ResponseWriter) // has the answer end
	left   atomic.Int32                // how many more watches are of no use

	mu             sync.Mutex
	watches, lists []time.Time
}

func (i *invalid) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, now := r.URL.Query(), time.Now()
	if path.Base(r.URL.Path) != endpointSlices || query.Get("sendInitialEvents") != "" || query.Get("limit") == "1" {
		i.server.ServeHTTP(w, r)
		return
	}
	i.mu.Lock()
	switch {
	case query.Get(watchVerb) != "":
		i.watches = append(i.watches, now)
	case query.Get("continue") == "":
		i.lists = append(i.lists, now)
	}
	i.mu.Unlock()
	if query.Get(watchVerb) != "" && i.left.Add(-1) >= 0 {
		i.ails(w)
		return
	}
	i.server.ServeHTTP(w, r)
}

func (i *invalid) asked() (watches, lists []time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.watches, i.lists
}

func answer(w http.ResponseWriter, events string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprint(w, events)
	w.(http.Flusher).Flush()
}

const sliceBookmark = `{"type": "BOOKMARK", "object": {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": {"resourceVersion": "8"}}}` + "\n"

var ailments = map[string]func(w http.ResponseWriter){
	"ends":                 func(w http.ResponseWriter) { answer(w, "") },
	"ends after a word":    func(w http.ResponseWriter) { answer(w, sliceBookmark) },
	"ends within an event": func(w http.ResponseWriter) { answer(w, `{"type": "MODI`) },
	"is broken off": func(w http.ResponseWriter) {
		answer(w, "")
		panic(http.ErrAbortHandler)
	},
	"is not answered": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	"is closed": func(w http.ResponseWriter) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close() // that it is closed is all that matters
		}
	},
}

// TestAWatchThatEndsAtOnceIsOpenedAnew, and nothing is listed again for it.
func TestAWatchThatEndsAtOnceIsOpenedAnew(t *testing.T) {
	for name, ails := range ailments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &invalid{server: &oldServer{services: 2}, ails: ails}
			i.left.Store(faults - 1)
			session, _ := attach(t, i, nil, nil)
			require.Eventually(t, func() bool { watches, _ := i.asked(); return len(watches) == faults }, patience, poll)
			session.awaits(t, Live)
			session.awaitsWatches(t)
			_, lists := i.asked()
			require.Len(t, lists, 1)
			require.Zero(t, session.Health().Relists)
		})
	}
}

// TestWatchesThatAllEndAtOnceAreNoLoad, and somebody is told.
func TestWatchesThatAllEndAtOnceAreNoLoad(t *testing.T) {
	for name, ails := range ailments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &invalid{server: &oldServer{services: 2}, ails: ails}
			i.left.Store(1 << 30)
			session, _ := attach(t, i, nil, nil)
			const count = 14 // net/http asks twice where it is not answered
			require.Eventually(t, func() bool { watches, _ := i.asked(); return len(watches) >= count }, patience, poll)
			require.Contains(t, []string{"the watch of endpointslices ends as soon as it is open", closes}, session.awaits(t, Stale).Reason)
			watches, _ := i.asked()
			require.Greater(t, watches[count-1].Sub(watches[0]), time.Second, "the last pauses are of at least 0.4 s each")
			i.left.Store(0)
			session.awaits(t, Live)
		})
	}
}

// TestListsThatAreOfNoUseAreNoLoad: the server gives no watch after any of them.
func TestListsThatAreOfNoUseAreNoLoad(t *testing.T) {
	for name, ails := range map[string]func(w http.ResponseWriter){
		"unknown": func(w http.ResponseWriter) { refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound) },
		"too old": func(w http.ResponseWriter) { refuse(w, http.StatusGone, metav1.StatusReasonExpired) },
		"too old, as it says later": func(w http.ResponseWriter) {
			answer(w, `{"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}}`+"\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &invalid{server: &oldServer{services: 2}, ails: ails}
			i.left.Store(1 << 30)
			session, _ := attach(t, i, nil, nil)
			require.Eventually(t, func() bool { _, lists := i.asked(); return len(lists) >= 5 }, patience, poll)
			_, lists := i.asked()
			require.GreaterOrEqual(t, lists[3].Sub(lists[2]), listAgainFirst/2)
			require.GreaterOrEqual(t, lists[4].Sub(lists[3]), listAgainFirst)
			i.left.Store(0)
			session.awaits(t, Live)
		})
	}
}

func TestManyNamespacesWhoseWatchesFailAreNoLoad(t *testing.T) {
	session := New(&Client{}, Config{Cluster: "east", Scope: namespaces(300)})
	for failing, want := range map[int]time.Duration{0: failedMost, 20: failedMost, 300: 600 * refusedEach} {
		for i, u := range session.units {
			u.services.pace, u.slices.failure = pace{}, nil
			if i < failing {
				u.services.pace.short, u.slices.failure = faults, broken
			}
		}
		require.Equal(t, want, session.longest(nil), "%d namespaces", failing)
	}
}

func TestAWatchThatLastsMakesAllGood(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := pace{}
	p.listed(now, listAgainMost)
	require.Zero(t, p.due, "one may come right after the first")
	for range 20 {
		p.lasted(shortest - 1)
		p.listed(now, listAgainMost)
		require.False(t, p.due.Before(now.Add(listAgainFirst/2)))
		require.False(t, p.due.After(now.Add(listAgainMost)))
	}
	require.False(t, p.due.Before(now.Add(listAgainMost/2)))
	p.lasted(shortest)
	require.Zero(t, p)
}

// TestATokenGoesNowhereElse than to the server of the credential, whatever that says.
func TestATokenGoesNowhereElse(t *testing.T) {
	var taken atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { taken.Add(1) }))
	defer elsewhere.Close()
	there := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer there.Close()
	client, err := NewClient(&rest.Config{Host: there.URL, BearerToken: "secret"})
	require.NoError(t, err)
	defer client.Close()
	_, err = (&gate{client: client}).probe(t.Context())
	require.ErrorContains(t, err, "302")
	require.Zero(t, taken.Load())
}
