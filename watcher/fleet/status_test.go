package fleet

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/credential"
)

// lines are those of a log.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// await waits for a line that contains all that is given.
func (l lines) await(t *testing.T, parts ...string) {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case line := <-l:
			missing := false
			for _, part := range parts {
				missing = missing || !strings.Contains(line, part)
			}
			if !missing {
				return
			}
		case <-end:
			require.Fail(t, "no such line", parts)
		}
	}
}

// ofServer is a Fleet of the cluster east, which a server answers for, with a kubeconfig whose token is that.
func ofServer(t *testing.T, server *httptest.Server, token string, log *slog.Logger) *Fleet {
	t.Helper()
	f := New(Config{Directory: t.TempDir(), Lanes: watcher.NewLanes(nil), Logger: log})
	kubeconfig := strings.Replace(kubeconfigOf(token), "https://127.0.0.1:1", server.URL, 1)
	require.NoError(t, os.WriteFile(filepath.Join(f.config.Directory, "east.kubeconfig"), []byte(kubeconfig), 0o600))
	f.Configure(clusters("east"))
	return f
}

// TestAnotherClusterThatNothingForbidsIsToldOf: its Pods take the place of others, and somebody may wonder why.
func TestAnotherClusterThatNothingForbidsIsToldOf(t *testing.T) {
	var uid atomic.Pointer[string]
	one, two := "uid-1", "uid-2"
	uid.Store(&one)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/kube-system") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system", "uid": %q}}`, *uid.Load()) // the client has gone
	}))
	defer server.Close()
	said := make(lines, 1000)
	f := ofServer(t, server, token(time.Hour, time.Now()), slog.New(slog.NewTextHandler(said, nil)))
	stop := run(t, f)
	defer stop()
	m := f.members["east"]
	require.Eventually(t, func() bool { // that it was asked is known sooner
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.answered == one
	}, patience, time.Millisecond)
	uid.Store(&two)
	server.CloseClientConnections()
	said.await(t, "level=WARN", "Another cluster answers now", "cluster=east", "uid=uid-2", "before=uid-1", "pin spec.clusterUID")
}

// TestThatWhatIsRememberedHasYetToBeSeenIsNoWarning: each restart would give one for each cluster, though nothing is wrong.
func TestThatWhatIsRememberedHasYetToBeSeenIsNoWarning(t *testing.T) {
	said := make(lines, 10)
	f := New(Config{Directory: t.TempDir(), Lanes: watcher.NewLanes(nil), Logger: slog.New(slog.NewTextHandler(said, nil))})
	m := newMember(f, "east")
	m.configure(clusters("east").MemberClusters["east"], nil, nil)
	m.known.Scope = snapshot.Everything
	loaded, _ := credential.Parse([]byte(kubeconfigOf(token(time.Hour, time.Now()))), credential.OriginOf(m.cluster))
	a, err := m.attempt(target{credential: loaded, scope: snapshot.Everything})
	require.NoError(t, err)
	m.setActive(a)
	m.update()
	said.await(t, "level=INFO", "Cluster changed its state", "from=Unknown", "to=Stale", "waiting for the first complete list")
}

// TestATokenThatIsDueAtOnceIsNotRenewedAllTheTime: this machine's clock and the server's are far apart.
func TestATokenThatIsDueAtOnceIsNotRenewedAllTheTime(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		n := time.Duration(asked.Add(1))
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "status": {"token": %q}}`, token(time.Hour, time.Now().Add(n*time.Second-45*time.Minute)))
	}))
	defer server.Close()
	f := ofServer(t, server, token(time.Hour, time.Now().Add(-45*time.Minute)), slog.New(slog.DiscardHandler))
	stop := run(t, f)
	defer stop()
	require.Eventually(t, func() bool { return asked.Load() > 0 }, patience, time.Millisecond)
	require.Never(t, func() bool { return asked.Load() > 1 }, 3*lookEvery, 10*time.Millisecond)
}

func TestAClusterThatNoTunnelMayUseIsNotSaidToBeAway(t *testing.T) {
	found := make(chan []api.Problem, 100)
	f := New(Config{Directory: t.TempDir(), Lanes: watcher.NewLanes(nil), Logger: slog.New(slog.DiscardHandler), OnProblems: func(all []api.Problem) { found <- all }})
	require.NoError(t, os.WriteFile(filepath.Join(f.config.Directory, "east.kubeconfig"), []byte(kubeconfigOf(token(time.Hour, time.Now()))), 0o600))
	cfg := clusters("east")
	cfg.MemberClusters["east"].Spec.AllowedTunnels = nil
	f.Configure(cfg)
	stop := run(t, f)
	defer stop()
	for {
		select {
		case all := <-found:
			if len(all) == 0 {
				continue
			}
			require.Len(t, all, 1)
			require.Equal(t, CodeClusterUnknown, all[0].Code)
			require.Equal(t, "spec.allowedTunnels", all[0].Field)
			require.Equal(t, "nothing of the cluster is watched: no tunnel may use it", all[0].Message)
			require.Equal(t, "say which namespaces of tunnels may use which of the cluster's, or remove the MemberCluster", all[0].Remedy)
			return
		case <-time.After(patience):
			require.Fail(t, "no Problem")
		}
	}
}

// TestAClusterThatIsIllInAnotherWayStaysAProblem: a server that comes back may refuse everything at first. Nobody is to think that it is well meanwhile.
func TestAClusterThatIsIllInAnotherWayStaysAProblem(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusInternalServerError)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer server.Close()
	found := make(chan []api.Problem, 100)
	f := ofServer(t, server, token(time.Hour, time.Now()), slog.New(slog.DiscardHandler))
	f.config.OnProblems = func(all []api.Problem) { found <- all }
	stop := run(t, f)
	defer stop()
	for told := ""; told != CodeClusterRefused; {
		select {
		case all := <-found:
			switch {
			case len(all) > 0:
				told = all[0].Code
			case told != "":
				require.Fail(t, "the Problem "+told+" was taken back, and none took its place")
			}
			if told == CodeClusterUnknown {
				status.Store(http.StatusForbidden)
			}
		case <-time.After(patience):
			require.Fail(t, "no Problem", "last: %q", told)
		}
	}
}
