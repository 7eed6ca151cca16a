package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// oldServer is an API server without streaming lists, as older ones are, with Services s-0, s-1, … that each have one Pod.
type oldServer struct {
	services int
	// version is that of its lists, 7 if "".
	version string
	// expire is how many lists end in the middle with 410; pages counts the requests for a second page.
	expire, pages atomic.Int32
	// bookmarks is how many are sent on each watch, of nothing else.
	bookmarks int
}

// metadataKinds are what an API server makes of Pods of which only the metadata is wanted, in the events of a watch (true) and in a list (false). Asked for
// the one where the other is due, it refuses.
var metadataKinds = map[bool]string{true: ";as=PartialObjectMetadata;", false: ";as=PartialObjectMetadataList;"}

func (s *oldServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	resource := path.Base(r.URL.Path)
	switch {
	case query.Get("sendInitialEvents") != "":
		refuse(w, http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
	case resource == "kube-system":
		write(w, &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "here"}})
	case resource == "pods" && !strings.Contains(r.Header.Get("Accept"), metadataKinds[query.Get("watch") != ""]):
		refuse(w, http.StatusNotAcceptable, metav1.StatusReasonNotAcceptable)
	case query.Get("watch") != "":
		s.watch(w, r, resource)
	case resource == "pods":
		write(w, &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}, ListMeta: s.meta()})
	case resource == "services":
		list := &corev1.ServiceList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceList"}, ListMeta: s.meta()}
		for i := range s.services {
			list.Items = append(list.Items, corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("s-%d", i)}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
			})
		}
		write(w, list)
	case resource == "endpointslices":
		s.slices(w, query.Get("limit") != "", query.Get("continue"))
	default:
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	}
}

func (s *oldServer) meta() metav1.ListMeta {
	return metav1.ListMeta{ResourceVersion: cmp.Or(s.version, "7")}
}

// slices answers with a page of half of them, or the other half; with all where pages are not asked for.
func (s *oldServer) slices(w http.ResponseWriter, paged bool, token string) {
	list := &discoveryv1.EndpointSliceList{
		TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSliceList"}, ListMeta: s.meta(),
	}
	from, to := 0, s.services/2
	switch {
	case !paged:
		to = s.services
	case token == "":
		list.Continue = "more"
	default:
		s.pages.Add(1)
		if s.expire.Add(-1) >= 0 {
			refuse(w, http.StatusGone, metav1.StatusReasonExpired)
			return
		}
		from, to = to, s.services
	}
	port := int32(8080)
	for i := from; i < to; i++ {
		list.Items = append(list.Items, discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: fmt.Sprintf("s-%d-x", i), Labels: map[string]string{discoveryv1.LabelServiceName: fmt.Sprintf("s-%d", i)},
			},
			AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Port: &port}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{fmt.Sprintf("10.0.0.%d", i+1)}}},
		})
	}
	write(w, list)
}

// watch sends bookmarks, and then nothing.
func (s *oldServer) watch(w http.ResponseWriter, r *http.Request, resource string) {
	w.Header().Set("Content-Type", "application/json")
	version, kind := "v1", "Service"
	if resource == "endpointslices" {
		version, kind = "discovery.k8s.io/v1", "EndpointSlice"
	}
	for i := range s.bookmarks {
		_, _ = fmt.Fprintf(w, `{"type": "BOOKMARK", "object": {"kind": %q, "apiVersion": %q, "metadata": {"resourceVersion": "%d"}}}`+"\n", kind, version, 8+i)
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func write(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object) // the client has gone
}

func refuse(w http.ResponseWriter, code int32, reason metav1.StatusReason) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(code))
	_ = json.NewEncoder(w).Encode(&metav1.Status{ // the client has gone
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason,
	})
}

// followed is what a Session has handed on of a server.
type followed struct {
	*Session
	mu      sync.Mutex
	sets    map[pods.ServiceKey]*pods.Set
	changes int
}

// attach runs a Session of a whole cluster on a server until the test ends. prepare, which may be nil, is called before.
func attach(t *testing.T, handler http.Handler, onChange func(Change), prepare func(*Session)) (*Session, *httptest.Server) {
	t.Helper()
	there := httptest.NewServer(handler)
	client, err := NewClient(&rest.Config{Host: there.URL})
	require.NoError(t, err)
	session := New(client, Config{Cluster: "east", Scope: snapshot.Everything, OnChange: onChange})
	if prepare != nil {
		prepare(session)
	}
	runOn(t, there, session)
	return session, there
}

// runOn runs a Session that counts on a server, until the test ends. The server ends then, too.
func runOn(t *testing.T, there *httptest.Server, session *Session) {
	t.Helper()
	session.Publish(Known{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- session.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		there.CloseClientConnections()
		there.Close()
	})
}

