package memory

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/test/locked"
)

// running is a Keeper that runs, on a clock of the test's own.
type running struct {
	*testing.T
	*Keeper
	store    *Store
	dir      string
	log      *locked.Buffer
	registry *prometheus.Registry
	stop     func()
	taken    atomic.Int32 // snapshots
}

// keep calls a test with a Keeper that runs. Whatever the test does not stop itself is stopped afterwards.
func keep(t *testing.T, test func(*running)) {
	store, dir := openNew(t)
	synctest.Test(t, func(t *testing.T) {
		r := &running{T: t, store: store, dir: dir, log: &locked.Buffer{}, registry: prometheus.NewRegistry()}
		logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
		r.Keeper = NewKeeper(KeeperConfig{Store: store, Logger: logger, Registerer: r.registry})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Keeper.Run(ctx) }()
		r.stop = sync.OnceFunc(func() {
			cancel()
			require.NoError(t, <-done)
		})
		defer r.stop()
		test(r)
	})
}

// note notes a Cluster whose Source tells it from others.
func (r *running) note(source string) {
	r.Note("east", func() *Cluster {
		r.taken.Add(1)
		c := small()
		c.Source = source
		return c
	})
}

// source is that of what is on disk, and how many snapshots were taken for it.
func (r *running) source() string {
	synctest.Wait()
	c, err := r.store.Load("east")
	if err != nil {
		require.ErrorIs(r, err, fs.ErrNotExist)
		return fmt.Sprint("nothing ", r.taken.Load())
	}
	return fmt.Sprint(c.Source, " ", r.taken.Load())
}

// pending is how many clusters the Keeper still has something to do for.
func (r *running) pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.clusters)
}

