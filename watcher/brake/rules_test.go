package brake

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/v1alpha1"
)

// TestWhatIsHeld replaces the 20 ready Pods of a Service at once.
func TestWhatIsHeld(t *testing.T) {
	for _, test := range []struct {
		name     string
		settings Settings
		// before is 20 ready Pods where it is nil.
		before, after []pods.Pod
		// held is how many are, of total; taking are those that take traffic.
		held, total int
		taking      []string
	}{
		{name: "70 % are not more than 70 %", after: slices.Concat(group(0, 14, notReady), group(14, 20)), taking: names(14, 20)},
		{name: "more than 70 %", after: slices.Concat(group(0, 15, notReady), group(15, 20)), held: 15, total: 20, taking: names(0, 20)},
		{name: "all", after: group(0, 20, notReady), held: 20, total: 20, taking: names(0, 20)},
		{name: "all of 9", before: group(0, 9), after: group(0, 9, notReady)},
		{name: "all of 10", before: group(0, 10), after: group(0, 10, notReady), held: 10, total: 10, taking: names(0, 10)},
		{name: "all deleted", after: nil},
		{name: "all terminating", after: group(0, 20, leaving)},
		{name: "deleted ones do not count as lost", after: slices.Concat(group(0, 9, notReady), group(9, 18, leaving), group(18, 20)), taking: names(18, 20)},
		{name: "deleted ones are no part of the whole", after: group(5, 15, notReady), held: 10, total: 10, taking: names(5, 15)},
		{name: "new Pods were never ready", after: slices.Concat(group(0, 20), group(20, 120, notReady)), taking: names(0, 20)},
		{name: "new Pods are no part of the whole", after: slices.Concat(group(0, 20, notReady), group(20, 40, notReady)), held: 20, total: 20, taking: names(0, 20)},
		{name: "a name with another UID is another Pod", after: group(0, 20, notReady, reborn)},
		{
			name: "Pods that were not ready before", before: slices.Concat(group(0, 10, notReady), group(10, 20)), after: group(0, 20, notReady),
			held: 10, total: 10, taking: names(10, 20),
		},
		{
			name: "new ready ones make it less", before: group(0, 10), after: slices.Concat(group(0, 10, notReady), group(10, 20)), taking: names(10, 20),
		},
		{name: "addresses without a name", before: group(0, 10, nameless), after: group(0, 10, nameless, notReady), held: 10, total: 10, taking: make([]string, 10)},
		{
			name: "a Pod in two slices counts once", before: slices.Concat(group(0, 9), group(0, 9, otherPort)),
			after: slices.Concat(group(0, 9, notReady), group(0, 9, notReady, otherPort)),
		},
		{name: "a percentage", settings: Settings{Percent: 10, MinPods: 1}, after: slices.Concat(group(0, 2, notReady), group(2, 20)), taking: names(2, 20)},
		{name: "more than it", settings: Settings{Percent: 10, MinPods: 1}, after: slices.Concat(group(0, 3, notReady), group(3, 20)), held: 3, total: 20, taking: names(0, 20)},
		{name: "99 %", settings: Settings{Percent: 99}, after: group(0, 20, notReady), held: 20, total: 20, taking: names(0, 20)},
		{name: "switched off", settings: Settings{Percent: 100, MinPods: 1}, after: group(0, 20, notReady)},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.settings)
			if test.before == nil {
				test.before = group(0, 20)
			}
			w.put(east("s"), test.before...)
			w.uses(every(east("s"))) // Later than the first Set.
			w.put(east("s"), test.after...)
			require.Equal(t, test.taking, w.taking("a", east("s")))
			if test.held == 0 {
				require.Empty(t, w.Holds())
				require.Same(t, w.sets[east("s")], w.Live(edge("a"), w.live)(east("s")))
				return
			}
			require.Equal(t, []Hold{{
				Cluster: "east", Tunnel: edge("a"), Held: test.held, Total: test.total, Since: begun, Until: begun.Add(10 * time.Minute),
			}}, w.Holds())
		})
	}
}

