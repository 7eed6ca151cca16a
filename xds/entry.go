package xds

import (
	"time"
)

// entry is one name of which the client does not, or may not, have what the
// view has now. Names that are up to date have none.
type entry struct {
	name string
	// has is what the client has acknowledged, or said on connecting that it has. It is nil in the room of an entry that was removed.
	has *former
	// flight is the last response with this name that is not acknowledged yet, and sent what it held: nil for a removal.
	flight *response
	sent   *record
	// extra is what few have. It is read like fields of the entry, and written to by typeState.edit only.
	*extra
	// again asks for the name to be sent even if the client has it; tell, for its absence to be said. sentAgain is what again was for what is, or
	// was last, in flight.
	again, tell, sentAgain bool
	// unsure is true for a SotW client that was served before: it may have some version, and what a complete answer leaves
	// out it deletes.
	unsure bool
	// strange is true for a name that the view never had and that the client says it has: its peer is charged for it.
	strange bool
}

// extra is what few entries have, and what a first sync needs nothing of.
type extra struct {
	// maybe is what was in a response that was rejected for something else, or never answered: of clusters and listeners,
	// Envoy applies the good ones. nil where there is no such doubt.
	maybe *record
	// leaving is what the client had when its removal, now in flight, was sent; nil for nothing.
	leaving *former
	// removed is the number of the response that last told of the name's absence: what was sent before it no longer counts.
	removed uint64
	// refused are the versions that the client rejected since it last took one, the oldest first.
	refused []string
	// since is the oldest change that was not sent since; nil on a first sync. sentSince is the same of what is, or was last, in flight.
	since, sentSince *origin
	// held is when the entry first had to wait for others, zero if it does not.
	held time.Time
	// awaited are the clusters that a route has to wait for, and since when.
	awaited map[string]time.Time
	// unused is since when nothing refers to a name that has gone, zero while something does.
	unused time.Time
}

// noExtra is that of all entries that have none. It is never written to.
var noExtra extra

// origin is when a change was published, and when what led to it was first seen; nil where that is not known.
type origin struct {
	at   time.Time
	seen *Seen
}

// or is the oldest change of two, of which the other comes later, with what was first seen of any.
func (o *origin) or(later *origin) *origin {
	switch {
	case o == nil:
		return later
	case o.seen != nil || later == nil || later.seen == nil:
		return o
	}
	return &origin{at: o.at, seen: later.seen}
}

// published is when that was, zero where there was no change.
func (o *origin) published() time.Time {
	if o == nil {
		return time.Time{}
	}
	return o.at
}

// present is true where the client has, or may soon have, some version of the name.
func (e *entry) present() bool {
	return e.has.version != "" || e.maybe != nil || (e.flight != nil && e.sent != nil)
}

// kept is what a complete answer holds of the name so that the client keeps what it has, or nil.
func (e *entry) kept() *record {
	switch {
	case e.flight != nil && e.sent != nil:
		return e.sent
	case e.maybe != nil:
		return e.maybe
	}
	return e.has.record
}

// mayUse is true where a version that the client has, or may have, needs the resource with the given key. The view's
// present version does not count: it is what the client is on its way to.
func (e *entry) mayUse(needs func(*record) bool) bool {
	if e.flight != nil && e.sent != nil && needs(e.sent) || e.maybe != nil && needs(e.maybe) {
		return true
	}
	has := e.has
	if e.flight != nil && e.sent == nil {
		has = e.leaving
	}
	if has == nil || has.version == "" {
		return false
	}
	// Of a version that is not known the worst is assumed.
	return has.record == nil || needs(has.record)
}

// typeState is one type on one stream.
type typeState struct {
	url string
	sub subscription
	// begun is true after the first request; synced, once the view has been compared with what the client had.
	begun, synced bool
	// initial are the versions that the client said it has, until synced.
	initial map[string]string
	// claimed are the bytes of initial, as they were.
	claimed int
	// version is the version_info of a SotW client's first request, until synced.
	version string
	// owesAnswer is true while the client waits for a first answer even if there is nothing to say.
	owesAnswer bool

	entries entries
	// absences is true where there was something to remove, or to say the absence of, when the entries were last looked at.
	absences bool
	// untold are the names that the view lacks, without an entry, of which that is still to be said. Once it is, nothing of them is remembered
	// but the subscription. The peer is charged for those with true.
	untold map[string]bool
	// loose, strange, pending and telling are what the peer is charged for names that the stream does not share, for strange entries, for
	// initial and for untold, in bytes; paid is the set of names that it is charged for.
	loose, strange, pending, telling int
	paid                             *nameSet
	// flight are the responses that are not acknowledged, oldest first.
	flight      []*response
	flightBytes int
	// nonce is that of the last response.
	nonce string
	// retry are groups of names to be sent in a response of their own, to find out which of them was rejected.
	retry [][]string
	// cure is under way where the client answers nothing on clusters.
	cure    *cure
	lastACK time.Time
	// paced is when the last response was sent.
	paced time.Time
}

// entry returns the name's entry, making one of what the client had where there is none.
func (st *typeState) entry(name string, has *former) *entry {
	e := st.entries.get(name)
	if e == nil {
		e = st.entries.add(name)
		e.has = has
		if _, e.tell = st.untold[name]; e.tell {
			st.told(name)
		}
	}
	return e
}

// edit returns what is written to of what few entries have.
func (st *typeState) edit(e *entry) *extra { return st.entries.edit(e) }

// took notes what the client has of a name for certain.
func (st *typeState) took(e *entry, has *former) {
	e.has = has
	if e.maybe != nil {
		st.edit(e).maybe = nil
	}
}

// drop forgets an entry: its name is up to date, or not wanted any more.
func (st *typeState) drop(name string) {
	if e := st.entries.get(name); e != nil {
		if e.strange {
			st.strange -= strangeCost(name)
		}
		st.entries.remove(name)
	}
	st.told(name)
}

// told forgets a name that was to be told of, and returns what it was charged.
func (st *typeState) told(name string) (cost int) {
	if len(st.untold) == 0 {
		return 0
	}
	if st.untold[name] {
		cost = tellCost(name)
		st.telling -= cost
	}
	delete(st.untold, name)
	if len(st.untold) == 0 {
		st.untold = nil // a map keeps its size
	}
	return cost
}

// item is one name in a response; a nil record is a removal.
type item struct {
	name   string
	record *record
}

// response is what was sent and waits for its ACK.
type response struct {
	state *typeState
	// number counts the responses of a stream from 1; nonce is the same as text.
	number uint64
	nonce  string
	items  []item
	// only and onlyOwn are room for the items and own of a response with one, as most are.
	only    [1]item
	onlyOwn [1]bool
	// absent are names that the client never had and that are told not to be there, until that is sent: nothing depends on their ACK.
	absent []string
	// everything is the whole content of a complete SotW answer, of which items are what is new.
	everything []*record
	// own says, once it has been answered, which items had not been sent again meanwhile.
	own  []bool
	size int
	at   time.Time
	// tainted is true for a complete SotW answer that holds a record that is known to be rejected: its NACK says nothing
	// of its items.
	tainted bool
}