func (r *running) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (r *running) failures() (total float64) {
	families, err := r.registry.Gather()
	require.NoError(r, err)
	require.Len(r, families, 1)
	require.Equal(r, "podway_state_save_failures_total", families[0].GetName())
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

func TestKeeperSavesTheLatestOnceInAWhile(t *testing.T) {
	keep(t, func(r *running) {
		r.note("a")
		require.Equal(t, "a 1", r.source(), "the first at once")
		r.note("b")
		require.Equal(t, "a 1", r.source())
		r.pass(leastInterval - time.Millisecond)
		r.note("c")
		require.Equal(t, "a 1", r.source())
		r.pass(time.Millisecond)
		require.Equal(t, "c 2", r.source())
		r.pass(time.Hour)
		require.Equal(t, "c 2", r.source(), "nothing changed")
		r.note("d")
		require.Equal(t, "d 3", r.source())
	})
}

func TestKeeperSavesTheLessOftenTheLongerThatTakes(t *testing.T) {
	k := NewKeeper(KeeperConfig{})
	require.Equal(t, time.Second, k.interval(0, 1, false))
	require.Equal(t, time.Second, k.interval(10*time.Millisecond, 1, false))
	require.Equal(t, 3*time.Second, k.interval(30*time.Millisecond, 1, false))
	require.Equal(t, 6*time.Second, k.interval(30*time.Millisecond, 2, false))
	require.Equal(t, 10*time.Second, k.interval(time.Second, 1, false))
	require.Equal(t, 10*time.Second, k.interval(0, 1, true), "a full disk")
	require.Equal(t, time.Millisecond, NewKeeper(KeeperConfig{Interval: time.Millisecond}).interval(time.Second, 1, false))
}

func TestKeeperSavesWhatIsLeftAtTheEnd(t *testing.T) {
	keep(t, func(r *running) {
		r.note("a")
		require.Equal(t, "a 1", r.source())
		r.note("b")
		r.stop()
		require.Equal(t, "b 2", r.source())
		r.note("c")
		require.Equal(t, "b 2", r.source(), "nobody is there any more")
	})
}

func TestKeeperOfNothing(t *testing.T) {
	keep(t, func(r *running) {
		r.Note("east", func() *Cluster { return nil })
		require.Equal(t, "nothing 0", r.source())
		require.Empty(t, r.log.String())
	})
}

// TestNothingWorthKeepingIsNoReasonToWait: what comes a moment later is saved at once, or a podway that is killed in its first second has nothing.
func TestNothingWorthKeepingIsNoReasonToWait(t *testing.T) {
	keep(t, func(r *running) {
		r.Note("east", func() *Cluster { return nil })
		synctest.Wait()
		r.note("first")
		synctest.Wait()
		require.Equal(t, "first 1", r.source())
	})
}

func TestKeeperForgets(t *testing.T) {
	keep(t, func(r *running) {
		r.note("a")
		require.Equal(t, "a 1", r.source())
		r.note("b")
		r.Forget("east")
		require.Equal(t, "nothing 1", r.source())
		require.Zero(t, r.pending())
		r.pass(time.Hour)
		require.Equal(t, "nothing 1", r.source())

		r.note("c")
		require.Equal(t, "c 2", r.source())
		r.Forget("east")
		r.note("d")
		require.Equal(t, "d 3", r.source(), "forgotten, and then known anew")
		r.note("e")
		r.Forget("east")
		r.stop()
		require.Equal(t, "nothing 3", r.source())
		require.Empty(t, r.log.String())
	})
}

func TestForgottenWhileSaving(t *testing.T) {
	keep(t, func(r *running) {
		r.Note("east", func() *Cluster {
			r.Forget("east")
			return small()
		})
		require.Equal(t, "nothing 0", r.source())
		r.Note("east", func() *Cluster {
			r.Forget("east")
			return &Cluster{Name: "west"} // fails
		})
		require.Equal(t, "nothing 0", r.source())
		r.pass(time.Hour)
		require.Zero(t, r.pending())
		require.EqualValues(t, 1, r.failures(), "what was forgotten is not tried again")
	})
}

func TestKeeperSaysWhenItBeginsAndCeasesToFail(t *testing.T) {
	keep(t, func(r *running) {
		require.Zero(t, r.failures())
		blocked := filepath.Join(r.dir, "pods", "east")
		require.NoError(t, os.MkdirAll(filepath.Join(blocked, "a"), 0o700))
		r.note("a")
		r.pass(time.Second)
		require.EqualValues(t, 1, r.failures())
		r.note("b")
		r.pass(25 * time.Second)
		require.EqualValues(t, 3, r.failures())
		text := fmt.Sprintf(`level=WARN msg="The Pods of a cluster cannot be kept in the state directory" cluster=east error="cluster east: its Pods cannot be written to %s: `+
			"file exists; make the directory writable again; until then a restart knows what was written before\"\n", blocked)
		require.Equal(t, text, r.log.String())

		require.NoError(t, os.RemoveAll(blocked))
		r.pass(10 * time.Second)
		require.Equal(t, "b 4", r.source())
		require.EqualValues(t, 3, r.failures())
		text += "level=INFO msg=\"The Pods of a cluster are kept in the state directory again\" cluster=east\n"
		require.Equal(t, text, r.log.String())

		require.NoError(t, os.Remove(blocked))
		require.NoError(t, os.MkdirAll(filepath.Join(blocked, "a"), 0o700))
		r.Forget("east")
		r.pass(time.Second)
		require.EqualValues(t, 4, r.failures())
		require.Contains(t, r.log.String(), "what is remembered of it cannot be removed: "+blocked+": directory not empty; remove the file")
		require.NoError(t, os.RemoveAll(blocked))
		r.pass(10 * time.Second)
		require.EqualValues(t, 4, r.failures())
		require.Zero(t, r.pending())
	})
}

func TestNoteNeverWaits(t *testing.T) {
	keep(t, func(r *running) {
		release := make(chan struct{})
		r.Note("east", func() *Cluster {
			<-release // as a disk that hangs
			return small()
		})
		synctest.Wait()
		for i := range 100 {
			r.note(fmt.Sprint(i))
			r.Note(fmt.Sprint("c", i), func() *Cluster { return nil })
		}
		close(release)
		r.pass(10 * time.Second)
		require.Equal(t, "99 1", r.source())
	})
}

func TestClusterOfAnotherName(t *testing.T) {
	keep(t, func(r *running) {
		r.Note("west", small)
		r.stop()
		require.Contains(t, r.log.String(), `cluster west: cannot be remembered: what was to be kept is of cluster \"east\"`)
		require.Empty(t, names(t, r.dir))
	})
}

func TestManyNoteAtOnce(t *testing.T) {
	store, _ := openNew(t)
	keeper := NewKeeper(KeeperConfig{Store: store, Interval: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- keeper.Run(ctx) }()
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			name := fmt.Sprint("c", i)
			for round := range 200 {
				keeper.Note(name, func() *Cluster { return &Cluster{Name: name, Source: fmt.Sprint(round), Saved: someTime} })
				if round%50 == 0 {
					keeper.Forget(name)
				}
			}
		})
	}
	group.Wait()
	cancel()
	require.NoError(t, <-done)
	for i := range 4 {
		require.Equal(t, "199", load(t, store, fmt.Sprint("c", i)).Source)
	}
}
