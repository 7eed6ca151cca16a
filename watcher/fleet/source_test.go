package fleet

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/files"
	"github.com/podway/podway/watcher/kube"
	"github.com/podway/podway/watcher/memory"
)

const (
	clusterOfFiles = `{apiVersion: podway.dev/v1alpha1, kind: MemberCluster, metadata: {name: east}, spec: {source: {type: Objects, objects: {directory: east}}, ` +
		`allowedTunnels: [{from: ["*"], to: ["*"]}]}}`
	clusterOfServer = `{apiVersion: podway.dev/v1alpha1, kind: MemberCluster, metadata: {name: east}, spec: {source: {type: Kubeconfig, kubeconfig: {file: east.kubeconfig}}, ` +
		`allowedTunnels: [{from: ["*"], to: ["*"]}]}}`
	objectsOfFiles = `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: filed, namespace: shop}, spec: {ports: [{port: 80}]}}
`
)

// switched is a directory of files with a Fleet beside it, as podway serve has them.
type switched struct {
	*testing.T
	directory string
	lanes     *watcher.Lanes
	fleet     *Fleet
	// between is called between the two of each state.
	between func()
}

func newSwitched(t *testing.T, store *memory.Store) *switched {
	t.Helper()
	s := &switched{T: t, directory: t.TempDir(), lanes: watcher.NewLanes(nil), between: func() {}}
	s.write("east.kubeconfig", kubeconfigOf(token(time.Hour, time.Now())))
	s.write("east/objects.yaml", objectsOfFiles)
	s.write("cluster.yaml", clusterOfFiles)
	s.fleet = New(Config{Directory: s.directory, Lanes: s.lanes, Store: store, Logger: slog.New(slog.DiscardHandler)})
	stop := run(t, s.fleet)
	source := files.New(files.Config{Directory: s.directory, Logger: slog.New(slog.DiscardHandler), OnState: func(state files.State) {
		s.fleet.Configure(state.Config)
		s.between()
		s.lanes.Put(state.Config, state.Changed, state.Gone)
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- source.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		stop()
	})
	return s
}

// write replaces a file at once, as careful people do.
func (s *switched) write(name, content string) {
	s.Helper()
	path := filepath.Join(s.directory, name)
	require.NoError(s, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(s, os.WriteFile(path+".new", []byte(content), fs.FileMode(0o600)))
	require.NoError(s, os.Rename(path+".new", path))
}

func web(name string) pods.ServiceKey {
	return pods.ServiceKey{Cluster: "east", Namespace: "shop", Name: name}
}

// await waits for the configuration that the lanes have to be of one kind.
func (s *switched) await(what string, is func(*snapshot.Config) bool) {
	s.Helper()
	require.Eventually(s, func() bool {
		batch := s.lanes.Take()
		return batch.Config != nil && is(batch.Config)
	}, patience, time.Millisecond, what)
}

func (s *switched) awaitFiles() {
	s.Helper()
	s.await("the cluster of files", func(cfg *snapshot.Config) bool {
		return !isOurs(cfg.MemberClusters["east"]) && cfg.Services[web("filed")] != nil
	})
}

func (s *switched) awaitServer() {
	s.Helper()
	s.await("the cluster with a server", func(cfg *snapshot.Config) bool {
		return isOurs(cfg.MemberClusters["east"]) && cfg.Services[web("filed")] == nil
	})
}

// named is a Pod with a name.
func named(name string) []pods.Pod {
	one := []pods.Pod{{Group: &pods.Group{}}}
	pods.GiveNames(one, []string{name})
	return one
}

// remembering is a store, for the test to close, that has a Pod of a Service of the cluster east that a credential leads to.
func remembering(t *testing.T, of *credential.Credential) *memory.Store {
	t.Helper()
	store, err := memory.Open(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, store.Save(&memory.Cluster{
		Name: "east", Source: of.Fingerprint(), Scope: snapshot.Everything,
		Services: []*pods.Service{{Key: web("web")}}, Sets: []*pods.Set{{Key: web("web"), Pods: named("remembered")}},
	}))
	return store
}

// TestAClusterThatGoesToAnAPIServerAndBackLosesNoSet: neither what is remembered of it, nor what its session learns before the files' Sets go.
func TestAClusterThatGoesToAnAPIServerAndBackLosesNoSet(t *testing.T) {
	loaded, _ := credential.Parse([]byte(kubeconfigOf(token(time.Hour, time.Now()))), credential.Origin{Cluster: "east"})
	store := remembering(t, loaded)
	defer func() { require.NoError(t, store.Close()) }()
	s := newSwitched(t, store)
	s.awaitFiles()
	filed := s.lanes.Live(web("web"))
	require.NotNil(t, filed)

	s.write("cluster.yaml", clusterOfServer)
	s.awaitServer()
	require.Equal(t, "remembered", s.lanes.Live(web("web")).Pods[0].Name())
	require.Nil(t, s.lanes.Live(web("filed")))

	s.write("cluster.yaml", clusterOfFiles)
	s.awaitFiles()
	require.Empty(t, s.fleet.Clusters(), "it has not been removed")
	require.Empty(t, s.lanes.Live(web("web")).Pods)
	require.NotNil(t, s.lanes.Live(web("filed")))

	// A session that is quicker than the files.
	learned := &pods.Set{Key: web("web"), Pods: named("learned")}
	s.between = func() {
		s.fleet.mu.Lock()
		m := s.fleet.members["east"]
		s.fleet.mu.Unlock()
		if m != nil {
			m.change(kube.Change{Facts: &watcher.Facts{Scope: snapshot.Everything}, Sets: map[pods.ServiceKey]*pods.Set{web("web"): learned}})
		}
	}
	s.write("cluster.yaml", clusterOfServer)
	s.awaitServer()
	require.Same(t, learned, s.lanes.Live(web("web")))
}

// TestWhatIsRememberedIsForgottenWhereTheKubeconfigLeadsElsewhere: when podway started, there was none to tell.
func TestWhatIsRememberedIsForgottenWhereTheKubeconfigLeadsElsewhere(t *testing.T) {
	store := remembering(t, &credential.Credential{Server: "https://127.0.0.1:2"})
	defer func() { require.NoError(t, store.Close()) }()
	s := newSwitched(t, store)
	s.awaitFiles()
	kubeconfig := filepath.Join(s.directory, "east.kubeconfig")
	require.NoError(t, os.Remove(kubeconfig))
	s.write("cluster.yaml", clusterOfServer)
	s.awaitServer()
	require.Equal(t, "remembered", s.lanes.Live(web("web")).Pods[0].Name(), "nothing says that it is another cluster")

	s.write("east.kubeconfig", kubeconfigOf(token(time.Hour, time.Now())))
	require.Eventually(t, func() bool { return s.lanes.Live(web("web")) == nil }, patience, time.Millisecond)
	s.await("the cluster is unknown", func(cfg *snapshot.Config) bool { return cfg.Synced["east"].IsEmpty() })
	require.Eventually(t, func() bool {
		status := s.fleet.Clusters()[0]
		return status.State == Unknown && status.Services == 0 && status.Remembered.IsZero()
	}, patience, time.Millisecond)
}
