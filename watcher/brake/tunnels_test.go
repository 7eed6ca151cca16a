package brake

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
)

// TestAHoldConcernsItsTunnelOnly: b has Pods enough of another Service.
func TestAHoldConcernsItsTunnelOnly(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")), every(east("s"), east("other")), every(in("west", "s")))
	for _, key := range []pods.ServiceKey{east("s"), in("west", "s")} {
		w.put(key, group(0, 10)...)
	}
	w.put(east("other"), group(10, 20)...)
	w.put(east("s"), group(0, 10, notReady)...)
	require.Equal(t, 10, w.held("a"))
	require.Len(t, w.Holds(), 1)
	require.Equal(t, names(0, 10), w.taking("a", east("s")))
	require.Empty(t, w.taking("b", east("s")))
	require.Equal(t, names(10, 20), w.taking("b", east("other")))
	require.Empty(t, w.taking("c", east("s")))

	w.put(east("other"), slices.Concat(group(10, 15, notReady), group(15, 20))...)
	require.Equal(t, names(0, 10), w.taking("b", east("s")), "now 15 of 20 are lost: those of both Services are held")
	require.Equal(t, names(10, 20), w.taking("b", east("other")))
	require.Len(t, w.Holds(), 2)
	require.Equal(t, Hold{Cluster: "east", Tunnel: edge("b"), Held: 15, Total: 20, Since: begun, Until: begun.Add(Defaults.Limit)}, w.Holds()[1])
}

func TestASelectorSaysWhichPodsCount(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(
		[]pods.Use{selecting(east("s"), "version=v1")},
		[]pods.Use{selecting(east("s"), "version=v2")},
		[]pods.Use{selecting(east("s"), "version=v1"), selecting(east("s"), "version=v2")},
		[]pods.Use{selecting(east("s"), "version=v1"), {Service: east("s")}},
	)
	unlabeled := group(100, 130)
	w.put(east("s"), slices.Concat(group(0, 10, version("v1")), group(10, 20, version("v2")), unlabeled)...)
	w.put(east("s"), slices.Concat(group(0, 10, version("v1"), notReady), group(10, 20, version("v2")), unlabeled)...)
	require.Equal(t, []int{10, 0, 0, 0}, []int{w.held("a"), w.held("b"), w.held("c"), w.held("d")})

	w.put(east("s"), slices.Concat(group(0, 5, version("v1"), notReady), group(5, 10, version("v2"), notReady), group(10, 20, version("v2")), unlabeled)...)
	require.Equal(t, 5, w.held("a"), "five are the tunnel's no more")
	require.Equal(t, 0, w.held("b"), "and did not lose readiness in the other")
}

// TestAPodOfTwoServicesCountsOnce and is lost when the last of the two says so.
func TestAPodOfTwoServicesCountsOnce(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s"), east("also")))
	w.put(east("s"), group(0, 9)...)
	w.put(east("also"), group(0, 9)...)
	w.put(east("s"), group(0, 9, notReady)...)
	w.put(east("also"), group(0, 9, notReady)...)
	require.Empty(t, w.Holds(), "9 are fewer than 10")

	w.put(east("s"), group(0, 14)...)
	w.put(east("also"), group(0, 14)...)
	w.put(east("s"), slices.Concat(group(0, 10, notReady), group(10, 14))...)
	require.Empty(t, w.Holds(), "the other Service says that they are ready")
	w.put(east("also"), slices.Concat(group(0, 10, notReady), group(10, 14))...)
	require.Equal(t, Hold{Cluster: "east", Tunnel: edge("a"), Held: 10, Total: 14, Since: begun, Until: begun.Add(Defaults.Limit)}, w.Holds()[0], "10 of 14, not of 18")
	require.Equal(t, names(0, 14), w.taking("a", east("s")))
	require.Equal(t, names(0, 14), w.taking("a", east("also")))

	w.put(east("s"), slices.Concat(group(0, 5), group(5, 10, leaving), group(10, 14))...)
	require.Empty(t, w.Holds(), "one Service is enough to say so")
	w.put(east("also"), group(0, 14)...)
	require.Equal(t, names(0, 14), w.taking("a", east("also")))
}

func TestTunnelsAndUsesThatAreGone(t *testing.T) {
	w := newWorld(t, Settings{})
	both := every(east("s"), east("other"))
	w.uses(both, every(east("s")))
	w.put(east("s"), group(0, 10)...)
	w.put(east("other"), group(10, 12)...)
	w.put(east("s"), group(0, 10, notReady)...)
	w.put(east("other"), group(10, 12, notReady)...)
	require.Equal(t, []int{12, 10}, []int{w.held("a"), w.held("b")})

	w.uses(both, every(east("s")))
	require.Equal(t, []int{12, 10}, []int{w.held("a"), w.held("b")}, "the same again changes nothing")
	require.Empty(t, w.told)

	w.uses(every(east("other")))
	require.Equal(t, []int{2, 0}, []int{w.held("a"), w.held("b")})
	require.Equal(t, [][]pods.ServiceKey{{east("other")}}, w.told)
	require.Equal(t, names(10, 12), w.taking("a", east("other")))
	require.Empty(t, w.taking("b", east("s")))
	require.Equal(t, 2.0, w.metric("podway_brake_held_pods", "east"))

	w.uses(every(east("s")))
	require.Empty(t, w.Holds())
	require.Empty(t, w.taking("a", east("s")), "what was let go is not held again")
	require.Equal(t, 2.0, w.metric("podway_brake_holds_ended_total", "east", "unused"))
}

// TestASetIsShownAsOnePointer while nothing changed, and as its own where nothing of it is held.
func TestASetIsShownAsOnePointer(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s"), east("other")))
	w.put(east("s"), group(0, 10)...)
	w.put(east("other"), group(20, 22)...)
	w.put(east("s"), group(0, 10, notReady)...)
	live := w.Live(edge("a"), w.live)
	shown := live(east("s"))
	require.NotSame(t, w.sets[east("s")], shown)
	require.Equal(t, group(0, 10), shown.Pods, "as they were")
	require.Equal(t, group(0, 10, notReady), w.sets[east("s")].Pods, "and the Set stays as it is")
	require.Same(t, shown, w.Live(edge("a"), w.live)(east("s")))
	require.Same(t, w.sets[east("other")], live(east("other")))
	require.Same(t, w.sets[east("s")], w.Live(edge("b"), w.live)(east("s")), "of a tunnel that is not known")
}

// TestNoGapBetweenObserveAndHandingOn: endpoints that are made of the old Set meanwhile still have the Pod that became ready.
func TestNoGapBetweenObserveAndHandingOn(t *testing.T) {
	for name, asked := range map[string]bool{"the old Set was asked for": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Settings{})
			w.uses(every(east("s")))
			w.put(east("s"), group(0, 10)...)
			w.put(east("s"), group(0, 10, notReady)...)
			if asked {
				require.Equal(t, names(0, 10), w.taking("a", east("s")))
			}
			next := &pods.Set{Key: east("s"), Pods: group(0, 10)}
			w.Observe(east("s"), w.sets[east("s")], next)
			require.Empty(t, w.Holds())
			require.Equal(t, names(0, 10), w.taking("a", east("s")), "the new Set has not been handed on")
			require.Same(t, w.Live(edge("a"), w.live)(east("s")), w.Live(edge("a"), w.live)(east("s")))
			w.sets[east("s")] = next
			require.Same(t, next, w.Live(edge("a"), w.live)(east("s")))
			require.False(t, inCluster(w.tunnels[edge("a")], "east").alters(), "what was kept is forgotten")
		})
	}
}