// followOld runs a Session on a server until the test ends.
func followOld(t *testing.T, of *oldServer) *followed {
	t.Helper()
	f := &followed{sets: map[pods.ServiceKey]*pods.Set{}}
	f.Session, _ = attach(t, of, func(c Change) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changes++
		for key, set := range c.Sets {
			f.sets[key] = set
		}
		for _, key := range c.Gone {
			delete(f.sets, key)
		}
	}, nil)
	return f
}

func (f *followed) sizes() (sets, changes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sets), f.changes
}

const patience, poll = 2 * time.Minute, 5 * time.Millisecond

// TestAListThatExpiresInTheMiddle: half of a list is nothing that counts.
func TestAListThatExpiresInTheMiddle(t *testing.T) {
	of := &oldServer{services: 10}
	of.expire.Store(2)
	f := followOld(t, of)
	require.Eventually(t, func() bool { return f.Health().Phase == Live }, patience, poll)
	require.Eventually(t, func() bool { sets, _ := f.sizes(); return sets == 10 }, patience, poll)
	require.NotZero(t, of.pages.Load())
	require.Empty(t, f.Health().Reason, "it has been made good")
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, set := range f.sets {
		require.Len(t, set.Pods, 1, key)
	}
}

func TestAWatchOfBookmarksAloneIsLive(t *testing.T) {
	f := followOld(t, &oldServer{services: 2, bookmarks: 100})
	require.Eventually(t, func() bool { return f.Health().Phase == Live }, patience, poll)
	require.Eventually(t, func() bool { sets, _ := f.sizes(); return sets == 2 }, patience, poll)
	_, changes := f.sizes()
	require.LessOrEqual(t, changes, 2, "a bookmark is no change")
	require.Zero(t, f.Health().Relists)
	require.NotZero(t, f.Health().LastEvent)
}

func key(namespace string) pods.ServiceKey {
	return pods.ServiceKey{Cluster: "east", Namespace: namespace, Name: "web"}
}

func known(namespaces ...string) Known {
	out := Known{Scope: &snapshot.Scope{Namespaces: namespaces}, Services: map[pods.ServiceKey]*pods.Service{}, Sets: map[pods.ServiceKey]*pods.Set{}}
	for _, namespace := range namespaces {
		out.Services[key(namespace)], out.Sets[key(namespace)] = &pods.Service{Key: key(namespace)}, &pods.Set{Key: key(namespace)}
	}
	return out
}

// TestWhatIsFollowedNoMoreIsForgotten has tunnels be allowed less of a cluster while it is away.
func TestWhatIsFollowedNoMoreIsForgotten(t *testing.T) {
	for name, test := range map[string]struct {
		scope snapshot.Scope
		left  []string
		gone  []pods.ServiceKey
	}{
		"one of two":       {scope: snapshot.Scope{Namespaces: []string{"a"}}, left: []string{"a"}, gone: []pods.ServiceKey{key("b")}},
		"nothing any more": {gone: []pods.ServiceKey{key("a"), key("b")}},
		"more":             {scope: snapshot.Scope{Namespaces: []string{"a", "b", "c"}}, left: []string{"a", "b"}},
		"all":              {scope: snapshot.Scope{All: true}, left: []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := NewClient(&rest.Config{Host: "https://127.0.0.1:1"})
			require.NoError(t, err)
			s := New(client, Config{Cluster: "east", Scope: &test.scope})
			before := known("a", "b")
			s.Publish(before)
			change, _ := s.take(time.Now())
			require.ElementsMatch(t, test.gone, change.Gone)
			require.ElementsMatch(t, slices.Collect(maps.Values(known(test.left...).Services)), change.Facts.Services)
			require.Equal(t, known(test.left...).Sets, s.Snapshot().Sets)
			require.Len(t, before.Sets, 2, "the map is others' too")
			again, _ := s.take(time.Now())
			require.Nil(t, again)
		})
	}
}

// TestLabelsAreKnownOfAServerWithoutStreamingLists, and over a connection that is opened anew.
func TestLabelsAreKnownOfAServerWithoutStreamingLists(t *testing.T) {
	session, there := attach(t, &oldServer{services: 2}, nil, func(s *Session) { s.FollowLabels(map[string]bool{"shop": true}) })
	require.Eventually(t, func() bool { return session.Health().Synced && session.Health().Phase == Live }, patience, poll)
	require.Eventually(t, func() bool { return session.opened(time.Time{}, 1100*time.Millisecond) }, patience, poll)
	closed := time.Now()
	there.CloseClientConnections()
	require.Eventually(t, func() bool { return session.opened(closed, 200*time.Millisecond) }, patience, poll)
	require.Equal(t, Live, session.Health().Phase)
	require.Zero(t, session.Health().Relists)
}
