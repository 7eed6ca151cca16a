package memory

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podway/podway/api/metric"
)

const (
	defaultInterval = 10 * time.Second
	// leastInterval is what two saves are apart where they cost nearly nothing. What is not saved when podway is killed is what it may serve again though it was
	// gone, while the cluster is away.
	leastInterval = time.Second
	// idleFor is how many times as long as a save took nothing is saved, for each cluster that there is: however many they are, saving takes a hundredth of
	// the time.
	idleFor = 100
)

// KeeperConfig is what a Keeper is told. Store is required.
type KeeperConfig struct {
	Store *Store
	// Interval is the most that two saves of a cluster are apart, where they take their time: 10 s by default. It is a second, or Interval if that
	// is less, where they do not.
	Interval time.Duration
	// Before is called before the Pods of a cluster are saved, with what is saved decided already. Where it fails, they are not. It may be nil.
	Before func(cluster string) error
	// Logger is slog.Default() if nil.
	Logger *slog.Logger
	// Registerer takes the metrics; nil keeps them to the Keeper.
	Registerer prometheus.Registerer
}

// Keeper saves clusters in the background. Its methods are safe for concurrent use and never wait for the disk.
type Keeper struct {
	config   KeeperConfig
	failures prometheus.Counter
	wake     chan struct{}
	// working is held while a cluster is saved or forgotten. It comes before mu.
	working sync.Mutex

	mu       sync.Mutex
	clusters map[string]*kept
}

// kept is what is to be done for a cluster. Only who is working takes it out of the map.
type kept struct {
	snapshot func() *Cluster // nil where nothing changed
	latest   func() *Cluster // of the last Note, nil after Forget
	forget   bool            // before the snapshot, if both
	next     time.Time       // nothing is done before
	failing  bool
}

// NewKeeper makes a Keeper. It does nothing before Run, but takes notes.
func NewKeeper(config KeeperConfig) *Keeper {
	if config.Interval <= 0 {
		config.Interval = defaultInterval
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Registerer == nil {
		config.Registerer = prometheus.NewRegistry()
	}
	return &Keeper{config: config, failures: newFailures(config.Registerer), wake: make(chan struct{}, 1), clusters: map[string]*kept{}}
}

func newFailures(registerer prometheus.Registerer) prometheus.Counter {
	return metric.Register(registerer, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "podway_state_save_failures_total", Help: "Times that the Pods of a cluster could not be kept in the state directory.",
	}))
}

// Note says that a cluster changed. snapshot is called on the goroutine of Run when it is time to save, once for
// however many notes there were, with no lock held: it returns what is then known, which nobody changes
// afterwards, or nil where there is nothing worth keeping. A later Note's snapshot takes its place.
func (k *Keeper) Note(name string, snapshot func() *Cluster) {
	k.mu.Lock()
	e := k.entry(name)
	e.snapshot, e.latest = snapshot, snapshot
	k.mu.Unlock()
	k.wakeUp()
}

// Forget removes what is kept of a cluster, and drops an earlier Note.
func (k *Keeper) Forget(name string) {
	k.mu.Lock()
	e := k.entry(name)
	e.snapshot, e.latest, e.forget, e.next = nil, nil, true, time.Time{}
	k.mu.Unlock()
	k.wakeUp()
}

// SaveNow saves a cluster of which there was a Note, as it is now, whenever that would be due, and returns once it is done or has failed: then Run tries
// again. What is saved already is not written again.
func (k *Keeper) SaveNow(name string) {
	k.mu.Lock()
	if e := k.clusters[name]; e != nil && e.snapshot == nil && !e.forget {
		e.snapshot = e.latest
	}
	k.mu.Unlock()
	k.do(name)
}

func (k *Keeper) entry(name string) *kept {
	e := k.clusters[name]
	if e == nil {
		e = &kept{}
		k.clusters[name] = e
	}
	return e
}

func (k *Keeper) wakeUp() {
	select {
	case k.wake <- struct{}{}:
	default: // A wake-up already waits.
	}
}

