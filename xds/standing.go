package xds

import "time"

// standing is how far an Envoy is with a name that has an entry.
type standing int

const (
	// upToDate needs nothing, or nothing that can be told from here.
	upToDate standing = iota
	// late is sent, or due to be sent, and not acknowledged.
	late
	// declined is rejected in its present content.
	declined
	// withheld is kept back: it lacks what is not known yet, and the Envoy has more.
	withheld
)

// standingOf does not look at gates that open by themselves: what waits for something else to arrive is late with it. Stream and view are
// locked.
func (p *pass) standingOf(st *typeState, name string, e *entry) standing {
	if !isServed(st.url) || !st.sub.covers(name) {
		return upToDate
	}
	r := p.view.record(st.url, name)
	switch {
	case r == nil:
		// A removal waits for as long as something that the Envoy has refers to the name, and that is what is late then.
		if e.flight != nil {
			return late
		}
		return upToDate
	case e.refuses(r.version):
		return declined
	case e.flight != nil:
		return late
	case e.has.version == r.version && e.maybe == nil:
		return upToDate
	case e.withholds(r), st.url == clusterType && p.endpointsWithheld(r, e):
		return withheld
	}
	return late
}

// lateSince is when the change was published, or else sent, that the Envoy has not acknowledged; zero where neither has happened.
func (e *entry) lateSince() time.Time {
	if e.flight == nil {
		return e.since.published()
	}
	return earlier(e.since.published(), e.flight.at)
}

// lateSince is the same for a type, of which some name is late since the given time. An Envoy that answers nothing at all is
// late since the first thing that it did not answer, however often that was replaced since.
func (st *typeState) lateSince(since time.Time) time.Time {
	if len(st.flight) > 0 && st.lastACK.Before(st.flight[0].at) {
		return earlier(since, st.flight[0].at)
	}
	return since
}

// earlier is the earlier of two times; a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
