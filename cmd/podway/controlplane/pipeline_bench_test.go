package controlplane

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/bench/watcher/scene"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/watcher/files"
	join "github.com/podway/podway/watcher/slices"
	"github.com/podway/podway/xds"
)

// large is a pipeline with all that serve gives it, and clusters whose Pods are made up.
type large struct {
	size      scene.Size
	directory string
	lanes     *watcher.Lanes
	pipeline  *pipeline
	cfg       *snapshot.Config
	// generations are those of the Pods, by cluster and Service.
	generations [][][]int
}

func newLarge(tb testing.TB, size scene.Size) *large {
	tb.Helper()
	directory := tb.TempDir()
	require.NoError(tb, scene.WriteConfig(directory, size, func(int) []byte { return []byte("none") }))
	state, err := files.Load([]string{directory}, files.Options{})
	require.NoError(tb, err)
	require.Empty(tb, state.Config.Problems)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	board := newProblemBoard(log)
	l := &large{size: size, directory: directory, cfg: state.Config}
	guard := brake.New(brake.Config{})
	l.lanes = watcher.NewLanes(guard.Observe)
	l.pipeline = newPipeline(pipelineConfig{server: xds.New(xds.Config{Logger: log}), board: board, rejected: newRejections(board), brake: guard, log: log})
	l.lanes.Put(state.Config, nil, nil)
	l.generations = make([][][]int, size.Clusters)
	for c := range size.Clusters {
		facts := &watcher.Facts{Scope: snapshot.Everything}
		sets := map[pods.ServiceKey]*pods.Set{}
		l.generations[c] = make([][]int, size.Services)
		for s := range size.Services {
			l.generations[c][s] = make([]int, size.Pods)
			service := join.Service(scene.ClusterName(c), scene.Service(c, s))
			facts.Services = append(facts.Services, service)
			sets[service.Key] = l.set(c, s)
		}
		l.lanes.PutCluster(scene.ClusterName(c), facts, sets, nil, nil)
	}
	l.apply(tb)
	require.Zero(tb, board.len())
	require.Equal(tb, size.Clusters*size.Services*size.Pods, l.pipeline.state.Load().Endpoints)
	return l
}

func (l *large) set(cluster, service int) *pods.Set {
	slice := join.NewSlice(scene.Slice(cluster, service, l.generations[cluster][service]))
	return &pods.Set{Key: pods.ServiceKey{Cluster: scene.ClusterName(cluster), Namespace: scene.Namespace, Name: scene.ServiceName(service)}, Pods: slice.Pods}
}

func (l *large) apply(tb testing.TB) { l.pipeline.apply(tb.Context(), l.lanes.Take(), l.lanes.Live) }

// replace gives one Pod of a Service another address.
func (l *large) replace(cluster, service, pod int) {
	g := l.generations[cluster][service]
	g[pod] = (g[pod] + 1) % 15
	set := l.set(cluster, service)
	l.lanes.PutCluster(set.Key.Cluster, nil, map[pods.ServiceKey]*pods.Set{set.Key: set}, nil, nil)
}

// change gives one Pod weight of one tunnel another value.
func (l *large) change(turn int) {
	next := *l.cfg
	next.Now = time.Now()
	next.Tunnels = maps.Clone(l.cfg.Tunnels)
	name := types.NamespacedName{Namespace: "edge", Name: scene.ServiceName(turn % l.size.Services)}
	tunnel := next.Tunnels[name].DeepCopy()
	weight := int32(1 + turn%100)
	tunnel.Spec.Services[0].PodWeight = &weight
	tunnel.Generation++
	next.Tunnels[name] = tunnel
	l.cfg = &next
	l.lanes.Put(&next, nil, nil)
}

// BenchmarkChangedPodOfMany is a Pod replaced, to its endpoints handed to the streams.
func BenchmarkChangedPodOfMany(b *testing.B) {
	l := newLarge(b, scene.Size{Clusters: 10, Services: 1000, Pods: 10})
	b.ReportAllocs()
	turn := 0
	for b.Loop() {
		turn++
		b.StopTimer()
		l.replace(turn%l.size.Clusters, turn%l.size.Services, turn%l.size.Pods)
		b.StartTimer()
		l.apply(b)
	}
}

// BenchmarkChangedTunnelOfMany is one weight of one tunnel changed, to all views handed to the streams.
func BenchmarkChangedTunnelOfMany(b *testing.B) {
	for _, services := range []int{100, 1000} {
		b.Run(fmt.Sprintf("tunnels=%d", services), func(b *testing.B) {
			l := newLarge(b, scene.Size{Clusters: 10, Services: services, Pods: 10})
			b.ReportAllocs()
			turn := 0
			for b.Loop() {
				turn++
				l.change(turn)
				l.apply(b)
			}
		})
	}
}
