package kube

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/api/snapshot"
)

// middleman is something between podway and an API server that is always there, and holds connections open whatever becomes of the server.
type middleman struct {
	server http.Handler
	// away has no request answered, unavailable each with 503; what is open goes on. Of slices, so many lists stop in the middle, and so many watches are held open without a word.
	away, unavailable atomic.Bool
	lists, opens      atomic.Int32
	// refuse has watches of slices refused. watches counts those that were asked for, refused those that were refused, begun the lists.
	refuse                  atomic.Bool
	watches, refused, begun atomic.Int32
	// listed is the resourceVersion that the last list asked for.
	listed atomic.Pointer[string]
}

func (m *middleman) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, ofSlices := r.URL.Query(), path.Base(r.URL.Path) == "endpointslices"
	watches := query.Get("watch") != ""
	switch {
	case m.unavailable.Load():
		http.Error(w, "no server is there", http.StatusServiceUnavailable)
		return
	case m.away.Load():
		<-r.Context().Done()
		return
	case ofSlices && watches && query.Get("sendInitialEvents") == "":
		m.watches.Add(1)
		if m.refuse.Load() {
			m.refused.Add(1)
			refuse(w, http.StatusForbidden, "Forbidden")
			return
		}
		if m.opens.Add(-1) >= 0 {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
	case ofSlices && !watches && query.Get("continue") == "" && query.Get("limit") != "1":
		version := query.Get("resourceVersion")
		m.listed.Store(&version)
		m.begun.Add(1)
		if m.lists.Add(-1) >= 0 {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `{"kind": "EndpointSliceList", "apiVersion":`) // the client has gone
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
	}
	m.server.ServeHTTP(w, r)
}

// behind runs a Session on a server behind a middleman until the test ends.
func behind(t *testing.T, m *middleman, change func(*Client)) *Session {
	t.Helper()
	session, _ := attach(t, m, nil, func(s *Session) {
		if change != nil {
			change(s.client)
		}
	})
	return session
}

func (s *Session) awaits(t *testing.T, phase Phase) Health {
	t.Helper()
	require.Eventually(t, func() bool { return s.Health().Phase == phase }, patience, poll)
	return s.Health()
}

// awaitsWatches waits until each is open: a cluster is Live while, after a list, they are about to be.
func (s *Session) awaitsWatches(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !slices.ContainsFunc(s.all(), func(source *source) bool { return !source.streaming })
	}, patience, poll)
}

// TestAServerBehindSomethingThatAnswersForItIsMissed: the connections are fine, and so is every watch.
func TestAServerBehindSomethingThatAnswersForItIsMissed(t *testing.T) {
	m := &middleman{server: &oldServer{services: 2}}
	session := behind(t, m, nil)
	session.awaits(t, Live)
	session.awaitsWatches(t)
	m.away.Store(true)
	require.Equal(t, "the server does not answer", session.awaits(t, Stale).Reason)
	m.away.Store(false)
	session.awaits(t, Live)
	require.EqualValues(t, 1, m.begun.Load(), "what is open goes on")
}

// TestAServerBehindSomethingThatSaysSoIsMissed: every watch is open, and nothing will come on any.
func TestAServerBehindSomethingThatSaysSoIsMissed(t *testing.T) {
	m := &middleman{server: &oldServer{services: 2}}
	session := behind(t, m, nil)
	session.awaits(t, Live)
	require.Eventually(t, func() bool { return session.opened(time.Time{}, 1100*time.Millisecond) }, patience, poll)
	m.unavailable.Store(true)
	require.Contains(t, session.awaits(t, Stale).Reason, "the server is currently unable to handle the request")
	m.unavailable.Store(false)
	session.awaits(t, Live)
	require.EqualValues(t, 1, m.begun.Load(), "nothing is listed again")
}

// TestAWatchThatWasForgottenIsOpenedAnew: something in between holds it open, and the server knows nothing of it.
func TestAWatchThatWasForgottenIsOpenedAnew(t *testing.T) {
	m := &middleman{server: &oldServer{services: 2}}
	m.opens.Store(1)
	session := behind(t, m, func(c *Client) { c.watchPatience = 1500 * time.Millisecond })
	require.Eventually(t, func() bool { return m.watches.Load() > 1 }, patience, poll)
	session.awaits(t, Live)
	require.EqualValues(t, 1, m.begun.Load(), "nothing is listed again")
	require.Zero(t, session.Health().Relists)
}

func TestAListThatStopsInTheMiddleIsAskedForAgain(t *testing.T) {
	m := &middleman{server: &oldServer{services: 2}}
	m.lists.Store(1)
	session := behind(t, m, func(c *Client) { c.answerPatience = 3 * time.Second })
	session.awaits(t, Live)
	require.EqualValues(t, 2, m.begun.Load())
}

// TestAListIsAsFreshAsItGets: an API server may know what was a while ago, and says so to whoever takes any version.
func TestAListIsAsFreshAsItGets(t *testing.T) {
	m := &middleman{server: &oldServer{services: 2}}
	behind(t, m, nil).awaits(t, Live)
	require.Empty(t, *m.listed.Load())
}

// TestAServerWithoutStreamingListsIsNoTrouble: it says so, and is asked for a list.
func TestAServerWithoutStreamingListsIsNoTrouble(t *testing.T) {
	m := &middleman{server: &oldServer{services: 2}}
	there := httptest.NewServer(m)
	client, err := NewClient(&rest.Config{Host: there.URL})
	require.NoError(t, err)
	said := make(chan Health, 100)
	session := New(client, Config{Cluster: "east", Scope: snapshot.Everything, OnHealth: func(h Health) { said <- h }})
	session.Publish(Known{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- session.Run(ctx) }()
	session.awaits(t, Live)
	cancel()
	require.NoError(t, <-ended)
	there.CloseClientConnections()
	there.Close()
	close(said)
	for health := range said {
		require.Contains(t, []string{"", "waiting for the first complete list"}, health.Reason)
	}
}

// TestARefusedWatchIsAskedForWithoutLists: it is the watch that may be allowed one day, and then nothing more needs to be listed.
func TestARefusedWatchIsAskedForWithoutLists(t *testing.T) {
	m := &middleman{server: &oldServer{services: 2}}
	m.refuse.Store(true)
	session := behind(t, m, nil)
	require.Equal(t, "not allowed to watch endpointslices in all namespaces", session.awaits(t, Refused).Reason)
	require.Eventually(t, func() bool { return m.refused.Load() >= 5 }, patience, poll)
	m.refuse.Store(false)
	begun := time.Now()
	session.awaits(t, Live)
	require.Less(t, time.Since(begun), 15*refusedMost)
	require.EqualValues(t, 1, m.begun.Load())
}