func TestNothingIsLostAtFirstSight(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")))
	w.put(east("s"), group(0, 20, notReady)...)
	require.Empty(t, w.Holds())
	w.put(east("s"), group(0, 20)...)
	delete(w.sets, east("s")) // The source begins anew.
	w.put(east("s"), group(0, 20, notReady)...)
	require.Empty(t, w.Holds())
	require.Nil(t, w.Live(edge("a"), w.live)(east("unknown")))
}

func TestLossesAreCountedInASlidingWindow(t *testing.T) {
	for _, test := range []struct {
		name string
		// pause is between one loss and the next of 10 Pods, one after the other.
		pause time.Duration
		holds bool
	}{
		{"at once", 0, true},
		{"the first exactly a window ago", 10 * time.Second / 9, true},
		{"the first longer ago", 10*time.Second/9 + 10*time.Millisecond, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, Settings{})
			w.uses(every(east("s")))
			w.put(east("s"), group(0, 10)...)
			for lost := 1; lost <= 10; lost++ {
				require.Len(t, w.taking("a", east("s")), 11-lost)
				w.put(east("s"), slices.Concat(group(0, lost, notReady), group(lost, 10))...)
				if lost < 10 {
					w.pass(test.pause)
				}
			}
			if test.holds {
				require.Equal(t, names(0, 10), w.taking("a", east("s")), "those that were out come back")
				return
			}
			require.Empty(t, w.Holds())
			require.Empty(t, w.taking("a", east("s")))
		})
	}
}

func TestOneThatBecameReadyIsNotLost(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")))
	w.put(east("s"), group(0, 10)...)
	w.put(east("s"), slices.Concat(group(0, 9, notReady), group(9, 10))...)
	w.put(east("s"), slices.Concat(group(0, 1), group(1, 9, notReady), group(9, 10))...)
	w.put(east("s"), slices.Concat(group(0, 1), group(1, 10, notReady))...)
	require.Empty(t, w.Holds(), "9 are lost")
	w.put(east("s"), group(0, 10, notReady)...)
	require.Equal(t, 10, w.held("a"))
}

// TestDeletionsCanTipTheScale: what is lost becomes more than the share by the others' going.
func TestDeletionsCanTipTheScale(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")))
	w.put(east("s"), group(0, 20)...)
	w.put(east("s"), slices.Concat(group(0, 10, notReady), group(10, 20))...)
	require.Empty(t, w.Holds())
	w.put(east("s"), slices.Concat(group(0, 10, notReady), group(10, 20, leaving))...)
	require.Equal(t, names(0, 10), w.taking("a", east("s")))
}

func TestWhileAHoldLastsFurtherLossesAreHeld(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")))
	w.put(east("s"), group(0, 20)...)
	w.put(east("s"), slices.Concat(group(0, 15, notReady), group(15, 20))...)
	w.pass(time.Minute)
	w.put(east("s"), slices.Concat(group(0, 16, notReady), group(16, 20))...)
	require.Equal(t, names(0, 20), w.taking("a", east("s")))
	require.Equal(t, []Hold{{Cluster: "east", Tunnel: edge("a"), Held: 16, Total: 20, Since: begun, Until: begun.Add(10 * time.Minute)}}, w.Holds())
	w.put(east("s"), slices.Concat(group(0, 16, notReady), group(16, 20), group(20, 21, notReady))...)
	require.Equal(t, names(0, 20), w.taking("a", east("s")), "one that was never ready")
}

func TestAHoldEndsWithItsLastPod(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")))
	w.put(east("s"), group(0, 12)...)
	w.put(east("s"), group(0, 12, notReady)...)
	require.Equal(t, 12, w.held("a"))
	w.put(east("s"), slices.Concat(group(0, 4), group(4, 8, leaving), group(9, 12, notReady))...)
	require.Equal(t, 3, w.held("a"))
	require.Equal(t, slices.Concat(names(0, 4), names(9, 12)), w.taking("a", east("s")))
	w.put(east("s"), slices.Concat(group(0, 4), group(9, 12))...)
	require.Empty(t, w.Holds())
	require.Equal(t, 1.0, w.metric("podway_brake_holds_ended_total", "east", "ready"))

	w.put(east("s"), slices.Concat(group(0, 4, notReady), group(9, 12, notReady))...)
	require.Empty(t, w.Holds(), "7 are fewer than 10")
	w.put(east("s"), group(20, 30)...)
	w.put(east("s"), group(20, 30, notReady)...)
	w.put(east("s"))
	require.Empty(t, w.Holds())
	require.Equal(t, 1.0, w.metric("podway_brake_holds_ended_total", "east", "deleted"))
	require.Equal(t, 2.0, w.metric("podway_brake_holds_begun_total", "east"))
	require.Equal(t, 0.0, w.metric("podway_brake_holds", "east"))
	require.Equal(t, 0.0, w.metric("podway_brake_held_pods", "east"))
	require.Empty(t, w.told, "a new Set tells of itself")
}

