package files

import (
	"time"

	"github.com/podway/podway/api"
)

// A file that is written in place is visible half written. A new name for a
// finished file (rename, symlink swap) never is: it is read at once. Anything else is
// read once nobody has it open for writing; where the system does not say that, once it has
// been still for a moment.
const (
	// stillFor is how long a file must be still where the system does not say who writes.
	stillFor = 20 * time.Millisecond
	// writtenFor is how long a file that is still may be open for writing before it is read nevertheless: some are for ever.
	writtenFor = 5 * time.Second
	// writtenAtFirstFor is how long a reader waits in all for files that are being written when it reads for the first time.
	writtenAtFirstFor = time.Second
	// emptyFor is how long a file that had content must be empty before that is told: it is not believed where the file was there before.
	emptyFor = 250 * time.Millisecond
	// vanishedFor is how long a file must be missing before that is believed: editors rename a file before they write it anew, and a symbolic link is
	// removed before it leads elsewhere. Where another file has come in the same moment, it was moved, or is meant to be gone.
	vanishedFor = 100 * time.Millisecond
	// frozenRetry is how soon a root that cannot be read is looked at again.
	frozenRetry = time.Second
)

// settling is a file that is perhaps half written.
type settling struct {
	stamp stamp
	since time.Time
	tries int
}

// settled says whether a file may be taken as it was read. Where it may not, the reader looks again shortly.
func (r *reader) settled(f found, now stamp, known *stamp, size int, writing, sure bool) bool {
	renamed := known != nil && !known.sameFile(now)
	emptied := known != nil && size == 0 && known.size > 0
	if !writing && !emptied && (sure || renamed) {
		delete(r.settling, f.path)
		return true
	}
	wait := stillFor
	switch {
	case writing:
		wait = writtenFor
	case emptied:
		wait = emptyFor
	}
	if looked := time.Now(); looked.Sub(r.noticed(f.path, now).since) < wait { // what is noticed only now never counts as still
		r.unsettled(f.path, now)
		return false
	}
	delete(r.settling, f.path)
	return true
}

// isEmptied says whether the very file that had content has none: whoever writes in place has emptied it first, and the disk may have been full then, or
// the writer may have ended.
func isEmptied[T any](known *tracked[T], now []byte, as stamp) bool {
	return known != nil && len(now) == 0 && known.stamp.sameFile(as)
}

func emptied() *api.Problem {
	return &api.Problem{
		Code: api.CodeUnreadable, Severity: api.Error, Message: "the file was emptied, as by a write for which the disk had no room",
		Remedy: "write it again, or remove it with all that was in it",
	}
}

// noticed says since when a file that is perhaps half written has looked like this.
func (r *reader) noticed(path string, now stamp) *settling {
	was := r.settling[path]
	if was == nil || !was.stamp.equal(now) {
		was = &settling{stamp: now, since: time.Now()}
		r.settling[path] = was
	}
	return was
}

// unsettled has a file read again after a while, the longer the more often that happened: who writes is mostly done
// within a few milliseconds.
func (r *reader) unsettled(path string, now stamp) {
	was := r.noticed(path, now)
	was.tries++
	r.lookAgain(path, min(time.Duration(was.tries)*time.Millisecond, 50*time.Millisecond))
}

// lookAgain has a file read again after a while.
func (r *reader) lookAgain(path string, after time.Duration) {
	r.again[path] = true
	r.retryIn(after)
}

func (r *reader) retryIn(after time.Duration) {
	if r.retry == 0 || after < r.retry {
		r.retry = after
	}
}
