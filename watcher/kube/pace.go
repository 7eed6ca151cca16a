package kube

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// shortest is how long a watch lasts that is any good. One that ends sooner has shown no more than one that was not given.
	shortest = time.Second
	// failedMost is the longest pause between two tries of a watch where the server is there and does not give one that is any good; where there are so many
	// of them that this would be more than one request each refusedEach, it is longer.
	failedMost = 800 * time.Millisecond
	// listAgainFirst and listAgainMost bound the pause between two lists where no watch between them was any good; where there are so many of them that this
	// would be more than one list each listEach, it is longer.
	listAgainFirst = time.Second
	listAgainMost  = 10 * time.Second
	listEach       = 100 * time.Millisecond
)

// pace is how a source is to be gentle with a server that is there, and whose watches are of no use: each of them, and each list, goes well or fails at once,
// and the next one would be asked for right away. The zero value is that of a server that is well.
type pace struct {
	// short counts the watches in a row that ended as soon as they were open.
	short int
	// lists counts the complete lists since a watch was any good; due is when there may be another one.
	lists int
	due   time.Time
}

// What follows is for whoever holds session.mu.

// lasted takes up that a watch was open for so long.
func (p *pace) lasted(open time.Duration) {
	if open < shortest {
		p.short++
	} else {
		*p = pace{}
	}
}

// listed takes up that a list is complete. The first one after a watch that was any good may be followed by another one at once: the server may have
// forgotten meanwhile from where a watch is to go on.
func (p *pace) listed(now time.Time, most time.Duration) {
	if p.lists > 0 {
		p.due = now.Add(jittered(p.lists-1, listAgainFirst, most))
	}
	p.lists++
}

// endsAtOnce says whether the watches of the source do, one after the other.
func (s *source) endsAtOnce(now time.Time) bool {
	return s.pace.short >= faults && (!s.streaming || now.Sub(s.since) < shortest)
}

// failing is how many sources the server does not give what they ask for, though it refuses none of it.
func (s *Session) failing(now time.Time) time.Duration {
	count := 0
	for _, source := range s.all() {
		if source.endsAtOnce(now) || source.failure != nil && !isRefusal(source.failure) {
			count++
		}
	}
	return time.Duration(count)
}

// longest is the longest pause before what failed so is asked for again.
func (s *Session) longest(failure error) time.Duration {
	if isRefusal(failure) {
		return s.refusedPause()
	}
	return max(failedMost, s.failing(time.Now())*refusedEach)
}

// What follows is for the reflector's goroutine.

// rest waits before a watch, or a list, where those before it were of no use.
func (s *source) rest(ctx context.Context, list bool) error {
	now := time.Now()
	s.session.mu.Lock()
	var pause time.Duration
	if s.pace.short > 1 {
		pause = jittered(s.pace.short-2, retryFirst, s.session.longest(nil))
	}
	if list {
		pause = max(pause, s.pace.due.Sub(now))
	}
	s.session.mu.Unlock()
	wait(ctx, pause)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("waiting to ask for %s: %w", s.resource, err)
	}
	return nil
}

// mayList says whether a list need not wait.
func (s *source) mayList() bool {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	return !time.Now().Before(s.pace.due)
}

// goesOn says whether a watch that was not given, after so many tries, is to be asked for again, instead of a list of everything.
func (s *source) goesOn(err error, tries int) bool {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return false // from where it was, nothing can be told any more
	}
	return isPassing(err, tries) || !s.mayList()
}

// begins says whether a watch is to be taken for one that has told of something, once it is open: a reflector lists everything again where one ends within a
// second and has told of nothing. That is of use only where several have.
func (s *source) begins(version string) string {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	if version == "0" || s.pace.short >= faults && !time.Now().Before(s.pace.due) {
		return ""
	}
	return version
}
