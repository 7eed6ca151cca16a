package xds

import (
	"strconv"
	"time"
)

const (
	// singly is up to how many changed ClusterLoadAssignments go in responses of their own: one bad one discards all of its response.
	singly = 16
	// paceAfter is from how many unacknowledged responses on clusters they are sent at most once in a pace.
	paceAfter = 16
	pace      = time.Second
	// forgetAfter is how many unacknowledged responses of a type are remembered.
	forgetAfter = 256
	// absentBytes is about how large a response that tells of names that are not there may become. Each client's is its own, and once gRPC has it,
	// nobody is charged for it: of a client that does not read, gRPC takes one response beside 64 KiB.
	absentBytes = 32 << 10
	// absentCount is how many names that are of no type that is served: each is told twice, with a reason that holds the type.
	absentCount = 512
)

// batches splits items into responses.
func (p *pass) batches(st *typeState, due []item) [][]item {
	limit := p.stream.server.config.Limits.MaxResponseBytes
	switch st.url {
	case routeType:
		return split(due, 1, limit)
	case endpointType:
		// A SotW client answers each response with all its names: one that comes from another server, and is sent all of them, gets few.
		first, changed := partition(due, func(i item) bool {
			e := st.entries.get(i.name)
			return e.has.version == "" || e.unsure && e.has.version == unknownVersion
		})
		count := 1
		if len(changed) > singly {
			count = singly
		}
		return append(split(changed, count, limit), split(first, len(first), limit)...)
	}
	return split(due, len(due), limit)
}

// removalBatches splits removals into responses. In SotW they are one answer, of what stays.
func (p *pass) removalBatches(st *typeState, gone []item) [][]item {
	limits := p.stream.server.config.Limits
	switch {
	case p.stream.variant.complete(st.url):
		return [][]item{gone}
	case !isServed(st.url):
		return split(gone, absentCount, min(absentBytes, limits.MaxResponseBytes/4))
	case len(st.untold) > 0:
		return split(gone, len(gone), min(absentBytes, limits.MaxResponseBytes))
	}
	return split(gone, len(gone), limits.MaxResponseBytes)
}

// split cuts items into batches of at most count items and, where they hold more than one, limit bytes.
func split(items []item, count, limit int) [][]item {
	var batches [][]item
	from, size := 0, 0
	for n, i := range items {
		if n > from && (n-from >= count || size+i.size() > limit) {
			batches = append(batches, items[from:n])
			from, size = n, 0
		}
		size += i.size()
	}
	if from < len(items) {
		batches = append(batches, items[from:])
	}
	return batches
}

// partition returns the items for which is holds, and the others, both in their order.
func partition(items []item, is func(item) bool) (those, others []item) {
	count := 0
	for _, i := range items {
		if is(i) {
			count++
		}
	}
	switch count { // as nearly always
	case 0:
		return nil, items
	case len(items):
		return items, nil
	}
	for _, i := range items {
		if is(i) {
			those = append(those, i)
		} else {
			others = append(others, i)
		}
	}
	return those, others
}

// pick takes the named items out.
func pick(due []item, names []string) (picked, rest []item) {
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	return partition(due, func(i item) bool { return wanted[i.name] })
}

// size is the item's bytes in a response, or a little more.
func (i item) size() int {
	if i.record == nil {
		return len(i.name) + 4
	}
	return i.record.size + 8
}

// window is false where the client has to acknowledge something first. What is
// on clusters never waits for an ACK: it only comes less often.
func (p *pass) window(st *typeState, batch []item) bool {
	if st.url == clusterType {
		next := st.paced.Add(pace)
		if len(st.flight) < paceAfter || !p.now.Before(next) {
			return true
		}
		p.lookAgain(next)
		return false
	}
	limits := p.stream.server.config.Limits
	size := 0
	for _, i := range batch {
		size += i.size()
	}
	return len(st.flight) == 0 || len(st.flight) < limits.WindowResponses && st.flightBytes+size <= limits.WindowBytes
}

