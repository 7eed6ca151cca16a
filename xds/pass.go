package xds

import (
	"slices"
	"strings"
	"time"
)

// pass is one look at what a stream is owed. Stream and view are locked.
type pass struct {
	stream    *stream
	view      *view
	now       time.Time
	responses []*response
	wakeAt    time.Time
}

// lookAgain makes sure that the stream is looked at again by the given time.
func (p *pass) lookAgain(at time.Time) {
	if p.wakeAt.IsZero() || at.Before(p.wakeAt) {
		p.wakeAt = at
	}
}

type verdict int

const (
	// nothing to do for now; the entry stays.
	nothing verdict = iota
	// current needs no entry.
	current
	send
	remove
)

// decide says what is to be done about an entry, gates aside.
func (p *pass) decide(st *typeState, name string, e *entry) verdict {
	return p.decideFor(st, name, e, p.view.record(st.url, name))
}

// decideFor is decide where the view's record is known; nil for none.
func (p *pass) decideFor(st *typeState, name string, e *entry, r *record) verdict {
	if !st.sub.covers(name) {
		return current
	}
	if r == nil {
		switch {
		case e.flight != nil && e.sent == nil:
			return nothing
		case e.present() || e.tell:
			return remove
		}
		return current
	}
	onItsWay := e.flight != nil && e.sent != nil
	switch {
	case e.refuses(r.version), e.withholds(r):
		return nothing
	case e.again:
		return send
	case onItsWay && e.sent.version == r.version:
		return nothing
	case onItsWay && st.url != clusterType:
		// One version of a name is on its way at a time. Not so of clusters: Envoy holds back their ACK while any of them warms.
		return nothing
	case e.isCurrent(r):
		return current
	}
	return send
}

// isCurrent is true where the client has what the view has, and nothing is on its way or asked for.
func (e *entry) isCurrent(now *record) bool {
	return now != nil && e.flight == nil && e.has.version == now.version && e.maybe == nil && !e.again && !e.refuses(now.version)
}

// withholds is true for a record that lacks something, where the client has a version that may be whole.
func (e *entry) withholds(r *record) bool {
	if !r.partial {
		return false
	}
	if e.flight != nil && e.sent != nil {
		return !e.sent.partial
	}
	return e.has.version != "" && e.has.version != r.version && !e.has.partial
}

// due are the items to send now, by name. waiting is true where others are held back by a gate.
func (p *pass) due(st *typeState) (due []item, waiting bool) {
	records := p.view.records(st.url)
	st.absences = false
	due = p.stream.due[:0]
	if len(st.flight) == 0 {
		due = slices.Grow(due, st.entries.len()) // nearly all of them are due
	}
	for name, e := range st.entries.all() {
		r := records[name]
		if r != nil && e.flight != nil && e.sent != nil && !e.again && st.url != clusterType {
			continue // as decide says too, of most entries of a busy stream
		}
		switch p.decideFor(st, name, e, r) {
		case current:
			st.drop(name)
		case remove:
			st.absences = true
		case send:
			if !p.open(st, name, e) {
				waiting = true
				continue
			}
			due = append(due, item{name: name, record: r})
		}
	}
	slices.SortFunc(due, byName)
	p.stream.due = due
	return due, waiting
}

func byName(a, b item) int { return strings.Compare(a.name, b.name) }

// sends adds what is new or changed of one type.
func (p *pass) sends(st *typeState) {
	if !st.synced || !isServed(st.url) {
		return
	}
	p.unstick(st)
	due, waiting := p.due(st)
	if p.stream.variant.complete(st.url) {
		p.sendComplete(st, due, waiting)
		return
	}
	for _, group := range st.takeRetries() {
		var batch []item
		batch, due = pick(due, group)
		for _, part := range split(batch, len(batch), p.stream.server.config.Limits.MaxResponseBytes) {
			p.respond(st, part)
		}
	}
	if p.sendBatches(st, due) == 0 && st.owesAnswer && !waiting {
		p.respond(st, nil)
	}
}

// sendBatches sends what the window allows, and returns how many items were due.
func (p *pass) sendBatches(st *typeState, due []item) int {
	if len(due) == 1 {
		// As mostly: it needs no splitting.
		if p.window(st, due) {
			p.respond(st, due)
		}
		return 1
	}
	for _, batch := range p.batches(st, due) {
		if !p.window(st, batch) {
			break
		}
		p.respond(st, batch)
	}
	return len(due)
}

// sendComplete adds a SotW answer with everything of a type. Due items that cannot be sent yet stay as the client has them.
func (p *pass) sendComplete(st *typeState, due []item, waiting bool) {
	if len(st.retry) > 0 {
		// One group at a time, each beside what is known to be good.
		if len(st.flight) > 0 {
			return
		}
		for len(st.retry) > 0 {
			var batch []item
			batch, _ = pick(due, st.retry[0])
			st.retry = st.retry[1:]
			if len(batch) > 0 {
				p.respond(st, batch)
				return
			}
		}
	}
	if st.owesAnswer && waiting || !st.owesAnswer && len(due) == 0 {
		// What the first answer leaves out, a client that comes from another server deletes.
		return
	}
	if st.url != clusterType && len(st.flight) > 0 || !p.window(st, due) {
		return
	}
	p.respond(st, due)
}

// removals adds what has gone.
func (p *pass) removals(st *typeState) {
	if !st.synced || isServed(st.url) && !st.absences && len(st.untold) == 0 {
		return
	}
	var gone []item
	for name, e := range st.entries.all() {
		switch p.decide(st, name, e) {
		case current:
			st.drop(name)
		case remove:
			if !e.present() && p.stream.variant.complete(st.url) {
				// The answer that it was asked in says so, by leaving it out.
				st.drop(name)
				continue
			}
			if p.removable(st, name, e) {
				gone = append(gone, item{name: name})
			}
		}
	}
	gone = append(gone, p.absent(st)...)
	if len(gone) == 0 || p.stream.variant.complete(st.url) && st.url != clusterType && len(st.flight) > 0 {
		return
	}
	slices.SortFunc(gone, byName)
	if !p.stream.variant.removes(st.url) {
		// SotW has no word for it: the client finds out by what no longer refers to the name.
		for _, i := range gone {
			st.drop(i.name)
		}
		return
	}
	for _, batch := range p.removalBatches(st, gone) {
		if !p.window(st, batch) {
			break
		}
		p.respond(st, batch)
	}
}

// absent are the names to be told not to be there that the client never had. A complete answer says so by leaving them out.
func (p *pass) absent(st *typeState) []item {
	if len(st.untold) == 0 {
		return nil
	}
	if !p.stream.variant.removes(st.url) || p.stream.variant.complete(st.url) {
		st.untold, st.telling = nil, 0
		return nil
	}
	if !p.window(st, nil) {
		return nil
	}
	absent := make([]item, 0, len(st.untold))
	for name := range st.untold {
		if !p.warmsWithout(st, name) {
			absent = append(absent, item{name: name})
		}
	}
	return absent
}
