// Package watcher is where what the sources learn is handed to the pipeline.
// It knows pictures of the configuration and sets of Pods, and neither where
// they come from nor what becomes of them.
package watcher

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher/table"
)

// Lanes holds the latest that is known: the configuration in one lane, the Pods
// in the other. Sources put, one consumer takes. Nothing queues: of a Service
// that changed ten times since the last Take there is one key and one Set. It is
// safe for concurrent use.
type Lanes struct {
	changed chan struct{}
	observe Observer

	mu    sync.RWMutex
	base  *snapshot.Config
	facts map[string]*Facts
	fresh bool // base or facts were put since the last Take
	last  *joined
	sets  *table.Table[pods.ServiceKey, pods.Set]
	// own are the Sets that came with Put. One of another source is not theirs to take away: while a cluster goes from one source to
	// another, both may have a Service of that name, and neither waits for the other.
	own     map[pods.ServiceKey]*pods.Set
	pending map[pods.ServiceKey]Stamp
	room    Room
}

// Observer is told of each Set before anybody else is, one after the other: before is nil where the Service was not known, after where it has gone.
// It must not call Lanes.
type Observer func(key pods.ServiceKey, before, after *pods.Set)

// Facts are what is known of a member cluster with an API server, its Pods aside. They are immutable.
type Facts struct {
	// Scope is the part of the cluster whose Services are known.
	Scope *snapshot.Scope
	// Services are all in the Scope, in no order.
	Services []*pods.Service
}

// Stamp says when what led to a Set was first seen. Zero times are not known.
type Stamp struct {
	// Triggered is when the cluster saw the change of a Pod or Service: an EndpointSlice's annotation
	// endpoints.kubernetes.io/last-change-trigger-time.
	Triggered time.Time
	// Read is when the watch event was read off the connection.
	Read time.Time
}

// Older returns the earlier of each time that is known.
func (s Stamp) Older(other Stamp) Stamp {
	earlier := func(a, b time.Time) time.Time {
		if a.IsZero() || !b.IsZero() && b.Before(a) {
			return b
		}
		return a
	}
	return Stamp{Triggered: earlier(s.Triggered, other.Triggered), Read: earlier(s.Read, other.Read)}
}

// Batch is what changed between two Takes.
type Batch struct {
	// Config is nil where it is the one of the last Take.
	Config *snapshot.Config
	// Changed are the Services whose Sets changed, sorted.
	Changed []pods.ServiceKey
	// Stamps are those that are known of the changed Services.
	Stamps map[pods.ServiceKey]Stamp
}

// And is what changed in two Batches, of which other is the later one.
func (b Batch) And(other Batch) Batch {
	if other.Config == nil {
		other.Config = b.Config
	}
	if len(b.Changed) == 0 {
		return other
	}
	stamps := make(map[pods.ServiceKey]Stamp, len(b.Stamps)+len(other.Stamps))
	maps.Copy(stamps, b.Stamps)
	for key, stamp := range other.Stamps {
		stamps[key] = stamps[key].Older(stamp)
	}
	other.Stamps = stamps
	other.Changed = slices.Concat(b.Changed, other.Changed)
	slices.SortFunc(other.Changed, pods.ServiceKey.Compare)
	other.Changed = slices.Compact(other.Changed)
	return other
}

// NewLanes makes empty Lanes. observe may be nil.
func NewLanes(observe Observer) *Lanes {
	if observe == nil {
		observe = func(pods.ServiceKey, *pods.Set, *pods.Set) {}
	}
	return &Lanes{
		changed: make(chan struct{}, 1),
		observe: observe,
		facts:   map[string]*Facts{},
		sets:    table.New((*pods.Set).ServiceKey),
		own:     map[pods.ServiceKey]*pods.Set{},
		pending: map[pods.ServiceKey]Stamp{},
	}
}

// Put puts one consistent state of a source: the configuration, and the Sets
// that changed or went with it. A Take sees all of it or nothing. config may be nil
// where it did not change, as may the others.
func (l *Lanes) Put(config *snapshot.Config, changed map[pods.ServiceKey]*pods.Set, gone []pods.ServiceKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if config != nil && config != l.base {
		l.base, l.fresh = config, true
	}
	maps.Copy(l.own, changed)
	l.put(changed, l.disown(gone), nil)
}

// disown forgets which Sets came with Put, and returns the keys of those that are still the latest of their Services. l.mu is held.
func (l *Lanes) disown(gone []pods.ServiceKey) []pods.ServiceKey {
	latest := make([]pods.ServiceKey, 0, len(gone))
	for _, key := range gone {
		if l.sets.Get(key) == l.own[key] {
			latest = append(latest, key)
		}
		delete(l.own, key)
	}
	return latest
}

// PutCluster puts what changed of a member cluster with an API server. facts are nil where they did not change; stamps may be nil.
func (l *Lanes) PutCluster(name string, facts *Facts, changed map[pods.ServiceKey]*pods.Set, gone []pods.ServiceKey, stamps map[pods.ServiceKey]Stamp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if facts != nil && facts != l.facts[name] {
		l.facts[name], l.fresh = facts, true
	}
	l.put(changed, gone, stamps)
}

