package xds

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// absorb turns the view's changes since the last time into entries. The view is locked for reading.
func (s *stream) absorb() error {
	switch {
	case s.cursor == s.view.head:
	case s.view.inLog(s.cursor):
		for ; s.cursor < s.view.head; s.cursor++ {
			s.touch(s.view.log[s.cursor%logLength])
		}
	case s.cursor < s.view.pruned:
		return status.Error(codes.Unavailable, "this stream fell too far behind; connect again to be brought up to date")
	default:
		s.scan()
	}
	s.cursor = s.view.head
	for _, st := range s.types {
		if st.begun && !st.synced {
			s.sync(st)
		}
	}
	return nil
}

func (s *stream) touch(c change) {
	st := s.find(c.key.Type)
	if st == nil || !st.synced || !st.sub.covers(c.key.Name) {
		return
	}
	e := s.changed(st, c.key.Name, c.prev)
	s.lookForRefused(e, s.view.record(st.url, c.key.Name))
	if since := e.since.or(c.origin); since != e.since {
		st.edit(e).since = since
	}
}

// changed returns the entry of a name that changed. What the client was sent before the name came into the view says nothing of it.
func (s *stream) changed(st *typeState, name string, had *former) *entry {
	if e := st.entries.get(name); e != nil {
		return e
	}
	e := st.entry(name, had)
	if had.version == "" {
		st.edit(e).removed = s.sent
	}
	return e
}

// scan is touch for a stream that is further behind than the log reaches.
func (s *stream) scan() {
	for _, st := range s.types {
		c := s.view.types[st.url]
		if !st.synced || c == nil {
			continue
		}
		for name, span := range c.spans {
			if span.changed < s.cursor || !st.sub.covers(name) {
				continue
			}
			had := unknownFormer
			if span.added >= s.cursor && c.records[name] != nil {
				had = noFormer
			}
			s.lookForRefused(s.changed(st, name, had), c.records[name])
		}
	}
}

// sync compares what the client said it has with the view, when it subscribes or when its Gateway appears.
func (s *stream) sync(st *typeState) {
	st.synced = true
	records := s.view.records(st.url)
	if st.version != "" && s.sameSet(st) {
		st.version, st.owesAnswer = "", false
		return
	}
	s.expect(st, records)
	if st.sub.wildcard {
		for name, r := range records {
			s.begin(st, name, r)
		}
	}
	st.sub.each(func(name string) {
		if !st.sub.wildcard || records[name] == nil {
			s.begin(st, name, records[name])
		}
	})
	for name, version := range st.initial {
		if st.sub.covers(name) && records[name] == nil {
			if isServed(st.url) {
				s.claimed(st, name, version)
			} else {
				s.tellAbsent(st, name)
			}
		}
	}
	st.initial, st.version, st.pending = nil, "", 0
}

// expect makes room for the entries of a client that has nothing yet, at once.
func (s *stream) expect(st *typeState, records map[string]*record) {
	count := len(records)
	if !st.sub.wildcard {
		count = min(count, st.sub.count)
	}
	if len(st.initial) == 0 {
		st.entries.expect(count)
	}
}

// begin starts one name that the client subscribes to.
func (s *stream) begin(st *typeState, name string, r *record) {
	version := st.initial[name]
	if version == "" && st.version != "" && !isComplete(st.url) {
		// A SotW client that was served before says nothing of single names: it may have this one.
		version = unknownVersion
	}
	_, unwarmed := s.unwarmed[name]
	unwarmed = unwarmed && st.url == endpointType
	switch {
	case r == nil && (version == "" || !isServed(st.url)):
		s.tellAbsent(st, name)
	case r == nil:
		s.claimed(st, name, version)
	case version == r.version && !unwarmed:
	default:
		e := st.entry(name, formerVersion(version))
		e.again = unwarmed
		e.unsure = st.version != ""
		if version == r.version {
			e.has = &former{version: version, record: r}
		}
		if len(st.initial) > 0 && !s.shared.Load() {
			if versions := s.server.refusals.versions(s.node, r.key); len(versions) > 0 {
				st.edit(e).refused = versions
				s.lookForRefused(e, r)
			}
		}
	}
}
