package controlplane

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/files"
	"github.com/podway/podway/xds"
)

// slowly is a publisher that remembers, and has a translation wait as long as the test wants.
type slowly struct {
	recorder
	mu    sync.Mutex    // guards the recorder too where time passes
	await chan struct{} // by mu; nil waits for nothing
}

func (s *slowly) Prepare([]*api.Resource) {
	s.mu.Lock()
	await := s.await
	s.mu.Unlock()
	if await != nil {
		<-await
	}
}

func (s *slowly) SetEndpoints(changed []*api.Resource, seen map[string]xds.Seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorder.SetEndpoints(changed, seen)
}

// hold has translations wait until go on is called.
func (s *slowly) hold() (goOn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	await := make(chan struct{})
	s.await = await
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.await = nil
		close(await)
	}
}

// lanesWorld is a running pipeline in a bubble of its own.
type lanesWorld struct {
	*testing.T
	lanes    *watcher.Lanes
	pipeline *pipeline
	sent     *slowly
	cfg      *snapshot.Config
	sets     map[pods.ServiceKey]*pods.Set
}

// inLanes runs a test on a pipeline that serves testdata/base.
func inLanes(t *testing.T, test func(w *lanesWorld)) {
	state, err := files.Load([]string{"../testdata/base"}, files.Options{})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		board := newProblemBoard(log)
		w := &lanesWorld{T: t, sent: &slowly{}, cfg: state.Config, sets: map[pods.ServiceKey]*pods.Set{}}
		w.pipeline = pipelineTo(w.sent, board, log)
		w.lanes = watcher.NewLanes(w.pipeline.brake.Observe)
		w.lanes.Put(state.Config, state.Pods, nil)
		for key, set := range state.Pods {
			w.sets[key] = set
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.pipeline.run(ctx, w.lanes, make(chan struct{}))
		}()
		defer func() {
			cancel()
			<-ended
		}()
		synctest.Wait()
		test(w)
		synctest.Wait()
	})
}

// move gives all Pods of a Service addresses that end in last.
func (w *lanesWorld) move(key pods.ServiceKey, last byte) map[pods.ServiceKey]*pods.Set {
	set := *w.sets[key]
	set.Pods = append([]pods.Pod(nil), set.Pods...)
	for i := range set.Pods {
		set.Pods[i].Address = pods.AddressOf(netip.AddrFrom4([4]byte{10, 99, byte(i), last}))
	}
	w.sets[key] = &set
	return map[pods.ServiceKey]*pods.Set{key: &set}
}

// weight is another configuration, in which the first service of tunnel edge/hello has another weight.
func (w *lanesWorld) weight(weight int32) *snapshot.Config {
	cfg := *w.cfg
	name := types.NamespacedName{Namespace: "edge", Name: "hello"}
	tunnel := cfg.Tunnels[name].DeepCopy()
	tunnel.Generation++
	tunnel.Spec.Services[0].PodWeight = &weight
	cfg.Tunnels = map[types.NamespacedName]*v1alpha1.Tunnel{}
	for key, value := range w.cfg.Tunnels {
		cfg.Tunnels[key] = value
	}
	cfg.Tunnels[name] = tunnel
	w.cfg = &cfg
	return &cfg
}

func (w *lanesWorld) settled() (views, endpoints int) {
	synctest.Wait()
	w.sent.mu.Lock()
	defer w.sent.mu.Unlock()
	return len(w.sent.views), len(w.sent.endpoints)
}

func TestPodsDoNotWaitForATranslation(t *testing.T) {
	inLanes(t, func(w *lanesWorld) {
		goOn := w.sent.hold()
		w.lanes.Put(w.weight(7), nil, nil)
		w.settled()
		w.lanes.Put(nil, w.move(eastHello, 50), nil)
		views, endpoints := w.settled()
		require.Equal(t, [2]int{1, 1}, [2]int{views, endpoints}, "the Pods were followed, the configuration is still on its way")
		goOn()
		views, _ = w.settled()
		require.Equal(t, 2, views)
		require.Contains(t, string(w.pipeline.endpoints[hello].Resource.Wire), "10.99.0.50")
	})
}

func TestPodsThatComeWithAConfigurationWaitForIt(t *testing.T) {
	inLanes(t, func(w *lanesWorld) {
		goOn := w.sent.hold()
		w.lanes.Put(w.weight(7), w.move(eastHello, 50), nil)
		w.settled()
		w.lanes.Put(nil, w.move(westHello, 60), nil) // of the same tunnel
		views, endpoints := w.settled()
		require.Equal(t, [2]int{1, 0}, [2]int{views, endpoints}, "the tunnel changes as a whole, or not at all")
		goOn()
		views, endpoints = w.settled()
		require.Equal(t, [2]int{2, 0}, [2]int{views, endpoints})
		for _, address := range []string{"10.99.0.50", "10.99.0.60"} {
			require.Contains(t, string(w.pipeline.endpoints[hello].Resource.Wire), address)
		}
	})
}

