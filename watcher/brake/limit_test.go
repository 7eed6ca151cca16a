package brake

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
)

// running runs a Brake by the bubble's clock until the test ends.
func running(t *testing.T) *world {
	w := newWorld(t, Settings{})
	w.config.Now = time.Now
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Brake.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	return w
}

func TestAHoldEndsAtItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t)
		uses := map[types.NamespacedName][]pods.Use{edge("a"): every(east("s")), edge("b"): every(in("west", "s"))}
		w.Configure(uses, map[string]Settings{"west": {Limit: time.Minute}})
		for _, key := range []pods.ServiceKey{east("s"), in("west", "s")} {
			w.put(key, group(0, 10)...)
			w.put(key, group(0, 10, notReady)...)
		}
		<-time.After(time.Minute - time.Millisecond)
		synctest.Wait()
		require.Len(t, w.Holds(), 2)
		<-time.After(time.Millisecond)
		synctest.Wait()
		require.Len(t, w.Holds(), 1)
		require.Equal(t, [][]pods.ServiceKey{{in("west", "s")}}, w.told)
		require.Empty(t, w.taking("b", in("west", "s")))
		require.Len(t, w.taking("a", east("s")), 10)

		w.Configure(uses, map[string]Settings{"east": {Limit: 2 * time.Minute}})
		<-time.After(time.Minute)
		synctest.Wait()
		require.Empty(t, w.Holds(), "a limit that came nearer")
		require.Empty(t, w.taking("a", east("s")))
		require.Equal(t, 1.0, w.metric("podway_brake_holds_ended_total", "east", "limit"))
	})
}

// TestWhatWasLetGoIsOutUntilItIsReady and can be lost only then.
func TestWhatWasLetGoIsOutUntilItIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := running(t)
		w.uses(every(east("s")))
		w.put(east("s"), group(0, 12)...)
		w.put(east("s"), append(group(0, 11, notReady), pod(11))...)
		<-time.After(Defaults.Limit)
		synctest.Wait()
		require.Empty(t, w.Holds())
		w.put(east("s"), group(0, 12, notReady)...)
		require.Empty(t, w.Holds(), "one loss and eleven old ones")
		require.Empty(t, w.taking("a", east("s")))
		w.put(east("s"), group(0, 12)...)
		w.put(east("s"), group(0, 12, notReady)...)
		require.Equal(t, 12, w.held("a"), "lost anew")
	})
}

func TestReleaseByHand(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")), every(east("s"), east("other")), every(in("west", "s")))
	for _, key := range []pods.ServiceKey{east("s"), in("west", "s")} {
		w.put(key, group(0, 10)...)
		w.put(key, group(0, 10, notReady)...)
	}
	require.Len(t, w.Holds(), 3)
	require.Equal(t, 20.0, w.metric("podway_brake_held_pods", "east"))
	require.Equal(t, 0, w.Release("north"))
	require.Empty(t, w.told)
	require.Equal(t, 10, w.Release("east"), "each Pod once")
	require.Equal(t, [][]pods.ServiceKey{{east("other"), east("s")}}, w.told)
	require.Empty(t, w.taking("a", east("s")))
	require.Len(t, w.taking("c", in("west", "s")), 10)
	require.Equal(t, 0, w.Release("east"))
	require.Equal(t, 2.0, w.metric("podway_brake_holds_ended_total", "east", "hand"))
	require.Equal(t, 0.0, w.metric("podway_brake_held_pods", "east"))
	w.put(east("s"), append(group(0, 10, notReady), pod(10))...)
	require.Equal(t, []string{"p-010"}, w.taking("a", east("s")))
}

func TestProblemsOfHolds(t *testing.T) {
	w := newWorld(t, Settings{})
	w.uses(every(east("s")), every(east("s")))
	require.Empty(t, w.Problems())
	w.put(east("s"), group(0, 16)...)
	w.put(east("s"), append(group(0, 14, notReady), group(14, 16)...)...)
	problems := w.Problems()
	require.Len(t, problems, 2)
	require.Equal(t, api.ObjectRef{Group: "podway.dev", Kind: "Tunnel", Namespace: "edge", Name: "a"}, problems[0].Object)
	require.Equal(t, "warning PodsHeld: Tunnel edge/a spec.services: 14 of the tunnel's 16 Pods in cluster east lost readiness within 10s without being deleted: "+
		"they stay in the tunnel until they are ready or deleted, at the latest until 2026-01-02T03:14:05Z; "+
		"look at what these Pods have in common, such as their node, their readiness probe or what they depend on; "+
		"`podway clusters release east` takes those that are not ready out at once", problems[0].String())
	w.put(east("s"), group(0, 16, notReady)...)
	require.Equal(t, problems, w.Problems(), "a Problem stays the same as long as its hold does")
	w.Release("east")
	require.Empty(t, w.Problems())
}
