package main

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxQueuedLog is how much of the log may wait to be written, in bytes: some thousand lines.
	maxQueuedLog = 1 << 20
	// logPatience is how long the end of the process waits for what reads the log.
	logPatience = time.Second
)

// logQueue is the part of the log that is not written yet. Whoever logs does not wait for what reads it: a pipe that nobody empties, or a disk that hangs,
// would stop the control plane at its next word. Lines that there is no room for, or that cannot be written, are lost, which is told as soon as one can be.
type logQueue struct {
	out io.Writer
	// tell makes the line that tells of lost ones.
	tell  func(lines uint64) []byte
	lost  atomic.Uint64
	wake  chan struct{}
	ended chan struct{}

	mu      sync.Mutex
	queued  []byte // by mu, as what follows: whole lines
	untold  uint64
	closing bool
}

// newLogQueue is for a log whose lines are written to out, by run.
func newLogQueue(out io.Writer, tell func(lines uint64) []byte) *logQueue {
	return &logQueue{out: out, tell: tell, wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Write takes one line, or several whole ones. It never fails, and never waits for what reads the log.
func (q *logQueue) Write(lines []byte) (int, error) {
	q.mu.Lock()
	if len(q.queued) > 0 && len(q.queued)+len(lines) > maxQueuedLog {
		q.lose(lines)
	} else {
		q.queued = append(q.queued, lines...)
	}
	q.mu.Unlock()
	q.awake()
	return len(lines), nil
}

// Lost is how many lines were lost so far.
func (q *logQueue) Lost() uint64 { return q.lost.Load() }

func (q *logQueue) awake() {
	select {
	case q.wake <- struct{}{}:
	default: // it will look
	}
}

// lose is called with mu.
func (q *logQueue) lose(lines []byte) {
	count := uint64(bytes.Count(lines, []byte("\n")))
	q.lost.Add(count)
	q.untold += count
}

// run writes what comes until close is called and all is written.
func (q *logQueue) run() {
	defer close(q.ended)
	var batch []byte
	for range q.wake {
		q.mu.Lock()
		batch, q.queued = q.queued, batch[:0]
		untold, closing := q.untold, q.closing
		q.untold = 0
		q.mu.Unlock()
		q.write(batch, untold)
		if closing {
			return
		}
	}
}

func (q *logQueue) write(batch []byte, untold uint64) {
	n, err := q.out.Write(batch)
	if err == nil && untold > 0 {
		if _, err = q.out.Write(q.tell(untold)); err == nil {
			untold = 0
		}
	}
	if err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.lose(batch[n:])
		q.untold += untold
	}
}

// close has what is queued be written, if that takes no longer than logPatience.
func (q *logQueue) close() {
	q.mu.Lock()
	q.closing = true
	q.mu.Unlock()
	q.awake()
	select {
	case <-q.ended:
	case <-time.After(logPatience):
	}
}