func TestOfConfigurationsThatWaitTheLatestCounts(t *testing.T) {
	inLanes(t, func(w *lanesWorld) {
		goOn := w.sent.hold()
		w.lanes.Put(w.weight(7), nil, nil)
		w.settled()
		w.lanes.Put(w.weight(8), w.move(eastHello, 50), nil)
		w.settled()
		w.lanes.Put(w.weight(9), w.move(westHello, 60), nil)
		w.settled()
		goOn()
		views, _ := w.settled()
		require.Equal(t, 3, views, "the first, the one that was being translated, and the last of those that waited")
		require.Equal(t, w.cfg, w.pipeline.cfg)
		for _, address := range []string{"10.99.0.50", "10.99.0.60"} {
			require.Contains(t, string(w.pipeline.endpoints[hello].Resource.Wire), address)
		}
	})
}

func TestDatesAreLookedAtWithoutHoldingPodsUp(t *testing.T) {
	inLanes(t, func(w *lanesWorld) {
		goOn := w.sent.hold()
		<-time.After(checkDatesEvery)
		w.lanes.Put(nil, w.move(eastHello, 50), nil)
		views, endpoints := w.settled()
		require.Equal(t, [2]int{1, 1}, [2]int{views, endpoints})
		goOn()
		views, _ = w.settled()
		require.Equal(t, 1, views, "the dates say nothing new")
	})
}

var (
	hello     = types.NamespacedName{Namespace: "edge", Name: "hello"}
	westHello = pods.ServiceKey{Cluster: "west", Namespace: "default", Name: "hello"}
)

// lose has the first so many of 20 Pods of east not be ready.
func (w *lanesWorld) lose(count int) map[pods.ServiceKey]*pods.Set {
	set := *w.sets[eastHello]
	template, names := set.Pods[0], make([]string, 20)
	group := *template.Group
	template.Group, set.Pods = &group, nil
	for i := range 20 {
		pod := template
		names[i] = fmt.Sprintf("p-%02d", i)
		pod.UID, pod.Address = pods.UIDOf(fmt.Sprintf("u-%d", i)), pods.AddressOf(netip.AddrFrom4([4]byte{10, 98, 0, byte(i)}))
		pod.Ready, pod.Serving = i >= count, i >= count
		set.Pods = append(set.Pods, pod)
	}
	pods.GiveNames(set.Pods, names)
	w.sets[eastHello] = &set
	return map[pods.ServiceKey]*pods.Set{eastHello: &set}
}

// TestPodsThatLoseReadinessTogetherDoNotLeave though their events come one after the other.
func TestPodsThatLoseReadinessTogetherDoNotLeave(t *testing.T) {
	inLanes(t, func(w *lanesWorld) {
		w.lanes.Put(nil, w.lose(0), nil)
		_, before := w.settled()
		for _, lost := range []int{10, 13, 18} { // 14 would be no more than 70 %
			w.lanes.Put(nil, w.lose(lost), nil)
			<-time.After(gatherFor / 4)
		}
		<-time.After(gatherFor)
		_, endpoints := w.settled()
		require.Equal(t, before, endpoints, "nothing was sent: all of them stay as they were")
		require.Len(t, w.pipeline.brake.Holds(), 1)
	})
}

// TestPodsOfWhichNoMoreFollowLeaveInAMoment: it is a delay, and no more.
func TestPodsOfWhichNoMoreFollowLeaveInAMoment(t *testing.T) {
	inLanes(t, func(w *lanesWorld) {
		w.lanes.Put(nil, w.lose(0), nil)
		_, before := w.settled()
		w.lanes.Put(nil, w.lose(9), nil)
		_, endpoints := w.settled()
		require.Equal(t, before+1, endpoints, "few leave at once")
		w.lanes.Put(nil, w.lose(12), nil)
		_, endpoints = w.settled()
		require.Equal(t, before+1, endpoints)
		<-time.After(gatherFor)
		_, endpoints = w.settled()
		require.Equal(t, before+2, endpoints)
		w.lanes.Put(nil, w.lose(13), nil)
		_, endpoints = w.settled()
		require.Equal(t, before+3, endpoints, "the next ones do not wait again")
		require.Empty(t, w.pipeline.brake.Holds())
	})
}