// Run saves what was noted until the context ends, and then once more what is not saved yet. It returns nil. End its context
// after those of whoever takes notes, and close the Store after Run.
func (k *Keeper) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			k.work(true)
			return nil
		case <-k.wake:
		case <-timer.C:
		}
		if wait, more := k.work(false); more {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
	}
}

// work does what is due, or all, and says how long it is to what is due next.
func (k *Keeper) work(all bool) (wait time.Duration, more bool) {
	for _, name := range k.due(all) {
		k.do(name)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.clusters {
		if e.snapshot == nil && !e.forget {
			continue
		}
		if until := max(0, time.Until(e.next)); !more || until < wait {
			wait, more = until, true
		}
	}
	return wait, more
}

// due are the clusters that it is time for, sorted.
func (k *Keeper) due(all bool) []string {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	var names []string
	for name, e := range k.clusters {
		if (e.snapshot != nil || e.forget) && (all || !now.Before(e.next)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// do does what is to be done for one cluster. What fails is to be done still.
func (k *Keeper) do(name string) {
	k.working.Lock()
	defer k.working.Unlock()
	k.mu.Lock()
	e := k.clusters[name]
	if e == nil || e.snapshot == nil && !e.forget {
		k.mu.Unlock()
		return // somebody else was faster
	}
	snapshot, forget := e.snapshot, e.forget
	e.snapshot, e.forget = nil, false
	k.mu.Unlock()

	begun := time.Now()
	var err error
	if forget {
		err = k.config.Store.Remove(name)
	}
	removed := forget && err == nil
	saves := false
	if err == nil && snapshot != nil {
		saves, err = k.save(name, snapshot())
	}

	k.mu.Lock()
	defer k.mu.Unlock()
	if !e.forget { // Otherwise it was forgotten meanwhile: that is due at once, and what failed is not tried again.
		if saves || err != nil { // What was only forgotten, or has nothing to save yet, can be saved at once.
			e.next = time.Now().Add(k.interval(time.Since(begun), len(k.clusters), err != nil))
		}
		if err != nil {
			e.forget = forget && !removed
			if e.snapshot == nil {
				e.snapshot = snapshot
			}
		}
	}
	k.tell(name, e, err)
	if removed && snapshot == nil && e.snapshot == nil && !e.forget {
		delete(k.clusters, name)
	}
}

// interval is how long after a save that took so long there is none, with so many clusters. One that failed is tried again after the longest.
func (k *Keeper) interval(took time.Duration, clusters int, failed bool) time.Duration {
	if failed {
		return k.config.Interval
	}
	return pause(took, clusters, k.config.Interval)
}

// pause is how long nothing is saved after a save that took so long, of so many that are saved by themselves.
func pause(took time.Duration, of int, most time.Duration) time.Duration {
	return min(max(time.Duration(idleFor*of)*took, leastInterval), most)
}

// save says whether there was anything to save.
func (k *Keeper) save(name string, c *Cluster) (saves bool, err error) {
	if c == nil {
		return false, nil
	}
	if c.Name != name {
		return true, fmt.Errorf("cluster %s: cannot be remembered: what was to be kept is of cluster %.64q", name, c.Name)
	}
	if k.config.Before != nil {
		if err := k.config.Before(name); err != nil {
			return true, fmt.Errorf("cluster %s: its Pods are not kept before those that are held are: %w", name, err)
		}
	}
	return true, k.config.Store.Save(c)
}

// tell logs when saving begins to fail and when it works again.
func (k *Keeper) tell(name string, e *kept, err error) {
	if err != nil {
		k.failures.Inc()
	}
	switch failing := err != nil; {
	case failing && !e.failing:
		k.config.Logger.Warn("The Pods of a cluster cannot be kept in the state directory", "cluster", name, "error", err)
	case !failing && e.failing:
		k.config.Logger.Info("The Pods of a cluster are kept in the state directory again", "cluster", name)
	}
	e.failing = err != nil
}
