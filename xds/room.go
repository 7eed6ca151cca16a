package xds

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/semaphore"
)

// intakeBound is how long a large request may wait until its peer has room for it. Only its own stream stands still meanwhile.
const intakeBound = 30 * time.Second

// wait is how a message waits for room.
type wait struct {
	ctx    context.Context
	cancel context.CancelFunc
	// withheld is how much more the client may send once there is room.
	withheld uint32
}

// begin finds room for a message. One that is too large is refused by gRPC, and a small one fits into the window that a stream has anyway.
// in.mu is held.
func (in *intake) begin(id uint32, a *arrival) {
	if a.left <= receiveWindow || a.left > in.server.config.Limits.MaxRequestBytes {
		return
	}
	if in.budgets == nil {
		in.budgets = in.server.doorman.intakesOf(in.peer.keys())
	}
	if in.tryReserve(a.left) {
		in.hold(a, a.left)
		return
	}
	w := &wait{}
	w.ctx, w.cancel = context.WithTimeout(in.ctx, intakeBound)
	a.wait = w
	in.waiting.Add(1)
	go in.await(id, a, w, a.left)
}

// hold has a message arrive for which there is room. in.mu is held.
func (in *intake) hold(a *arrival, size int) {
	a.held = size
	a.timer = time.AfterFunc(requestBound, func() { in.late(a, size) })
}

// await waits for room, and then tells the client that it may go on.
func (in *intake) await(id uint32, a *arrival, w *wait, size int) {
	defer w.cancel()
	err := in.reserve(w.ctx, size)
	in.mu.Lock()
	switch stays := a.wait == w && !a.gone; {
	case err == nil && stays:
		in.hold(a, size)
	case err == nil:
		in.giveBack(size)
	case stays:
		in.fail(reasonRequestBytes, err)
		_ = in.Conn.Close()
	}
	if a.wait == w {
		a.wait = nil
	}
	withheld := w.withheld
	in.waiting.Add(-1)
	in.mu.Unlock()
	in.sent.extend(in.Conn, id, withheld)
}

// tryReserve is true where there is room for a request in each of the peer's budgets, which it then has.
func (in *intake) tryReserve(size int) bool {
	for i, budget := range in.budgets {
		if !budget.TryAcquire(in.weigh(size)) {
			in.release(in.budgets[:i], size)
			return false
		}
	}
	return true
}

// reserve waits until there is.
func (in *intake) reserve(ctx context.Context, size int) error {
	for i, budget := range in.budgets {
		if err := budget.Acquire(ctx, in.weigh(size)); err != nil {
			in.release(in.budgets[:i], size)
			return fmt.Errorf("a request of %d bytes found no room within %s beside those that are on their way; one %s has %d bytes for them",
				size, intakeBound, in.peer.keys()[i].kind, in.server.config.Limits.MaxIntakeBytesPerPeer)
		}
	}
	return nil
}

func (in *intake) giveBack(size int) { in.release(in.budgets, size) }

func (in *intake) release(budgets []*semaphore.Weighted, size int) {
	for _, budget := range budgets {
		budget.Release(in.weigh(size))
	}
}

// weigh is what a request takes of a budget: it may be larger than that.
func (in *intake) weigh(size int) int64 {
	return int64(min(size, in.server.config.Limits.MaxIntakeBytesPerPeer))
}