// respond adds a response, which counts as sent from now on.
func (p *pass) respond(st *typeState, items []item) {
	number := p.stream.nextNumber()
	r := &response{state: st, number: number, nonce: strconv.FormatUint(number, 10), at: p.now}
	for n, i := range items {
		e := st.entries.get(i.name)
		if e == nil {
			r.absent = append(r.absent, i.name)
			r.size += i.size()
			p.stream.sending += st.told(i.name)
			continue
		}
		if r.items == nil {
			r.items = r.room(len(items) - n)
		}
		r.items = append(r.items, i)
		e.flight, e.sent = r, i.record
		if i.record == nil {
			// Should it come back before the ACK, it is new to the client.
			x := st.edit(e)
			x.leaving, x.maybe, x.removed = e.has, nil, number
			e.has = noFormer
		}
		if e.extra != &noExtra {
			x := st.edit(e)
			x.held, x.unused, x.awaited, x.since, x.sentSince = time.Time{}, time.Time{}, nil, nil, x.since
		}
		e.again, e.tell, e.sentAgain = false, false, e.again
		r.size += i.size()
		p.follow(st, i)
	}
	if p.stream.variant.complete(st.url) {
		p.fill(r)
	}
	st.owesAnswer = false
	st.nonce = r.nonce
	st.paced = p.now
	st.flight = append(st.flight, r)
	st.flightBytes += r.size
	if len(st.flight) > forgetAfter {
		oldest := st.settle(0)
		st.doubt(oldest.number, oldest.items)
	}
	p.responses = append(p.responses, r)
}

// room is that for so many items.
func (r *response) room(count int) []item {
	if count <= len(r.only) {
		return r.only[:0]
	}
	return make([]item, 0, count)
}

// follow notes what the sending of an item asks for: a Cluster warms until its endpoints are sent after it.
func (p *pass) follow(st *typeState, i item) {
	s := p.stream
	switch {
	case st.url == endpointType:
		delete(s.unwarmed, i.name)
		if len(s.unwarmed) == 0 {
			s.unwarmed = nil
		}
	case st.url != clusterType || i.record == nil || i.record.assignment == "":
	default:
		if s.unwarmed == nil {
			s.unwarmed = map[string]struct{}{}
		}
		s.unwarmed[i.record.assignment] = struct{}{}
		endpoints := s.find(endpointType)
		if endpoints == nil || !endpoints.synced || !endpoints.sub.covers(i.record.assignment) {
			return
		}
		if r := p.view.record(endpointType, i.record.assignment); r != nil {
			endpoints.entry(r.key.Name, formerly(r)).again = true
		}
	}
}

// fill makes a complete SotW answer: what the client is to have after it.
func (p *pass) fill(r *response) {
	st := r.state
	r.size = 0
	add := func(record *record) {
		r.everything = append(r.everything, record)
		r.size += record.size
	}
	for name, record := range p.view.records(st.url) {
		if !st.sub.covers(name) {
			continue
		}
		switch e := st.entries.get(name); {
		case e == nil:
			add(record)
		case e.kept() != nil:
			p.keep(st, e, add)
		case e.unsure, e.has.version != "":
			// The client may have a version that is not known any more. Left out, it would be deleted.
			add(record)
			p.follow(st, item{name: name, record: record})
			r.tainted = r.tainted || e.refuses(record.version)
		}
	}
	for name, e := range st.entries.all() {
		leaving := e.flight != nil && e.sent == nil
		if p.view.record(st.url, name) != nil || !st.sub.covers(name) || leaving {
			continue
		}
		if e.kept() != nil {
			p.keep(st, e, add)
		}
	}
	sortRecords(r.everything)
}

// keep adds what the client is thought to have. Where that is not certain, or it rejected another version since, it may be a change, and a
// changed Cluster warms.
func (p *pass) keep(st *typeState, e *entry, add func(*record)) {
	kept := e.kept()
	add(kept)
	if kept == e.maybe || len(e.refused) > 0 {
		p.follow(st, item{name: kept.key.Name, record: kept})
	}
}

// takeRetries returns the groups to send on their own, once.
func (st *typeState) takeRetries() [][]string {
	groups := st.retry
	st.retry = nil
	return groups
}