func TestAServiceOfWhichNothingIsKnownHoldsNothing(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")))
	w.put(east("s"), group(0, 10)...)
	w.put(east("s"), group(0, 10, notReady)...)
	w.Observe(east("s"), w.sets[east("s")], nil)
	require.Empty(t, w.Holds())
}

func TestSettingsOfACluster(t *testing.T) {
	limit, percent, least := gatewayv1.Duration("1h"), int32(50), int32(3)
	require.Equal(t, Settings{Percent: 50, MinPods: 3, Limit: time.Hour}, Of(&v1alpha1.Brake{Percent: &percent, MinPods: &least, Limit: &limit}))
	require.Equal(t, Settings{}, Of(nil))

	w := newWorld(t, Settings{})
	uses := map[types.NamespacedName][]pods.Use{edge("a"): every(east("s"), in("west", "s"))}
	w.Configure(uses, map[string]Settings{"west": {Percent: 20, MinPods: 1, Limit: time.Hour}})
	for _, key := range []pods.ServiceKey{east("s"), in("west", "s")} {
		w.put(key, group(0, 10)...)
		w.put(key, slices.Concat(group(0, 3, notReady), group(3, 10))...)
	}
	require.Equal(t, []Hold{{Cluster: "west", Tunnel: edge("a"), Held: 3, Total: 10, Since: begun, Until: begun.Add(time.Hour)}}, w.Holds())
	require.Len(t, w.taking("a", east("s")), 7)
	require.Len(t, w.taking("a", in("west", "s")), 10)

	w.Configure(uses, map[string]Settings{"west": {Limit: 2 * time.Minute}})
	require.Equal(t, begun.Add(2*time.Minute), w.Holds()[0].Until)
	require.Empty(t, w.told)
	w.Configure(uses, map[string]Settings{"west": {Percent: 100}})
	require.Empty(t, w.Holds())
	require.Len(t, w.taking("a", in("west", "s")), 7)
	require.Equal(t, [][]pods.ServiceKey{{in("west", "s")}}, w.told)
	require.Equal(t, 1.0, w.metric("podway_brake_holds_ended_total", "west", "off"))
	w.Configure(nil, map[string]Settings{"west": {}})
	require.Equal(t, 1.0, w.metric("podway_brake_holds_begun_total", "west"))
	w.Configure(nil, nil)
	require.Equal(t, -1.0, w.metric("podway_brake_holds_begun_total", "west"), "the cluster is gone")
}

func TestAHoldThatMayBeginSoonIsWorthAMoment(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")), every(east("other")))
	w.put(east("s"), group(0, 20)...)
	w.put(east("other"), group(0, 5)...)
	require.False(t, w.Gathering())
	w.put(east("s"), slices.Concat(group(0, 9, notReady), group(9, 20))...)
	require.False(t, w.Gathering(), "so few go at once, whatever comes")
	w.put(east("other"), group(0, 5, notReady)...)
	require.False(t, w.Gathering(), "and so do all of a few")
	w.put(east("s"), slices.Concat(group(0, 10, notReady), group(10, 20))...)
	require.True(t, w.Gathering())
	require.False(t, w.Gathering(), "a moment, not two")
	w.put(east("s"), slices.Concat(group(0, 11, notReady), group(11, 20))...)
	require.False(t, w.Gathering(), "not again so soon")
	w.pass(gatherEvery)
	require.False(t, w.Gathering(), "nothing was observed since")
	w.put(east("s"), slices.Concat(group(0, 12, notReady), group(12, 20))...)
	require.True(t, w.Gathering())
	w.pass(gatherEvery)
	w.put(east("s"), slices.Concat(group(0, 10, notReady), group(15, 20))...)
	require.False(t, w.Gathering(), "deleted ones go at once")
}
