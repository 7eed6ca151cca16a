package fleet

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/credential"
)

// emptyCluster is an API server with nothing in it. It answers one token only once it is let.
type emptyCluster struct {
	*httptest.Server
	withheld string
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

// lockedBuffer is a log that others write to.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
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
			log := &lockedBuffer{}
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
			await := func(what string, is func(Status) bool) {
				t.Helper()
				require.Eventually(t, func() bool { return is(f.Clusters()[0]) }, patience, time.Millisecond, what)
			}
			await("live", func(s Status) bool { return s.State == Live })
			write(kubeconfig(two))
			<-server.asked
			await("a candidate", func(s Status) bool { return s.Candidate != "" })
			write(test.then(kubeconfig(one), kubeconfig(two), kubeconfig(three)))
			close(server.let)
			const inForce = "The changed credential or scope is in force"
			if test.takes > 0 {
				await("the candidate in force", func(Status) bool { return strings.Contains(log.text(), inForce) })
			}
			await("no candidate", func(s Status) bool { return s.Candidate == "" })
			require.Equal(t, test.takes, strings.Count(log.text(), inForce))
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
