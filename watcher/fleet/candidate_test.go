package fleet

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/test/locked"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/credential"
)

// emptyCluster is an API server with nothing in it. It answers one token only once it is let, and gives it no watch where it may only list.
type emptyCluster struct {
	*httptest.Server
	withheld string
	lists    atomic.Bool
	let      chan struct{}
	asked    chan struct{}
	once     sync.Once
}

func newEmptyCluster(t *testing.T, withheld string) *emptyCluster {
	t.Helper()
	c := &emptyCluster{withheld: withheld, let: make(chan struct{}), asked: make(chan struct{})}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *emptyCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.Header.Get("Authorization"), c.withheld) {
		c.once.Do(func() { close(c.asked) })
		select {
		case <-c.let:
		case <-r.Context().Done():
			return
		}
	}
	answer := func(status int, body map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	query, version := r.URL.Query(), map[string]any{"resourceVersion": "7"}
	switch {
	case query.Get("watch") != "" && c.lists.Load() && strings.HasSuffix(r.Header.Get("Authorization"), c.withheld):
		answer(http.StatusForbidden, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403})
	case strings.HasSuffix(r.URL.Path, "kube-system"):
		answer(http.StatusOK, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "kube-system", "uid": "here"}})
	case query.Get("sendInitialEvents") != "":
		answer(http.StatusUnprocessableEntity, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422})
	case query.Get("watch") != "":
		w.Header().Set("Content-Type", "application/json")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case strings.HasSuffix(r.URL.Path, "services"):
		answer(http.StatusOK, map[string]any{"apiVersion": "v1", "kind": "ServiceList", "metadata": version, "items": []any{}})
	default:
		answer(http.StatusOK, map[string]any{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": version, "items": []any{}})
	}
}

// awaiting waits for something to be true of the one cluster of a Fleet.
func awaiting(t *testing.T, f *Fleet) func(what string, is func(Status) bool) {
	return func(what string, is func(Status) bool) {
		t.Helper()
		require.Eventually(t, func() bool { return is(f.Clusters()[0]) }, patience, time.Millisecond, what)
	}
}

// TestOnlyWhatIsConfiguredTakesOver: not a credential that has synced after it was taken back, or that cannot be read any more.
func TestOnlyWhatIsConfiguredTakesOver(t *testing.T) {
	for name, test := range map[string]struct {
		then    func(first, second, third string) string
		takes   int
		problem string
	}{
		"as it is":       {func(_, second, _ string) string { return second }, 1, ""},
		"taken back":     {func(first, _, _ string) string { return first }, 0, ""},
		"unreadable":     {func(string, string, string) string { return "}" }, 0, credential.CodeInvalidKubeconfig},
		"gone":           {func(string, string, string) string { return "" }, 0, api.CodeUnreadable},
		"another at all": {func(_, _, third string) string { return third }, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			one, two, three := token(time.Hour, time.Now()), token(2*time.Hour, time.Now()), token(3*time.Hour, time.Now())
			server := newEmptyCluster(t, two)
			kubeconfig := func(token string) string {
				return strings.Replace(kubeconfigOf(token), "https://127.0.0.1:1", server.URL, 1)
			}
			log := &locked.Buffer{}
			f := New(Config{
				Directory: t.TempDir(), Lanes: watcher.NewLanes(nil), Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.NewTextHandler(log, nil)),
			})
			path := filepath.Join(f.config.Directory, "east.kubeconfig")
			write := func(content string) {
				t.Helper()
				if content == "" {
					require.NoError(t, os.Remove(path))
					return
				}
				require.NoError(t, credential.WriteFile(path, []byte(content)))
			}
			write(kubeconfig(one))
			f.Configure(clusters("east"))
			stop := run(t, f)
			defer stop()
			await := awaiting(t, f)
			await("live", func(s Status) bool { return s.State == Live })
			write(kubeconfig(two))
			<-server.asked
			await("a candidate", func(s Status) bool { return s.Candidate != "" })
			write(test.then(kubeconfig(one), kubeconfig(two), kubeconfig(three)))
			close(server.let)
			const inForce = "The changed credential or scope is in force"
			if test.takes > 0 {
				await("the candidate in force", func(Status) bool { return strings.Contains(log.String(), inForce) })
			}
			await("no candidate", func(s Status) bool { return s.Candidate == "" })
			require.Equal(t, test.takes, strings.Count(log.String(), inForce))
			await("live", func(s Status) bool { return s.State == Live })
			var codes []string
			f.mu.Lock()
			for _, problem := range f.members["east"].problems() {
				codes = append(codes, problem.Code)
				require.Contains(t, problem.Message, "the credential that was in force before still is")
			}
			f.mu.Unlock()
			require.Equal(t, test.problem, strings.Join(codes, " "))
		})
	}
}

