package watcher

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func key(name string) pods.ServiceKey {
	return pods.ServiceKey{Cluster: "east", Namespace: "default", Name: name}
}

func set(name string) map[pods.ServiceKey]*pods.Set {
	return map[pods.ServiceKey]*pods.Set{key(name): {Key: key(name)}}
}

// woken says whether there is a wake-up, and takes it.
func woken(l *Lanes) bool {
	select {
	case <-l.Changed():
		return true
	default:
		return false
	}
}

func TestLatestWinsAndChangesPileUp(t *testing.T) {
	l := NewLanes(nil)
	require.False(t, woken(l))
	first, second := &snapshot.Config{}, &snapshot.Config{}
	l.Put(first, nil, nil)
	l.Put(second, set("b"), nil)
	l.Put(nil, set("a"), nil)
	again := set("a")
	l.Put(nil, again, nil)
	require.True(t, woken(l))
	require.False(t, woken(l), "one wake-up is enough for all")

	batch := l.Take()
	require.Same(t, second, batch.Config)
	require.Equal(t, []pods.ServiceKey{key("a"), key("b")}, batch.Changed)
	require.Same(t, again[key("a")], l.Live(key("a")))

	batch = l.Take()
	require.Nil(t, batch.Config)
	require.Empty(t, batch.Changed)
}

func TestTwoBatchesAreOne(t *testing.T) {
	at := time.Now()
	stamp := func(name string, d time.Duration) map[pods.ServiceKey]Stamp {
		return map[pods.ServiceKey]Stamp{key(name): {Read: at.Add(d)}}
	}
	first, second := &snapshot.Config{}, &snapshot.Config{}
	a := Batch{Config: first, Changed: []pods.ServiceKey{key("a"), key("c")}, Stamps: stamp("a", 1)}
	b := Batch{Changed: []pods.ServiceKey{key("a"), key("b")}, Stamps: stamp("a", 2)}
	require.Equal(t, Batch{Config: first, Changed: []pods.ServiceKey{key("a"), key("b"), key("c")}, Stamps: stamp("a", 1)}, a.And(b))
	b.Config = second
	require.Same(t, second, a.And(b).Config)
	require.Equal(t, stamp("a", 1), a.Stamps)
	require.Equal(t, a, Batch{}.And(a))
	require.Equal(t, a.Changed, a.And(Batch{}).Changed)
}

func TestWhatDidNotChangeWakesNobody(t *testing.T) {
	l := NewLanes(nil)
	config, sets := &snapshot.Config{}, set("a")
	l.Put(config, sets, nil)
	l.Take()
	require.True(t, woken(l))
	l.Put(config, sets, []pods.ServiceKey{key("never")})
	l.Put(nil, nil, nil)
	require.False(t, woken(l))
}

func TestGoneServiceIsUnknown(t *testing.T) {
	l := NewLanes(nil)
	require.Nil(t, l.Live(key("a")))
	l.Put(nil, set("a"), nil)
	l.Take()
	l.Put(nil, nil, []pods.ServiceKey{key("a")})
	require.Equal(t, []pods.ServiceKey{key("a")}, l.Take().Changed)
	require.Nil(t, l.Live(key("a")))
}

func TestNothingIsLostBetweenGoroutines(t *testing.T) {
	l := NewLanes(nil)
	const sources, services = 4, 50
	var wg sync.WaitGroup
	for s := range sources {
		wg.Go(func() {
			for i := range services {
				l.Put(nil, set(fmt.Sprintf("%d-%d", s, i)), nil)
			}
		})
	}
	seen := map[pods.ServiceKey]bool{}
	for len(seen) < sources*services {
		<-l.Changed()
		for _, k := range l.Take().Changed {
			seen[k] = true
			require.NotNil(t, l.Live(k))
		}
	}
	wg.Wait()
}

func TestFactsOfAClusterJoinTheConfiguration(t *testing.T) {
	l := NewLanes(nil)
	facts := &Facts{Scope: &snapshot.Scope{Namespaces: []string{"default"}}, Services: []*pods.Service{{Key: key("a")}}}
	l.PutCluster("east", facts, set("a"), nil, nil)
	require.Nil(t, l.Take().Config, "facts alone are no configuration")

	base := &snapshot.Config{MemberClusters: map[string]*v1alpha1.MemberCluster{"east": {}}}
	l.Put(base, nil, nil)
	config := l.Take().Config
	require.Equal(t, map[pods.ServiceKey]*pods.Service{key("a"): facts.Services[0]}, config.Services)
	require.True(t, config.Synced["east"].Covers("default"))
	require.False(t, config.Synced["east"].Covers("other"))
	require.Nil(t, base.Services, "the source's own picture stays as it is")

	l.PutCluster("east", facts, nil, nil, nil)
	require.Nil(t, l.Take().Config)
	l.RemoveCluster("east")
	batch := l.Take()
	require.Empty(t, batch.Config.Services)
	require.Equal(t, []pods.ServiceKey{key("a")}, batch.Changed)
	require.Nil(t, l.Live(key("a")))
}

