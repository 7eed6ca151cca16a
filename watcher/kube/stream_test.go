package kube

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// server is an API server with one Service and, once it is told, a slice of it. It notes which watches of slices were asked for.
type server struct {
	refuse bool // all watches that do not begin with a list

	mu      sync.Mutex
	watches []string
	seconds []string      // that each may last
	tell    chan struct{} // closed when there is a slice
}

const listEnd = `{"type":"BOOKMARK","object":{"apiVersion":%q,"kind":%q,"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}` + "\n"

const oneSlice = `{"type":"ADDED","object":{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"namespace":"shop","name":"web-1",` +
	`"resourceVersion":"8","labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4","ports":[{"name":"","port":80}],` +
	`"endpoints":[{"addresses":["10.0.0.1"]}]}}` + "\n"

func (s *server) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	w.Header().Set("Content-Type", "application/json")
	if query.Get("watch") == "" { // the probe
		_, _ = fmt.Fprint(w, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system","uid":"one"}}`)
		return
	}
	lists, slices := query.Get("sendInitialEvents") != "", strings.Contains(request.URL.Path, "endpointslices")
	if slices {
		s.mu.Lock()
		s.watches = append(s.watches, query.Get("resourceVersion")+" "+request.Header.Get("Accept-Encoding"))
		s.seconds = append(s.seconds, query.Get("timeoutSeconds"))
		s.mu.Unlock()
	}
	if s.refuse && !lists {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	switch {
	case lists && slices:
		_, _ = fmt.Fprintf(w, listEnd, "discovery.k8s.io/v1", "EndpointSlice")
	case lists:
		_, _ = fmt.Fprint(w, `{"type":"ADDED","object":{"apiVersion":"v1","kind":"Service","metadata":{"namespace":"shop","name":"web","resourceVersion":"5"},`+
			`"spec":{"ports":[{"port":80,"protocol":"TCP"}]}}}`+"\n")
		_, _ = fmt.Fprintf(w, listEnd, "v1", "Service")
	}
	w.(http.Flusher).Flush()
	if slices && (!lists || s.refuse) {
		select {
		case <-s.tell:
			_, _ = fmt.Fprint(w, oneSlice)
			w.(http.Flusher).Flush()
		case <-request.Context().Done():
		}
	}
	<-request.Context().Done()
}

func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.watches...)
}

// follow runs a Session on a server, and returns how many Pods its Service has, whenever that changes.
func follow(t *testing.T, s *server) (session *Session, found chan int) {
	https := httptest.NewUnstartedServer(s)
	https.EnableHTTP2 = true
	https.StartTLS()
	t.Cleanup(https.Close)
	client, err := NewClient(&rest.Config{Host: https.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	require.NoError(t, err)
	found = make(chan int, 10)
	session = New(client, Config{Cluster: "east", Scope: snapshot.Everything, OnChange: func(change Change) {
		if set := change.Sets[pods.ServiceKey{Cluster: "east", Namespace: "shop", Name: "web"}]; set != nil {
			found <- len(set.Pods)
		}
	}})
	session.Publish(Known{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = session.Run(t.Context())
	}()
	t.Cleanup(func() { <-ended })
	return session, found
}

func (s *server) wants(t *testing.T, found chan int, pods int) {
	t.Helper()
	select {
	case got := <-found:
		require.Equal(t, pods, got)
	case <-time.After(patience):
		require.Failf(t, "nothing has changed", "watches: %v", s.asked())
	}
}

// A list is worth compressing, an event is not.
func TestAWatchIsNotCompressedOnceTheListIsThere(t *testing.T) {
	s := &server{tell: make(chan struct{})}
	session, found := follow(t, s)
	s.wants(t, found, 0)
	close(s.tell)
	s.wants(t, found, 1)
	require.Equal(t, []string{" gzip", "7 identity"}, s.asked())
	require.Equal(t, Live, session.Health().Phase)
	require.Equal(t, "3600", s.seconds[0], "a list may take long")
	require.Less(t, s.seconds[1], "601", "a watch is opened anew every few minutes")
}

func TestAWatchGoesOnWhereAnotherIsRefused(t *testing.T) {
	s := &server{tell: make(chan struct{}), refuse: true}
	session, found := follow(t, s)
	s.wants(t, found, 0)
	close(s.tell)
	s.wants(t, found, 1)
	require.Equal(t, []string{" gzip", "7 identity"}, s.asked(), "the list is not asked for again")
	require.Equal(t, Live, session.Health().Phase)
}

// TestAWatchThatNobodyReadsIsNotLive: the one that began with the list is open, and waits for the one that is to take its place.
func TestAWatchThatNobodyReadsIsNotLive(t *testing.T) {
	s := &server{tell: make(chan struct{})}
	var asked atomic.Bool
	session, _ := attach(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Query().Get("limit") == "1" { // which version the server is at, over a connection that is new
			asked.Store(true)
			refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
			return
		}
		s.ServeHTTP(w, request)
	}), nil, nil)
	require.Eventually(t, asked.Load, patience, poll)
	require.Contains(t, session.awaits(t, Stale).Reason, "cannot list ")
	require.Never(t, func() bool { return session.Health().Phase == Live }, 500*time.Millisecond, poll)
}
