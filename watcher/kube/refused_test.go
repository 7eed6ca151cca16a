package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/api/snapshot"
)

// TestWhatIsRefusedHasOneName: client-go asks for a watch and for a list in turns, and a person is to be told once.
func TestWhatIsRefusedHasOneName(t *testing.T) {
	var mu sync.Mutex
	asked, said := map[bool]int{}, map[string]bool{}
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "kube-system" {
			(&oldServer{}).ServeHTTP(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		asked[r.URL.Query().Get("watch") != ""]++
		refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden)
	}))
	client, err := NewClient(&rest.Config{Host: there.URL})
	require.NoError(t, err)
	session := New(client, Config{Cluster: "east", Scope: &snapshot.Scope{Namespaces: []string{"shop"}}, OnHealth: func(h Health) {
		mu.Lock()
		defer mu.Unlock()
		if h.Phase == Refused {
			said[h.Reason] = true
		}
	}})
	session.Publish(Known{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- session.Run(ctx) }()
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return asked[true] >= 6 && asked[false] >= 6
	}, patience, poll)
	cancel()
	require.NoError(t, <-ended)
	there.Close()
	// Which of the two is the first to be refused is nobody's to say.
	delete(said, "not allowed to watch endpointslices in namespace shop")
	require.Equal(t, map[string]bool{"not allowed to watch services in namespace shop": true}, said)
}

func namespaces(count int) *snapshot.Scope {
	scope := &snapshot.Scope{}
	for i := range count {
		scope.Namespaces = append(scope.Namespaces, fmt.Sprintf("n-%d", i))
	}
	return scope
}

// TestManyNamespacesThatAreRefusedAreNoLoad: a MemberCluster may name hundreds, and its credential may be for two.
func TestManyNamespacesThatAreRefusedAreNoLoad(t *testing.T) {
	client, err := NewClient(&rest.Config{Host: "https://192.0.2.1"})
	require.NoError(t, err)
	session := New(client, Config{Cluster: "east", Scope: namespaces(300)})
	for refused, want := range map[int]time.Duration{0: refusedMost, 2: refusedMost, 50: refusedMost, 298: 596 * refusedEach} {
		for i, u := range session.units {
			for _, source := range []*source{u.services, u.slices} {
				source.failure = apierrors.NewInternalError(io.EOF)
				if i < refused {
					source.failure = apierrors.NewForbidden(schema.GroupResource{Resource: source.resource}, "", nil)
				}
			}
		}
		require.Equal(t, want, session.refusedPause(), "%d namespaces", refused)
	}
}

// TestAWatchThatIsOpenedAtLastIsNotHeldUp: the server has asked for time, then it opens the watch, and is asked which version it is at.
func TestAWatchThatIsOpenedAtLastIsNotHeldUp(t *testing.T) {
	const patient = 3 * time.Second
	var mu sync.Mutex
	var refused bool
	var opened, asked time.Time
	session, _ := attach(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, ofServices := r.URL.Query(), path.Base(r.URL.Path) == "services"
		w.Header().Set("Connection", "close") // the version is asked for over each new one
		mu.Lock()
		switch {
		case ofServices && query.Get("watch") != "" && query.Get("sendInitialEvents") == "":
			if !refused {
				refused = true
				mu.Unlock()
				status := apierrors.NewTooManyRequests("not now", int(patient.Seconds())).Status()
				status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(int(status.Code))
				_ = json.NewEncoder(w).Encode(&status) // the client has gone
				return
			}
			if opened.IsZero() {
				opened = time.Now()
			}
		case ofServices && query.Get("limit") == "1" && !opened.IsZero() && asked.IsZero():
			asked = time.Now()
		}
		mu.Unlock()
		(&oldServer{services: 2}).ServeHTTP(w, r)
	}), nil, nil)
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return !asked.IsZero()
	}, patience, poll)
	session.awaits(t, Live)
	require.Less(t, asked.Sub(opened), patient/2)
}
