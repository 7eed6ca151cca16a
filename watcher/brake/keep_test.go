package brake

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/watcher/memory"
)

// restart is a world after a restart of one that holds the Pods 0 to 14 of 20 in tunnel a, a minute later.
func restart(t *testing.T, more ...func(before *world)) *world {
	t.Helper()
	before := newWorld(t, Settings{})
	before.uses(every(east("s")))
	before.put(east("s"), group(0, 20)...)
	before.put(east("s"), slices.Concat(group(0, 15, notReady), group(15, 20))...)
	require.Equal(t, 15, before.held("a"))
	for _, change := range more {
		change(before)
	}
	after := newWorld(t, Settings{})
	after.pass(time.Minute)
	after.Restore(before.Kept())
	return after
}

func TestAHoldGoesOnAfterARestart(t *testing.T) {
	w := restart(t)
	w.put(east("s"), slices.Concat(group(0, 15, notReady), group(15, 20))...) // what is remembered of the cluster
	require.Empty(t, w.Holds(), "the tunnel is not configured yet")
	require.Len(t, w.Kept(), 1, "which is no reason to forget it")
	w.uses(every(east("s")))
	require.Equal(t, []Hold{{Cluster: "east", Tunnel: edge("a"), Held: 15, Total: 20, Since: begun, Until: begun.Add(Defaults.Limit)}}, w.Holds())
	require.Contains(t, w.Problems()[0].Message, "15 of the tunnel's 20 Pods in cluster east lost readiness within 10s")
	require.Equal(t, names(0, 20), w.taking("a", east("s")))
	require.EqualValues(t, 1, w.metric("podway_brake_holds", "east"))
	require.EqualValues(t, -1, w.metric("podway_brake_holds_begun_total", "east"), "it did not begin anew")

	w.put(east("s"), slices.Concat(group(0, 5, notReady), group(5, 10), group(15, 20))...)
	require.Equal(t, 5, w.held("a"), "five are ready, and five were deleted")
	w.pass(Defaults.Limit - time.Minute)
	w.endAtLimit()
	require.Empty(t, w.Holds(), "a restart does not make it longer")
	require.Empty(t, w.Kept())
}

func TestPodsThatAreReadyAfterARestartAreNotHeld(t *testing.T) {
	w := restart(t)
	w.put(east("s"), slices.Concat(group(0, 3), group(3, 5, notReady), group(5, 7, notReady, reborn), group(15, 20))...)
	w.uses(every(east("s")))
	require.Equal(t, names(0, 5), w.taking("a", east("s"))[:5])
	require.Equal(t, 2, w.held("a"))
}

// TestAClusterOfWhichNothingIsKnownAfterARestart: its Pods are held once it is.
func TestAClusterOfWhichNothingIsKnownAfterARestart(t *testing.T) {
	w := restart(t)
	w.uses(every(east("s"), east("other")))
	require.Equal(t, 15, w.held("a"))
	require.Nil(t, w.Live(edge("a"), w.live)(east("s")))
	w.put(east("other"), group(100, 101)...)
	require.Equal(t, 15, w.held("a"), "they may be in the Service of which nothing is known still")
	w.put(east("s"), slices.Concat(group(0, 12, notReady), group(15, 20))...)
	require.Equal(t, 12, w.held("a"), "three have been deleted meanwhile")
	require.Equal(t, slices.Concat(names(0, 12), names(15, 20)), w.taking("a", east("s")))
	w.put(east("s"), group(15, 20)...)
	require.Empty(t, w.Holds())
}

func TestWhatIsNotRestored(t *testing.T) {
	for name, change := range map[string]func(*world){
		"released": func(w *world) { w.Release("east") },
		"over":     func(w *world) { w.pass(Defaults.Limit) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Settings{})
			w.Restore(restart(t).Kept())
			change(w)
			w.put(east("s"), group(0, 20, notReady)...)
			w.uses(every(east("s")))
			require.Empty(t, w.Holds())
			require.Empty(t, w.Kept())
		})
	}
	t.Run("of a time to come", func(t *testing.T) {
		w := newWorld(t, Settings{})
		w.pass(-time.Hour)
		w.Restore(restart(t).Kept())
		require.Empty(t, w.Kept())
	})
	t.Run("switched off", func(t *testing.T) {
		w := newWorld(t, Settings{Percent: 100})
		w.Restore(restart(t).Kept())
		w.put(east("s"), group(0, 20, notReady)...)
		w.uses(every(east("s")))
		require.Empty(t, w.Holds())
		require.Empty(t, w.taking("a", east("s")))
	})
}

func TestNamelessPodsAreRestoredByTheirAddress(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")))
	w.put(east("s"), group(0, 10, nameless)...)
	w.put(east("s"), group(0, 10, nameless, notReady)...)
	after := newWorld(t, Settings{})
	after.Restore(w.Kept())
	after.put(east("s"), group(0, 10, nameless, notReady)...)
	after.uses(every(east("s")))
	require.Len(t, after.taking("a", east("s")), 10)
}

