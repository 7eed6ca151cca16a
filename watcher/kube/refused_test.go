package kube

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
