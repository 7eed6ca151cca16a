package brake

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

// model is the rules of one tunnel written down as plainly as can be: it looks at all Pods of all Sets each time.
type model struct {
	settings Settings
	uses     []pods.Use
	was      map[podID]standing
	lost     map[podID]time.Time
	held     map[podID]bool
	holds    bool
}

func newModel(uses []pods.Use, settings Settings) *model {
	return &model{settings: settings.or(Defaults), uses: uses, was: map[podID]standing{}, lost: map[podID]time.Time{}, held: map[podID]bool{}}
}

func (m *model) standings(sets map[pods.ServiceKey]*pods.Set) map[podID]standing {
	is := map[podID]standing{}
	for i := range m.uses {
		for _, pod := range podsOf(sets[m.uses[i].Service]) {
			switch {
			case !m.uses[i].Takes(&pod):
			case pod.Terminating:
				is[idOf(&pod)] = going
			case pod.Ready:
				is[idOf(&pod)] = max(is[idOf(&pod)], ready)
			default:
				is[idOf(&pod)] = max(is[idOf(&pod)], unready)
			}
		}
	}
	return is
}

func (m *model) step(sets map[pods.ServiceKey]*pods.Set, now time.Time) {
	is := m.standings(sets)
	for id, standing := range is {
		if standing == unready && m.was[id] == ready {
			m.lost[id] = now
			if m.holds {
				m.held[id] = true
			}
		}
	}
	for id, at := range m.lost {
		if is[id] != unready || (!m.holds && now.Sub(at) > m.settings.Window) {
			delete(m.lost, id)
			delete(m.held, id)
		}
	}
	taking := map[podID]bool{}
	for i := range m.uses {
		for _, pod := range podsOf(sets[m.uses[i].Service]) {
			if pod.Ready && m.uses[i].Takes(&pod) {
				taking[idOf(&pod)] = true
			}
		}
	}
	base := len(m.lost) + len(taking)
	if !m.holds && len(m.lost) >= m.settings.MinPods && 100*len(m.lost) > m.settings.Percent*base {
		m.holds = true
		for id := range m.lost {
			m.held[id] = true
		}
	}
	if m.holds && len(m.lost) == 0 {
		m.holds = false
	}
	m.was = is
}

func (m *model) release() {
	if m.holds {
		m.holds = false
		clear(m.held)
		clear(m.lost)
	}
}

// TestTheRulesHoldWhateverHappens compares the Brake with the model while Pods come, go, and lose readiness at random, and checks that
// what is shown as ready is there and does not terminate.
func TestTheRulesHoldWhateverHappens(t *testing.T) {
	begins := 0.0
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 1))
		settings := Settings{Percent: 40 + random.IntN(50), MinPods: 2 + random.IntN(3)}
		w := newWorld(t, settings)
		lists := [][]pods.Use{
			every(east("s")),
			every(east("s"), east("other")),
			{selecting(east("s"), "version=v1"), selecting(east("other"), "version!=v1")},
			{selecting(east("s"), "version=v1"), {Service: east("s")}},
		}
		w.uses(lists...)
		var models []*model
		for _, list := range lists {
			models = append(models, newModel(list, settings))
		}
		for step := range 150 {
			w.pass(time.Duration(random.IntN(4000)) * time.Millisecond)
			key := east([]string{"s", "other"}[random.IntN(2)])
			w.put(key, randomly(random, w.sets[key])...)
			for _, m := range models {
				if m.step(w.sets, w.clock()); step%50 == 49 {
					m.release()
				}
			}
			if step%50 == 49 {
				w.Release("east")
			}
			held := 0
			for i, m := range models {
				held += w.compare(m, string(rune('a'+i)), fmt.Sprintf("seed %d, step %d, tunnel %d", seed, step, i))
			}
			require.Equal(t, float64(held), max(w.metric("podway_brake_held_pods", "east"), 0))
		}
		begins += max(w.metric("podway_brake_holds_begun_total", "east"), 0)
	}
	require.Greater(t, begins, 100.0, "nothing is learnt without holds")
}

// compare checks a tunnel's Sets against the model, and returns how many Pods are held.
func (w *world) compare(m *model, tunnel, when string) int {
	require.Equal(w, len(m.held), w.held(tunnel), when)
	live := w.Live(edge(tunnel), w.live)
	for key, set := range w.sets {
		for i, shown := range live(key).Pods {
			actual := set.Pods[i]
			expected := actual
			if m.held[idOf(&actual)] && !actual.Terminating { // In one Service, that is, and not in the one that the tunnel takes it from.
				expected.Ready, expected.Serving = true, true
			}
			require.Equal(w, expected, shown, when)
		}
	}
	return len(m.held)
}

// randomly makes the next Set. Now and then all Pods lose readiness.
func randomly(random *rand.Rand, before *pods.Set) []pods.Pod {
	var made []pods.Pod
	calm, storm := random.IntN(8) == 0, random.IntN(5) == 0
	known := map[podID]pods.Pod{}
	for _, pod := range podsOf(before) {
		known[idOf(&pod)] = pod
	}
	for i := range 12 {
		next := pod(i, version([]string{"v1", "v2"}[i%2]))
		if i >= 9 {
			nameless(&next)
		}
		if was, there := known[idOf(&next)]; there {
			next = was
		} else if random.IntN(3) == 0 {
			continue
		}
		switch chance := random.IntN(20); {
		case next.Terminating && chance < 10, chance == 0:
			continue // deleted
		case next.Terminating:
		case chance == 1:
			leaving(&next)
		case calm:
			next.Ready, next.Serving = true, true
		case storm && chance < 16, chance == 2:
			notReady(&next)
		case chance == 3 && next.HasName():
			reborn(&next)
		case chance == 4 && !next.Ready:
			version("v1")(&next)
		}
		made = append(made, next)
		if next.HasName() && chanceOf(random, 10) {
			second := next
			otherPort(&second)
			made = append(made, second)
		}
	}
	return made
}

func chanceOf(random *rand.Rand, of int) bool { return random.IntN(of) == 0 }

// TestManyGoroutines is for the race detector.
func TestManyGoroutines(t *testing.T) {
	w := newWorld(t, Settings{Limit: time.Microsecond})
	w.config.Now = time.Now
	ctx, stop := context.WithCancel(t.Context())
	uses := map[types.NamespacedName][]pods.Use{edge("a"): every(east("s-0"), east("s-1")), edge("b"): every(east("s-0"))}
	w.Configure(uses, nil)
	var sources, others sync.WaitGroup
	others.Go(func() { _ = w.Brake.Run(ctx) }) // nil when the context ends
	for i := range 2 {
		sources.Go(func() {
			key := east(fmt.Sprintf("s-%d", i))
			before := &pods.Set{Key: key, Pods: group(0, 20)}
			w.Observe(key, nil, before)
			for n := range 500 {
				next := &pods.Set{Key: key, Pods: group(0, 20)}
				if n%2 == 0 {
					next.Pods = group(0, 20, notReady)
				}
				w.Observe(key, before, next)
				shown := w.Live(edge("a"), func(pods.ServiceKey) *pods.Set { return next })(key)
				if len(shown.Pods) != 20 {
					t.Errorf("%d Pods", len(shown.Pods))
				}
				before = next
			}
		})
	}
	others.Go(func() {
		for ctx.Err() == nil {
			w.Configure(uses, nil)
			w.Release("east")
			w.Holds()
			w.Problems()
		}
	})
	sources.Wait()
	stop()
	others.Wait()
}
