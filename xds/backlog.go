package xds

import (
	"sync"
	"sync/atomic"
	"time"
)

// backlog is ClusterLoadAssignments that were published while streams were reading their view. Whoever locks the view next puts them into it. A
// publisher that waited for those streams would have all others wait behind it, at each change, and would hardly get on beside a thousand.
type backlog struct {
	// waiting is true while there are any.
	waiting atomic.Bool

	mu   sync.Mutex
	late []published
}

// published is a record, and when it was published.
type published struct {
	record *record
	at     time.Time
}

func (b *backlog) add(p published) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.late = append(b.late, p)
	b.waiting.Store(true)
}

// take returns all that there are, the oldest first.
func (b *backlog) take() []published {
	b.mu.Lock()
	defer b.mu.Unlock()
	late := b.late
	b.late = nil
	b.waiting.Store(false)
	return late
}

// putLater puts a record into the view at once or, while others read that, before anyone else can.
func (v *view) putLater(r *record, at time.Time) {
	v.backlog.add(published{r, at})
	if v.mu.TryLock() {
		v.catchUp()
		v.mu.Unlock()
	}
}

// catchUp puts what was published into the view. v.mu is held.
func (v *view) catchUp() {
	if !v.backlog.waiting.Load() {
		return
	}
	for _, p := range v.backlog.take() {
		v.put(p.record.key, p.record, p.at)
	}
}

// lock is how v.mu is locked for writing.
func (v *view) lock() {
	v.mu.Lock()
	v.catchUp()
}

// rLock is how v.mu is locked for reading. All that was published before is in the view then.
func (v *view) rLock() {
	if v.backlog.waiting.Load() {
		v.lock()
		v.mu.Unlock()
	}
	v.mu.RLock()
}