// RemoveCluster forgets what was put of a member cluster with an API server, and all of its Pods.
func (l *Lanes) RemoveCluster(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.facts[name] == nil {
		return
	}
	delete(l.facts, name)
	l.fresh = true
	var gone []pods.ServiceKey
	for set := range l.sets.All() {
		if set.Key.Cluster == name && set != l.own[set.Key] {
			gone = append(gone, set.Key)
		}
	}
	l.put(nil, gone, nil)
}

// Touch has the endpoints of Services made again though no Pod changed.
func (l *Lanes) Touch(keys []pods.ServiceKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		l.mark(key, nil)
	}
	l.wake()
}

// put takes up Sets, and wakes the consumer. l.mu is held.
func (l *Lanes) put(changed map[pods.ServiceKey]*pods.Set, gone []pods.ServiceKey, stamps map[pods.ServiceKey]Stamp) {
	for key, set := range changed {
		if before := l.sets.Get(key); before != set {
			l.observe(key, before, set)
			l.sets.Put(set)
			l.mark(key, stamps)
		}
	}
	for _, key := range gone {
		if before := l.sets.Get(key); before != nil {
			l.observe(key, before, nil)
			l.sets.Delete(key)
			l.mark(key, stamps)
		}
	}
	l.wake()
}

func (l *Lanes) mark(key pods.ServiceKey, stamps map[pods.ServiceKey]Stamp) {
	l.pending[key] = l.pending[key].Older(stamps[key])
}

func (l *Lanes) wake() {
	if !l.fresh && len(l.pending) == 0 {
		return
	}
	select {
	case l.changed <- struct{}{}:
	default: // A wake-up already waits.
	}
}

// Changed has a value when there may be something to take. It is never closed.
func (l *Lanes) Changed() <-chan struct{} { return l.changed }

// Take returns what changed since the last Take.
func (l *Lanes) Take() Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batch Batch
	if l.fresh && l.base != nil {
		batch.Config, l.fresh = l.merged(), false
	}
	if len(l.pending) == 0 {
		return batch
	}
	batch.Changed = make([]pods.ServiceKey, 0, len(l.pending))
	batch.Stamps = make(map[pods.ServiceKey]Stamp)
	for key, stamp := range l.pending {
		batch.Changed = append(batch.Changed, key)
		if stamp != (Stamp{}) {
			batch.Stamps[key] = stamp
		}
	}
	l.room.Clear()
	l.pending = map[pods.ServiceKey]Stamp{} // one that was large once would cost its size for ever
	slices.SortFunc(batch.Changed, pods.ServiceKey.Compare)
	return batch
}

// merged is the configuration with the facts of the clusters that it has. l.mu is held.
func (l *Lanes) merged() *snapshot.Config {
	if len(l.facts) == 0 {
		return l.base
	}
	used := make(map[string]*Facts, len(l.facts))
	for name, facts := range l.facts {
		if l.base.MemberClusters[name] != nil && l.base.Synced[name] == nil {
			used[name] = facts // otherwise it has gone, or its source is another one now: it will be removed in a moment
		}
	}
	if last := l.last; last == nil || !maps.Equal(last.used, used) || !snapshot.EqualMaps(last.baseServices, l.base.Services) || !snapshot.EqualMaps(last.baseSynced, l.base.Synced) {
		l.last = join(l.base, used)
	}
	out := *l.base
	out.Services, out.Synced = l.last.services, l.last.synced
	return &out
}

// joined is what a configuration and facts make together, kept for the next time: most changes are of neither.
type joined struct {
	used                   map[string]*Facts
	baseServices, services map[pods.ServiceKey]*pods.Service
	baseSynced, synced     map[string]*snapshot.Scope
}

func join(base *snapshot.Config, used map[string]*Facts) *joined {
	size := len(base.Services)
	for _, facts := range used {
		size += len(facts.Services)
	}
	out := &joined{
		used: used, baseServices: base.Services, services: make(map[pods.ServiceKey]*pods.Service, size),
		baseSynced: base.Synced, synced: make(map[string]*snapshot.Scope, len(base.Synced)+len(used)),
	}
	maps.Copy(out.services, base.Services)
	maps.Copy(out.synced, base.Synced)
	for name, facts := range used {
		out.synced[name] = facts.Scope
		for _, service := range facts.Services {
			out.services[service.Key] = service
		}
	}
	return out
}

// Pace waits while more than PaceAfter Services wait to be taken, for PaceFor at the most. A source calls it between two Puts.
func (l *Lanes) Pace() {
	l.mu.Lock()
	l.room.AwaitAndUnlock(&l.mu, len(l.pending))
}

// Live returns the latest Set of a Service, nil where nothing is known of it. It is a pods.Live.
func (l *Lanes) Live(key pods.ServiceKey) *pods.Set {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.sets.Get(key)
}
