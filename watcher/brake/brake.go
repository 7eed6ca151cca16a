package brake

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/watcher/memory"
	"github.com/podway/podway/watcher/table"
)

// Config is what a Brake is told. The zero value of each field stands for its default.
type Config struct {
	// Defaults are the Settings of clusters that have none of their own; Defaults of this package by default.
	Defaults Settings
	// Now is the clock, time.Now by default. Run waits by the system's.
	Now func() time.Time
	// OnChange is told of the Services of tunnels whose held Pods changed without a new Set: after a limit, by hand, or by Configure. Their
	// endpoints and the Problems are to be made again. The Services are sorted and may be those of other tunnels too. It is called from Run,
	// Release and Configure, and must not block.
	OnChange func([]pods.ServiceKey)
	// Registerer takes the metrics; nil keeps them to the Brake.
	Registerer prometheus.Registerer
}

// Brake holds Pods in tunnels. It is safe for concurrent use.
type Brake struct {
	config  Config
	metrics *metrics
	wake    chan struct{} // a limit may have come nearer
	// heldChanged has a value when a hold is not what it was.
	heldChanged chan struct{}

	mu sync.Mutex // guards all that follows, and all units
	// sets are the latest of every Service, of those that no tunnel uses too: a configuration may come later.
	sets    *setTable
	tunnels map[types.NamespacedName][]*unit
	// uses and clusters are what Configure said last.
	uses     map[types.NamespacedName][]pods.Use
	clusters map[string]Settings
	users    map[pods.ServiceKey][]*unit
	// holding are the units that hold Pods.
	holding map[*unit]struct{}
	// restored are holds of before a restart whose tunnels have not been configured yet.
	restored map[holdOf]memory.Hold
	// losses are those of before a restart, of tunnels that have not been configured yet.
	losses map[holdOf][]memory.Hold
	// counted are the clusters that metrics are labeled with.
	counted map[string]struct{}
	// gathering is true where a unit has lost so many Pods that a hold may begin with the next; gathered is when that was last told.
	gathering bool
	gathered  time.Time
	// next is when Run looks at the limits again; zero: not before it is woken.
	next time.Time
	// problems are those of the holds, nil where they have to be made again.
	problems []api.Problem
	// changes is scratch memory.
	changes []change
}

type setTable = table.Table[pods.ServiceKey, pods.Set]

// New makes a Brake. It starts nothing.
func New(config Config) *Brake {
	config.Defaults = config.Defaults.or(Defaults)
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.OnChange == nil {
		config.OnChange = func([]pods.ServiceKey) {}
	}
	if config.Registerer == nil {
		config.Registerer = prometheus.NewRegistry()
	}
	return &Brake{
		config: config, metrics: newMetrics(config.Registerer), wake: make(chan struct{}, 1),
		heldChanged: make(chan struct{}, 1), restored: map[holdOf]memory.Hold{}, losses: map[holdOf][]memory.Hold{},
		sets: table.New((*pods.Set).ServiceKey), tunnels: map[types.NamespacedName][]*unit{}, uses: map[types.NamespacedName][]pods.Use{}, users: map[pods.ServiceKey][]*unit{},
		holding: map[*unit]struct{}{}, counted: map[string]struct{}{}, problems: []api.Problem{},
	}
}

// Run ends holds at their limits, until the context ends.
func (b *Brake) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		changed, wait, waits := b.endAtLimit()
		b.tell(changed)
		b.sleep(ctx, wait, waits)
	}
	return nil
}

// sleep waits for the time, if there is one, or to be woken.
func (b *Brake) sleep(ctx context.Context, wait time.Duration, waits bool) {
	var limit <-chan time.Time
	if waits {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		limit = timer.C
	}
	select {
	case <-ctx.Done():
	case <-b.wake:
	case <-limit:
	}
}

// endAtLimit ends the holds whose time is over, and says how long the others have.
func (b *Brake) endAtLimit() (changed []pods.ServiceKey, wait time.Duration, waits bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.config.Now()
	b.next = time.Time{}
	for u := range b.holding {
		switch until := u.hold.until; {
		case !now.Before(until):
			changed = append(changed, u.keys()...)
			b.letGo(u, reasonLimit)
		case b.next.IsZero() || until.Before(b.next):
			b.next = until
		}
	}
	if b.next.IsZero() {
		return changed, 0, false
	}
	return changed, b.next.Sub(now), true
}

// Release ends all holds of a cluster, and returns how many Pods were let go, each counted once. They are out of their tunnels until they
// have been ready again.
func (b *Brake) Release(cluster string) int {
	changed, released := b.release(cluster)
	b.tell(changed)
	return released
}

func (b *Brake) release(cluster string) (changed []pods.ServiceKey, released int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.restored, func(of holdOf, _ memory.Hold) bool { return of.cluster == cluster })
	let := map[podID]struct{}{}
	for u := range b.holding {
		if u.cluster != cluster {
			continue
		}
		for id := range u.hold.pods {
			let[id] = struct{}{}
		}
		changed = append(changed, u.keys()...)
		b.letGo(u, reasonHand)
	}
	return changed, len(let)
}

// tell calls OnChange, without the lock.
func (b *Brake) tell(changed []pods.ServiceKey) {
	if len(changed) == 0 {
		return
	}
	slices.SortFunc(changed, pods.ServiceKey.Compare)
	b.config.OnChange(slices.Compact(changed))
}

// begin holds all Pods of a unit that were lost, of so many.
func (b *Brake) begin(u *unit, of int, now time.Time) {
	u.hold = &hold{
		pods: make(map[podID]struct{}, len(u.lost)), since: now, until: now.Add(u.settings.Limit),
		lost: len(u.lost), of: of, views: map[pods.ServiceKey]view{},
	}
	for id := range u.lost {
		u.hold.pods[id] = struct{}{}
	}
	u.lost, u.kept = nil, nil
	b.metrics.begin(u.cluster)
	b.resumed(u)
}

// resumed counts a hold that begins, or goes on after a restart.
func (b *Brake) resumed(u *unit) {
	b.holding[u] = struct{}{}
	b.problems = nil
	b.counted[u.cluster] = struct{}{}
	b.metrics.holding(u.cluster, 1)
	b.metrics.pods(u.cluster, len(u.hold.pods))
	b.nearer(u.hold.until)
	b.heldAnew()
}

// nearer wakes Run where a limit comes before what it waits for.
func (b *Brake) nearer(until time.Time) {
	if !b.next.IsZero() && !until.Before(b.next) {
		return
	}
	b.next = until
	select {
	case b.wake <- struct{}{}:
	default: // A wake-up already waits.
	}
}

// end ends a hold, and leaves what Sets that are still in force are shown as.
func (b *Brake) end(u *unit, why reason) {
	b.metrics.end(u.cluster, why)
	b.metrics.pods(u.cluster, -len(u.hold.pods))
	b.metrics.holding(u.cluster, -1)
	u.hold = nil
	delete(b.holding, u)
	b.problems = nil
	b.heldAnew()
}

// letGo ends a hold whose Pods are still not ready. They are not lost again by that.
func (b *Brake) letGo(u *unit, why reason) {
	b.end(u, why)
	u.kept = nil
}

func inCluster(units []*unit, cluster string) *unit {
	for _, u := range units {
		if u.cluster == cluster {
			return u
		}
	}
	return nil
}
