package kube

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/api/snapshot"
)

// balancer is an address behind which there are several servers: a connection stays with the one that it was opened to.
type balancer struct {
	server http.Handler
	// ill is how the servers of connections up to bad answer; those of later ones are well.
	ill atomic.Pointer[http.HandlerFunc]
	bad atomic.Int64
	// made counts the connections that there were, there those that there are.
	made, there atomic.Int64
	// watches counts those that were asked for over connections to servers that are well once there are ill ones; lists all that were begun.
	watches, lists atomic.Int32
}

type connectionKey struct{}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, number := r.URL.Query(), r.Context().Value(connectionKey{}).(int64)
	if number <= b.bad.Load() {
		(*b.ill.Load())(w, r)
		return
	}
	switch {
	case query.Get(watchVerb) == "" && query.Get("limit") != "1" && path.Base(r.URL.Path) == services:
		b.lists.Add(1)
	case query.Get(watchVerb) != "" && b.bad.Load() > 0:
		b.watches.Add(1)
	}
	b.server.ServeHTTP(w, r)
}

// fallIll has all servers that there are connections to answer so.
func (b *balancer) fallIll(answer http.HandlerFunc) {
	b.ill.Store(&answer)
	b.bad.Store(b.made.Load())
}

// balanced runs a Session on servers behind a balancer, over HTTP/2, until the test ends.
func balanced(t *testing.T, b *balancer, uid string) *Session {
	t.Helper()
	return balancedOver(t, b, uid, func(l net.Listener) net.Listener { return l })
}

// balancedOver is balanced with another network.
func balancedOver(t *testing.T, b *balancer, uid string, over func(net.Listener) net.Listener) *Session {
	t.Helper()
	there := httptest.NewUnstartedServer(b)
	there.Listener = over(there.Listener)
	there.EnableHTTP2 = true
	there.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, b.made.Add(1))
	}
	follow := there.Config.ConnState
	there.Config.ConnState = func(c net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			b.there.Add(1)
		case http.StateClosed, http.StateHijacked:
			b.there.Add(-1)
		}
		if follow != nil {
			follow(c, state)
		}
	}
	there.StartTLS()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: there.Certificate().Raw})
	client, err := NewClient(&rest.Config{Host: there.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}})
	require.NoError(t, err)
	session := New(client, Config{Cluster: "east", Scope: snapshot.Everything, UID: uid})
	runOn(t, there, session)
	return session
}

// TestAConnectionToAServerThatIsIllIsLeft: the connection itself is fine, and would be for ever.
func TestAConnectionToAServerThatIsIllIsLeft(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"refuses": func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized)
		},
		"is another": func(w http.ResponseWriter, _ *http.Request) {
			write(w, &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "elsewhere"}})
		},
		"busy": func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)
		},
		"in trouble": func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &balancer{server: &oldServer{services: 2}}
			session := balanced(t, b, "here")
			session.awaits(t, Live)
			// One that ends within a second is taken for a sign that all has to be listed anew.
			require.Eventually(t, func() bool { return session.opened(time.Time{}, 1100*time.Millisecond) }, patience, poll)
			b.fallIll(answer)
			session.gate.doubt()
			// As any watch does every few minutes, or as a namespace that is followed from now on.
			session.FollowLabels(map[string]bool{"shop": true})
			require.Eventually(t, func() bool { return session.Health().Synced && b.made.Load() > 1 }, patience, poll)
			session.awaits(t, Live)
			require.Eventually(t, func() bool { return b.watches.Load() >= 3 }, patience, poll, "watches that were open go over the new connection too")
			require.EqualValues(t, 1, b.lists.Load(), "nothing is listed again")
			require.Zero(t, session.Health().Relists)
		})
	}
}

// TestConnectionsThatWereLeftAreClosed: a credential that is refused may be so for days.
func TestConnectionsThatWereLeftAreClosed(t *testing.T) {
	t.Parallel()
	b := &balancer{}
	b.server = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized)
	})
	session := balanced(t, b, "here")
	require.Eventually(t, func() bool { return b.made.Load() >= 4 }, patience, poll)
	session.awaits(t, Refused)
	require.Eventually(t, func() bool { return b.there.Load() == 0 }, patience, poll)
}
