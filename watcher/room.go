package watcher

import (
	"sync"
	"time"
)

// PaceAfter is how many changed Services may wait to be taken before their sources are slowed down, and PaceFor, for how long at the most. Of a
// burst, what was read first is in force before the last is read, and a processor is not busy with reading while the other has all to do.
const (
	PaceAfter = 8
	PaceFor   = 5 * time.Millisecond
)

// Room is where a source waits for what it put to be taken. Its owner's lock guards it. The zero value is ready.
type Room struct {
	// cleared is closed by the next Clear; nil where nobody waits.
	cleared chan struct{}
}

// AwaitAndUnlock unlocks the owner's lock, which is held, and waits, where more than PaceAfter Services are waiting, for the next Clear, for
// PaceFor at the most.
func (r *Room) AwaitAndUnlock(owner sync.Locker, waiting int) {
	if waiting <= PaceAfter {
		owner.Unlock()
		return
	}
	if r.cleared == nil {
		r.cleared = make(chan struct{})
	}
	cleared := r.cleared
	owner.Unlock()
	timer := time.NewTimer(PaceFor)
	defer timer.Stop()
	select {
	case <-cleared:
	case <-timer.C:
	}
}

// Clear lets those go on that wait. The owner's lock is held.
func (r *Room) Clear() {
	if r.cleared != nil {
		close(r.cleared)
		r.cleared = nil
	}
}