// TestACredentialThatMayNotWatchDoesNotTakeOver: it may list all that there is, and would not learn of what happens to it.
func TestACredentialThatMayNotWatchDoesNotTakeOver(t *testing.T) {
	one, two := token(time.Hour, time.Now()), token(2*time.Hour, time.Now())
	server := newEmptyCluster(t, two)
	server.lists.Store(true)
	close(server.let)
	f := ofServer(t, server.Server, one, slog.New(slog.DiscardHandler))
	stop := run(t, f)
	defer stop()
	await := awaiting(t, f)
	await("live", func(s Status) bool { return s.State == Live })
	content := strings.Replace(kubeconfigOf(two), "https://127.0.0.1:1", server.URL, 1)
	require.NoError(t, credential.WriteFile(filepath.Join(f.config.Directory, "east.kubeconfig"), []byte(content)))
	await("a candidate that has listed all", func(Status) bool {
		m := f.members["east"]
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.candidate != nil && m.candidate.session.Health().Synced
	})
	require.Never(t, func() bool { return f.Clusters()[0].State != Live }, 2*time.Second, 10*time.Millisecond)
	await("why", func(s Status) bool { return strings.HasPrefix(s.Candidate, "not allowed to watch ") })
	server.lists.Store(false)
	await("in force", func(s Status) bool { return s.Candidate == "" && s.State == Live })
}

// TestWhatIsNotConfiguredAnyMoreIsNotTheFirstInForce: a cluster that has not been seen yet may turn out to be another one than is meant by now.
func TestWhatIsNotConfiguredAnyMoreIsNotTheFirstInForce(t *testing.T) {
	one := token(time.Hour, time.Now())
	server := newEmptyCluster(t, one)
	f := ofServer(t, server.Server, one, slog.New(slog.DiscardHandler))
	stop := run(t, f)
	defer stop()
	<-server.asked
	pinned := clusters("east")
	pinned.MemberClusters["east"].Spec.ClusterUID = "elsewhere"
	f.Configure(pinned)
	m := f.members["east"]
	require.Eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.candidate != nil || m.active != nil && m.active.target.uid == "elsewhere"
	}, patience, time.Millisecond)
	close(server.let)
	is := func() Status { return f.Clusters()[0] }
	require.Eventually(t, func() bool { return is().State == Refused || is().State == Live }, patience, time.Millisecond)
	require.Equal(t, Refused, is().State)
	require.Contains(t, is().Reason, "this is another cluster: its kube-system namespace has the UID here, and spec.clusterUID is elsewhere")
	require.Empty(t, is().Candidate)
	f.Configure(clusters("east"))
	require.Eventually(t, func() bool { return is().State == Live }, patience, time.Millisecond, "the pin was the mistake")
}

// TestACandidateIsToldOfWhereTheChangeIs: the file and line of the Problem are those of the field.
func TestACandidateIsToldOfWhereTheChangeIs(t *testing.T) {
	m := newMember(newFleet(t), "east")
	m.cluster = clusters("east").MemberClusters["east"]
	parse := func(lifetime time.Duration) *credential.Credential {
		parsed, problems := credential.Parse([]byte(kubeconfigOf(token(lifetime, time.Now()))), credential.OriginOf(m.cluster))
		require.Empty(t, problems)
		return parsed
	}
	one, two := parse(time.Hour), parse(2*time.Hour)
	attempt := func(to target) *attempt {
		a, err := m.attempt(to)
		require.NoError(t, err)
		return a
	}
	m.active = attempt(target{credential: one, scope: snapshot.Everything})
	for want, to := range map[string]target{
		"spec.source.kubeconfig.file": {credential: two, scope: snapshot.Everything, uid: "another"},
		"spec.clusterUID":             {credential: one, scope: snapshot.Everything, uid: "another"},
		"spec.allowedTunnels":         {credential: one, scope: &snapshot.Scope{Namespaces: []string{"shop"}}},
	} {
		m.candidate = attempt(to)
		require.Equal(t, want, m.fieldChanged())
	}
}