func TestFactsOfAClusterThatIsNotConfiguredAreNotServed(t *testing.T) {
	l := NewLanes(nil)
	l.Put(&snapshot.Config{}, nil, nil)
	l.PutCluster("east", &Facts{Scope: snapshot.Everything, Services: []*pods.Service{{Key: key("a")}}}, nil, nil, nil)
	require.Empty(t, l.Take().Config.Services)
}

func TestTheOldestStampOfAServiceCounts(t *testing.T) {
	l := NewLanes(nil)
	at := time.Now()
	stamp := func(read time.Duration) map[pods.ServiceKey]Stamp {
		return map[pods.ServiceKey]Stamp{key("a"): {Read: at.Add(read)}}
	}
	l.PutCluster("east", nil, set("a"), nil, stamp(2*time.Second))
	l.PutCluster("east", nil, set("a"), nil, stamp(time.Second))
	l.PutCluster("east", nil, set("a"), nil, nil)
	require.Equal(t, at.Add(time.Second), l.Take().Stamps[key("a")].Read)
	l.PutCluster("east", nil, set("a"), nil, nil)
	require.Empty(t, l.Take().Stamps)
}

func TestObserverSeesEachChangeFirst(t *testing.T) {
	var seen []string
	l := NewLanes(func(k pods.ServiceKey, before, after *pods.Set) {
		seen = append(seen, fmt.Sprintf("%s %t %t", k.Name, before != nil, after != nil))
	})
	l.Put(nil, set("a"), nil)
	l.Put(nil, set("a"), nil)
	l.Put(nil, nil, []pods.ServiceKey{key("a"), key("never")})
	require.Equal(t, []string{"a false true", "a true true", "a true false"}, seen)
	l.Take()
	l.Touch([]pods.ServiceKey{key("a")})
	require.Equal(t, []pods.ServiceKey{key("a")}, l.Take().Changed)
}

// A source that is ahead waits for what it put to be taken, and never for long.
func TestSourcesArePaced(t *testing.T) {
	lanes := NewLanes(nil)
	put := func(services int) {
		changed := map[pods.ServiceKey]*pods.Set{}
		for i := range services {
			key := pods.ServiceKey{Cluster: "east", Namespace: "shop", Name: fmt.Sprint(i)}
			changed[key] = &pods.Set{Key: key}
		}
		lanes.PutCluster("east", nil, changed, nil, nil)
	}
	put(PaceAfter)
	lanes.Pace()
	require.Nil(t, lanes.room.cleared, "as many may wait")
	put(PaceAfter + 1)
	begun := time.Now()
	lanes.Pace()
	require.GreaterOrEqual(t, time.Since(begun), PaceFor, "nobody takes")
	paced := make(chan struct{})
	go func() {
		defer close(paced)
		lanes.Pace()
	}()
	require.Len(t, lanes.Take().Changed, PaceAfter+1)
	<-paced
	lanes.Pace() // there is nothing to wait for
}

// TestAClusterChangesItsSource from files to an API server and back, whichever of the two sources is first.
func TestAClusterChangesItsSource(t *testing.T) {
	facts := &Facts{Scope: snapshot.Everything}
	filed, watched := set("a"), set("a")
	gone := []pods.ServiceKey{key("a"), key("b")}
	for name, first := range map[string]bool{"the API server first": true, "the files first": false} {
		t.Run(name, func(t *testing.T) {
			l := NewLanes(nil)
			l.Put(&snapshot.Config{}, filed, nil)
			l.Put(nil, set("b"), nil)
			steps := []func(){
				func() { l.PutCluster("east", facts, watched, nil, nil) },
				func() { l.Put(&snapshot.Config{}, nil, gone) },
			}
			steps[0], steps[1] = inOrder(first, steps[0], steps[1])
			steps[0]()
			steps[1]()
			require.Same(t, watched[key("a")], l.Live(key("a")))
			require.Nil(t, l.Live(key("b")), "only the files had it")
			l.Put(nil, nil, gone)
			require.Same(t, watched[key("a")], l.Live(key("a")))

			again := set("a")
			l.PutCluster("east", nil, set("c"), nil, nil)
			steps[0], steps[1] = inOrder(first, func() { l.RemoveCluster("east") }, func() { l.Put(&snapshot.Config{}, again, nil) })
			steps[0]()
			steps[1]()
			require.Same(t, again[key("a")], l.Live(key("a")))
			require.Nil(t, l.Live(key("c")), "only the API server had it")
			l.Put(nil, nil, gone)
			require.Nil(t, l.Live(key("a")))
		})
	}
}

func inOrder(first bool, a, b func()) (func(), func()) {
	if first {
		return a, b
	}
	return b, a
}
