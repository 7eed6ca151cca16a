package kube

import "time"

const (
	// awayAfter is how long the server can not have been heard when a watch is opened anew for what it tells first to be a backlog.
	awayAfter = time.Second
	// backlogPause is how long nothing may come of a backlog for it to have been read: a round trip to a server far away. backlogMost is how long that may
	// take: a cluster in which something changes all the time never pauses, and a change that comes after a server has come back is to be followed within a
	// second.
	backlogPause = 100 * time.Millisecond
	backlogMost  = 300 * time.Millisecond
	// backlogsMost is how long nothing may be handed on where one backlog begins before another one ends: watches that are opened anew all the time, such as
	// those of many namespaces by a server that ends them soon, would hold up everything for ever.
	backlogsMost = 2 * backlogMost
)

// backlog is what happened while a server was away, told one event after the other once it is back. Only the end of it counts: handed on event by event, it
// would have Envoys send requests to Pods that came and went meanwhile. The zero value has been read.
type backlog struct {
	// begun is when it began to be read; last is when something of it was.
	begun, last time.Time
}

// until is when all of it will have been read if nothing more comes, zero where it has been.
func (b *backlog) until(now time.Time) time.Time {
	end := b.last.Add(backlogPause)
	if most := b.begun.Add(backlogMost); most.Before(end) {
		end = most
	}
	if !end.After(now) {
		return time.Time{}
	}
	return end
}

// What follows is for whoever holds session.mu.

// caughtUp notes that there was a complete list.
func (s *source) caughtUp(now time.Time) {
	s.heard = now
	delete(s.session.backlogs, s)
	s.isBack()
}

// resumes notes that a watch is open that goes on where the one before it ended: there is a backlog where the server was away in between.
func (s *source) resumes(now time.Time) {
	if s.isBack() || now.Sub(s.heard) > awayAfter {
		s.catchUp(now)
	}
}

// isBack says whether the server was away, and is there again, since it was last asked.
func (s *source) isBack() bool {
	before := s.back
	s.back = s.session.client.cameBack()
	return s.back.After(before)
}

// catchUp has nothing handed on until what comes now has been read.
func (s *source) catchUp(now time.Time) {
	if len(s.session.backlogs) == 0 {
		s.session.caught = now
	}
	s.session.backlogs[s] = &backlog{begun: now, last: now}
}

// follow notes that something was read of an open watch. What comes first after a silence is a backlog too.
func (s *source) follow(now time.Time) {
	if b := s.session.backlogs[s]; b != nil {
		b.last = now
	}
	if s.isBack() && now.Sub(s.back) < backlogPause {
		s.catchUp(now)
		s.session.poke() // it has the timer
	}
}

// catchesUp is until when nothing is to be handed on, zero where all backlogs have been read.
func (s *Session) catchesUp(now time.Time) time.Time {
	var latest time.Time
	most := s.caught.Add(backlogsMost)
	for source, backlog := range s.backlogs {
		until := backlog.until(now)
		if until.IsZero() || !most.After(now) {
			delete(s.backlogs, source)
		} else if until.After(latest) {
			latest = until
		}
	}
	if most.Before(latest) {
		return most
	}
	return latest
}
