// Package watcher is where what the sources learn is handed to the pipeline.
// It knows pictures of the configuration and sets of Pods, and neither where
// they come from nor what becomes of them.
package watcher

import (
	"slices"
	"strings"
	"sync"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// Lanes holds the latest that is known: the configuration in one lane, the Pods
// in the other. Sources put, one consumer takes. Nothing queues: of a Service
// that changed ten times since the last Take there is one key and one Set. It is
// safe for concurrent use.
type Lanes struct {
	changed chan struct{}

	mu      sync.RWMutex
	config  *snapshot.Config
	fresh   bool // config was put since the last Take
	sets    map[pods.ServiceKey]*pods.Set
	pending map[pods.ServiceKey]struct{}
}

// NewLanes makes empty Lanes.
func NewLanes() *Lanes {
	return &Lanes{
		changed: make(chan struct{}, 1),
		sets:    map[pods.ServiceKey]*pods.Set{},
		pending: map[pods.ServiceKey]struct{}{},
	}
}

// Put puts one consistent state of a source: the configuration, and the Sets
// that changed or went with it. A Take sees all of it or nothing. config may be nil
// where it did not change, as may the others.
func (l *Lanes) Put(config *snapshot.Config, changed map[pods.ServiceKey]*pods.Set, gone []pods.ServiceKey) {
	l.mu.Lock()
	if config != nil && config != l.config {
		l.config, l.fresh = config, true
	}
	for key, set := range changed {
		if l.sets[key] != set {
			l.sets[key] = set
			l.pending[key] = struct{}{}
		}
	}
	for _, key := range gone {
		if _, ok := l.sets[key]; ok {
			delete(l.sets, key)
			l.pending[key] = struct{}{}
		}
	}
	wake := l.fresh || len(l.pending) > 0
	l.mu.Unlock()
	if !wake {
		return
	}
	select {
	case l.changed <- struct{}{}:
	default: // A wake-up already waits.
	}
}

// PutConfig puts the latest configuration.
func (l *Lanes) PutConfig(config *snapshot.Config) { l.Put(config, nil, nil) }

// PutPods puts the latest Sets of some Services, and names those of which nothing is known any more.
func (l *Lanes) PutPods(changed map[pods.ServiceKey]*pods.Set, gone []pods.ServiceKey) {
	l.Put(nil, changed, gone)
}

// Changed has a value when there may be something to take. It is never closed.
func (l *Lanes) Changed() <-chan struct{} { return l.changed }

// Take returns the configuration, nil where it is the one of the last Take, and
// the Services whose Sets changed since then, sorted.
func (l *Lanes) Take() (config *snapshot.Config, changed []pods.ServiceKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fresh {
		config, l.fresh = l.config, false
	}
	if len(l.pending) == 0 {
		return config, nil
	}
	changed = make([]pods.ServiceKey, 0, len(l.pending))
	for key := range l.pending {
		changed = append(changed, key)
	}
	clear(l.pending)
	slices.SortFunc(changed, compareKeys)
	return config, changed
}

// Live returns the latest Set of a Service, nil where nothing is known of it. It is a pods.Live.
func (l *Lanes) Live(key pods.ServiceKey) *pods.Set {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.sets[key]
}

func compareKeys(a, b pods.ServiceKey) int {
	if c := strings.Compare(a.Cluster, b.Cluster); c != 0 {
		return c
	}
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}
