package xds

import "github.com/podway/podway/api"

// SetMinorities says which Envoys are those of each minority, by its view (api.Minority), instead of what was said before. An Envoy has that view while
// there is one (SetViews), on the stream that it has open, and what the others of its Gateway have otherwise. Where a view has what the Envoy
// rejected before, that is told once more. The members are not changed afterwards.
func (s *Server) SetMinorities(byView map[string]map[api.Member]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.minorities
	s.minorities = byView
	if len(before)+len(byView) > 0 {
		s.regroup()
	}
}

// viewOf is the view for an Envoy. Where several have its node, one that has rejected nothing belongs to no minority. s.mu is held.
func (s *Server) viewOf(st *stream) *view {
	v, node := s.view(st.node.gateway), st.node
	if len(s.minorities) == 0 || st.shared.Load() && !s.nodes.rejects(st) {
		return v
	}
	for {
		name := api.Minority(v.name)
		few := s.views[name]
		if _, member := s.minorities[name][api.Member{Node: node.id, Build: node.build}]; !member || few == nil || !few.isThere() {
			return v
		}
		v = few
	}
}

// regroup has each stream follow the view that is for its Envoy. s.mu is held.
func (s *Server) regroup() {
	for st := range s.streams {
		if v := s.viewOf(st); v != st.view {
			st.follow(v)
		}
	}
}

// regroupNode is regroup for the streams of a node. s.mu is held.
func (s *Server) regroupNode(key nodeKey) {
	if len(s.minorities) == 0 {
		return
	}
	for _, st := range s.nodes[key] {
		if v := s.viewOf(st); v != st.view {
			st.follow(v)
		}
	}
}

// rejectsNow notes that an Envoy rejects something. Only now it is known that it is a member of a minority, where several have its node. No lock is held.
func (s *Server) rejectsNow(st *stream) {
	if st.rejecting.Swap(true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.regroupNode(st.nodeKey())
}

// follow has the stream follow another view. What differs between the two is as if it had changed. The server's mu is held.
func (s *stream) follow(next *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.view
	before.rLock()
	defer before.mu.RUnlock()
	next.rLock()
	defer next.mu.RUnlock()
	if before.known {
		if err := s.absorb(); err != nil {
			s.end(err) // it finds the other view when it connects anew
			return
		}
	}
	for _, st := range s.types {
		if st.synced {
			s.compare(st, before.records(st.url), next.records(st.url))
		}
	}
	before.listening.remove(s)
	next.listening.add(s)
	s.view, s.cursor = next, next.head
	s.awaited.Store(nil)
	for _, st := range s.types {
		for name, e := range st.entries.all() {
			s.lookForRefused(e, next.record(st.url, name))
		}
	}
	s.poke()
}

// compare makes entries of the names that another view has in another version, or that only one of the two has.
func (s *stream) compare(st *typeState, before, next map[string]*record) {
	for name, r := range before {
		if st.sub.covers(name) && !r.sameAs(next[name]) {
			s.changed(st, name, formerly(r))
		}
	}
	for name := range next {
		if st.sub.covers(name) && before[name] == nil {
			s.changed(st, name, noFormer)
		}
	}
}
