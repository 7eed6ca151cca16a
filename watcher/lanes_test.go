package watcher

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
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
	l := NewLanes()
	require.False(t, woken(l))
	first, second := &snapshot.Config{}, &snapshot.Config{}
	l.PutConfig(first)
	l.Put(second, set("b"), nil)
	l.PutPods(set("a"), nil)
	again := set("a")
	l.PutPods(again, nil)
	require.True(t, woken(l))
	require.False(t, woken(l), "one wake-up is enough for all")

	config, changed := l.Take()
	require.Same(t, second, config)
	require.Equal(t, []pods.ServiceKey{key("a"), key("b")}, changed)
	require.Same(t, again[key("a")], l.Live(key("a")))

	config, changed = l.Take()
	require.Nil(t, config)
	require.Empty(t, changed)
}

func TestWhatDidNotChangeWakesNobody(t *testing.T) {
	l := NewLanes()
	config, sets := &snapshot.Config{}, set("a")
	l.Put(config, sets, nil)
	l.Take()
	require.True(t, woken(l))
	l.Put(config, sets, []pods.ServiceKey{key("never")})
	l.Put(nil, nil, nil)
	require.False(t, woken(l))
}

func TestGoneServiceIsUnknown(t *testing.T) {
	l := NewLanes()
	require.Nil(t, l.Live(key("a")))
	l.PutPods(set("a"), nil)
	l.Take()
	l.PutPods(nil, []pods.ServiceKey{key("a")})
	_, changed := l.Take()
	require.Equal(t, []pods.ServiceKey{key("a")}, changed)
	require.Nil(t, l.Live(key("a")))
}

func TestNothingIsLostBetweenGoroutines(t *testing.T) {
	l := NewLanes()
	const sources, services = 4, 50
	var wg sync.WaitGroup
	for s := range sources {
		wg.Go(func() {
			for i := range services {
				l.PutPods(set(fmt.Sprintf("%d-%d", s, i)), nil)
			}
		})
	}
	seen := map[pods.ServiceKey]bool{}
	for len(seen) < sources*services {
		<-l.Changed()
		_, changed := l.Take()
		for _, k := range changed {
			seen[k] = true
			require.NotNil(t, l.Live(k))
		}
	}
	wg.Wait()
}
