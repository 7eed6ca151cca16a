package xds

import (
	"slices"

	"google.golang.org/grpc/codes"
)

// What it costs to keep a name that the view has never had, in bytes beside its own. They are a little more than was measured.
const (
	// nameCost is that of a name that is subscribed to.
	nameCost = 96
	// claimCost is that of a version that a client says it has, while its Gateway is not known.
	claimCost = 128
	// entryCost is that of an entry, and of the item in a response that tells of its removal.
	entryCost = 384
	// absenceCost is that of a name until the client has been sent that it is absent, beside twice its own.
	absenceCost = 96
)

// tab is what a stream costs its peer in names that the view has never had. Names that it has, or had lately, are free: there are no more
// of them than podway made, and all Envoys of a fleet may lose the same thousands of clusters at once. A set of names that several streams of a
// peer share counts once.
type tab struct {
	doorman *doorman
	keys    []callerKey
	// bytes are those of the stream alone, beside its sets.
	bytes int
}

// pay charges the peer for what the stream has of such names now, or says why it may not have it. Stream and view are locked.
func (s *stream) pay() *denial {
	if s.tab == nil {
		return nil
	}
	bytes := s.sending
	for _, st := range s.types {
		if refused := s.payForSet(st); refused != nil {
			return refused
		}
		bytes += st.loose + st.strange + st.pending + st.telling
	}
	if bytes == s.tab.bytes {
		return nil
	}
	if refused := s.tab.doorman.charge(s.tab.keys, bytes-s.tab.bytes); refused != nil {
		return refused
	}
	s.tab.bytes = bytes
	return nil
}

// payForSet charges for the names that the stream shares, where they are others than before.
func (s *stream) payForSet(st *typeState) *denial {
	if st.paid == st.sub.shared {
		return nil
	}
	if next := st.sub.shared; next != nil {
		cost := 0
		for _, name := range next.all() {
			cost += s.view.costOf(st.url, name)
		}
		if refused := s.tab.doorman.hold(s.tab.keys, next, cost); refused != nil {
			return refused
		}
	}
	s.tab.doorman.letGo(s.tab.keys, st.paid)
	st.paid = st.sub.shared
	return nil
}

// settleTab pays nothing any more.
func (s *stream) settleTab() {
	if s.tab == nil {
		return
	}
	for _, st := range s.types {
		s.tab.doorman.letGo(s.tab.keys, st.paid)
		st.paid = nil
	}
	_ = s.tab.doorman.charge(s.tab.keys, -s.tab.bytes) // less is never refused
	s.tab.bytes = 0
}

// looseCost is that of the names that the stream does not share. There are few: see foldAfter.
func (s *stream) looseCost(st *typeState) int {
	cost := 0
	for name, added := range st.sub.changes {
		if added {
			cost += s.view.costOf(st.url, name)
		}
	}
	return cost
}

// claimsCost is that of the versions that the client says it has, until they are compared with the view.
func (s *stream) claimsCost(st *typeState) int {
	each := claimCost
	if s.view.known && isServed(st.url) {
		each = entryCost // as soon as they are compared
	}
	cost := 0
	for name, version := range st.initial {
		if s.view.costOf(st.url, name) > 0 {
			cost += len(name) + len(version) + each
		}
	}
	return cost
}

// costs is true where one of the names does. The view is locked.
func (s *stream) costs(st *typeState, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return name != wildcardName && s.view.costOf(st.url, name) > 0 })
}

// costOf is 0 for a name that the view has, or had lately. The view is locked.
func (v *view) costOf(typeURL, name string) int {
	if c := v.types[typeURL]; c != nil {
		if _, known := c.spans[name]; known {
			return 0
		}
	}
	return len(name) + nameCost
}

// claimed makes an entry of a name that the view lacks and of which the client says that it has a version.
func (s *stream) claimed(st *typeState, name, version string) {
	e := st.entry(name, formerVersion(version))
	if e.strange || s.view.costOf(st.url, name) == 0 {
		return
	}
	e.strange = true
	st.strange += strangeCost(name)
}

// tellAbsent sees to it that the client is told that there is no such name.
func (s *stream) tellAbsent(st *typeState, name string) {
	if e := st.entries.get(name); e != nil {
		e.tell = true
		return
	}
	if _, there := st.untold[name]; there {
		return
	}
	if st.untold == nil {
		st.untold = map[string]bool{}
	}
	charged := s.view.costOf(st.url, name) > 0
	st.untold[name] = charged
	if charged {
		st.telling += tellCost(name)
	}
}

func tellCost(name string) int { return 2*len(name) + absenceCost }

// sentAbsent ends the charge for the names that were told to be absent.
func (s *stream) sentAbsent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.rLock()
	defer s.view.mu.RUnlock()
	s.sending = 0
	_ = s.pay() // as in owed
}

func strangeCost(name string) int { return len(name) + entryCost }

// charge adds bytes to what a caller's streams cost, each by itself; fewer than 0 take away.
func (d *doorman) charge(keys []callerKey, bytes int) *denial {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range keys {
		if refused := d.affords(key, bytes); refused != nil {
			return refused
		}
	}
	for _, key := range keys {
		d.caller(key).nameBytes += bytes
	}
	return nil
}

// heldSet is a set of names that streams of a caller have, and what it costs.
type heldSet struct{ streams, cost int }

// hold charges for a set of names, unless another stream of the caller has it. The caller lets it go.
func (d *doorman) hold(keys []callerKey, set *nameSet, cost int) *denial {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range keys {
		if d.caller(key).sets[set].streams > 0 {
			continue
		}
		if refused := d.affords(key, cost); refused != nil {
			return refused
		}
	}
	for _, key := range keys {
		c := d.caller(key)
		held := c.sets[set]
		if held.streams == 0 {
			held.cost = cost
			c.nameBytes += cost
		}
		held.streams++
		if c.sets == nil {
			c.sets = map[*nameSet]heldSet{}
		}
		c.sets[set] = held
	}
	return nil
}

// letGo gives up a set; nil is allowed.
func (d *doorman) letGo(keys []callerKey, set *nameSet) {
	if set == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range keys {
		c := d.caller(key)
		held := c.sets[set]
		if held.streams--; held.streams > 0 {
			c.sets[set] = held
			continue
		}
		c.nameBytes -= held.cost
		delete(c.sets, set)
	}
}

// affords refuses a caller more than its budget. d.mu is held.
func (d *doorman) affords(key callerKey, bytes int) *denial {
	total, limit := d.caller(key).nameBytes+bytes, d.limits.MaxUnknownBytesPerPeer
	if bytes <= 0 || total <= limit {
		return nil
	}
	return deny(reasonUnknownNames, codes.ResourceExhausted,
		"the streams of %s name resources that podway does not have, which takes %d bytes; at most %d are allowed for one %s; "+
			"unsubscribe from what is not there", short(key.name), total, limit, key.kind)
}