// TestPodsThatWereLostRightBeforeARestartCount for a hold that begins right after it.
func TestPodsThatWereLostRightBeforeARestartCount(t *testing.T) {
	before := newWorld(t, Settings{})
	before.uses(every(east("s")))
	before.put(east("s"), group(0, 20)...)
	before.put(east("s"), slices.Concat(group(0, 4, notReady), group(4, 20))...)
	before.pass(2 * time.Second)
	before.put(east("s"), slices.Concat(group(0, 9, notReady), group(9, 20))...)
	require.Len(t, before.Kept(), 2, "at two times")
	require.Equal(t, before.Kept(), before.Kept())
	for name, test := range map[string]struct {
		later       time.Duration
		kept        int
		again, held int
	}{
		"all":                    {5 * time.Second, 2, 0, 15},
		"those that are not old": {11 * time.Second, 1, 0, 0},
		"none":                   {20 * time.Second, 0, 0, 0},
		"one is ready again":     {5 * time.Second, 2, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			after := newWorld(t, Settings{})
			after.pass(test.later)
			after.Restore(before.Kept())
			require.Len(t, after.Kept(), test.kept)
			after.put(east("s"), slices.Concat(group(0, 9, notReady), group(9, 20))...) // what is remembered of the cluster
			after.uses(every(east("s")))
			require.Empty(t, after.Holds())
			after.put(east("s"), slices.Concat(group(0, test.again), group(test.again, 15, notReady), group(15, 20))...)
			require.Equal(t, test.held, after.held("a"))
		})
	}
}

func TestHoldsAreKeptAsTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{})
		var mu sync.Mutex
		var saved [][]memory.Hold // by mu while time passes
		var failure error         // by mu
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = b.Keep(ctx, func(holds []memory.Hold) error {
				mu.Lock()
				defer mu.Unlock()
				if failure == nil {
					saved = append(saved, holds)
				}
				return failure
			}, slog.New(slog.DiscardHandler))
		}()
		const keepEvery = time.Second
		ready, lost := &pods.Set{Key: east("s"), Pods: group(0, 10)}, &pods.Set{Key: east("s"), Pods: group(0, 10, notReady)}
		b.Configure(map[types.NamespacedName][]pods.Use{edge("a"): every(east("s"))}, nil)
		b.Observe(east("s"), nil, ready)
		b.Observe(east("s"), ready, lost)
		synctest.Wait()
		require.Len(t, saved, 1, "the first is saved at once")
		require.Len(t, saved[0][0].Pods, 10)

		setFailure := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			failure = err
		}
		setFailure(errors.New("no space left on device"))
		fewer := &pods.Set{Key: east("s"), Pods: group(0, 9, notReady)}
		b.Observe(east("s"), lost, fewer)
		<-time.After(3 * keepEvery)
		synctest.Wait()
		require.Len(t, saved, 1)
		setFailure(nil)
		<-time.After(2 * keepEvery)
		synctest.Wait()
		require.Len(t, saved, 2, "it is tried again")
		require.Len(t, saved[1][0].Pods, 9)

		b.Observe(east("s"), fewer, ready)
		cancel()
		<-ended
		require.Len(t, saved, 3)
		require.Empty(t, saved[2], "the last of it is kept at the end")
	})
}

// unlabeled hands on a Set of which the labels are not known yet, as after a restart.
func (w *world) unlabeled(key pods.ServiceKey, endpoints ...pods.Pod) {
	set := &pods.Set{Key: key, Pods: endpoints, Unlabeled: true}
	w.Observe(key, w.sets[key], set)
	w.sets[key] = set
}

// TestLabelsThatAreNotKnownYetSayNothing: a restarted podway knows the Pods before it knows their labels.
func TestLabelsThatAreNotKnownYetSayNothing(t *testing.T) {
	v1 := version("v1")
	start := func(t *testing.T, remembered bool) *world {
		before := newWorld(t, Settings{})
		before.uses([]pods.Use{selecting(east("s"), "version=v1")})
		before.put(east("s"), group(0, 10, v1)...)
		before.put(east("s"), group(0, 10, v1, notReady)...)
		w := newWorld(t, Settings{})
		w.Restore(before.Kept())
		if remembered {
			w.put(east("s"), group(0, 10, v1, notReady)...)
		}
		w.uses([]pods.Use{selecting(east("s"), "version=v1")})
		require.Equal(t, 10, w.held("a"))
		w.unlabeled(east("s"), group(0, 10, notReady)...)
		require.Equal(t, 10, w.held("a"))
		w.unlabeled(east("s"), group(0, 9, notReady)...)
		return w
	}
	for name, remembered := range map[string]bool{"remembered": true, "not remembered": false} {
		t.Run(name, func(t *testing.T) {
			w := start(t, remembered)
			w.put(east("s"), slices.Concat(group(0, 7, v1, notReady), group(7, 8, version("v2"), notReady), group(8, 9, v1))...)
			require.Equal(t, 7, w.held("a"))
			require.Equal(t, slices.Concat(names(0, 7), names(8, 9)), w.taking("a", east("s")))
		})
	}
	t.Run("lost while podway was down", func(t *testing.T) {
		w := newWorld(t, Settings{})
		w.put(east("s"), group(0, 10, v1)...)
		w.uses([]pods.Use{selecting(east("s"), "version=v1")})
		w.unlabeled(east("s"), group(0, 10, notReady)...)
		require.Empty(t, w.Holds())
		w.put(east("s"), group(0, 10, v1, notReady)...)
		require.Equal(t, 10, w.held("a"))
	})
}
