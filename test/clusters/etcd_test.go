//go:build clusters

package clusters

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podway/podway/demo"
	"github.com/podway/podway/watcher/fleet"
)

// stored is a world with two clusters and requests under way, of which east is to lose its etcd.
type stored struct {
	*world
	east, west *handmade
	load       *demo.Running
}

func newStored(t *testing.T) *stored {
	t.Helper()
	w := newWorld(t, memberConfig{name: "east", network: 71}, memberConfig{name: "west", network: 72})
	s := &stored{world: w, east: w.members["east"].handmade(4), west: w.members["west"].handmade(3)}
	w.newTunnel("web", []string{"east", "west"}, "retry: {attempts: 0}")
	w.start("--state", w.state)
	w.awaitState("east", fleet.Live)
	w.awaitState("west", fleet.Live)
	w.edge.await("web", slices.Concat(s.east.pods, s.west.pods)...)
	s.load = w.load("web", 50)
	return s
}

// follow waits until the API server takes writes again, and then until Envoy has what is written.
func (s *stored) follow() {
	s.Helper()
	s.eventually("the API server takes writes", func() bool {
		try := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "try-"}}
		_, err := s.east.m.Client().CoreV1().ConfigMaps(namespace).Create(s.Context(), try, metav1.CreateOptions{})
		return err == nil
	})
	s.Logf("measured: followed in %s", s.east.follow("web", s.west.pods...))
}

// TestStoreIsRestored puts back what etcd had a while ago: versions of objects go back, and are given again to others. Nothing tells podway so: the watch
// that it goes on with is opened, and silent.
func TestStoreIsRestored(t *testing.T) {
	s := newStored(t)
	first := s.east.pods
	saved := s.east.m.Save()
	s.awaitState("east", fleet.Live)
	s.east.set(append(slices.Clone(first[:1]), s.east.m.newPods("web", 2)...)...)
	for i := range 30 {
		s.east.m.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("unseen-", i)}})
	}
	s.edge.await("web", slices.Concat(s.east.pods, s.west.pods)...)
	before := s.awaitState("east", fleet.Live)

	s.east.m.Restore(saved)
	took := s.edge.await("web", slices.Concat(first, s.west.pods)...)
	s.Logf("measured: what was restored is served %s after the API server was ready", took)
	after := s.awaitState("east", fleet.Live)
	require.Equal(t, before.UID, after.UID)
	require.Greater(t, after.Relists, before.Relists)
	s.east.m.Get(s.east.slice)
	s.east.pods = first
	s.follow()
	s.requireServed(s.load)
}

// TestStoreIsAway has etcd end beneath an API server that runs on, and refuse all writes.
func TestStoreIsAway(t *testing.T) {
	s := newStored(t)
	guard := s.guard("web", slices.Concat(s.east.pods, s.west.pods)...)
	s.run("killed and started again", func() {
		before := s.awaitState("east", fleet.Live)
		for range 3 {
			s.east.m.RestartEtcd(func() {})
			s.follow()
		}
		after := s.awaitState("east", fleet.Live)
		require.Equal(s, before.Since, after.Since, "the API server was there all the time")
		require.Equal(s, before.Relists, after.Relists)
	})
	s.run("away", func() {
		s.east.m.RestartEtcd(func() { s.awaitState("east", fleet.Stale, "the server does not answer") })
		s.follow()
		s.awaitState("east", fleet.Live)
	})
	s.run("full", func() {
		before := s.awaitSteady("east")
		s.east.m.FillStore()
		s.requests(s.load, 100)
		require.Equal(s, before.Since, s.awaitState("east", fleet.Live).Since)
		s.east.m.EmptyStore()
		s.follow()
	})
	guard.end(s.world)
	s.requireServed(s.load)
}
