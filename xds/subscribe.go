package xds

// want adds a name to a subscription that has begun. What is asked for again is sent again, even if the client should
// have it: it may have let go of it in between.
func (s *stream) want(st *typeState, name string) {
	covered := st.sub.covers(name)
	r := s.view.record(st.url, name)
	if r != nil {
		// The view's string, so that streams share it.
		name = r.key.Name
	}
	st.sub.add(name)
	if st.synced {
		s.ask(st, name, covered)
	}
}

// ask makes sure that the name's state is sent.
func (s *stream) ask(st *typeState, name string, covered bool) {
	r := s.view.record(st.url, name)
	if r == nil {
		s.tellAbsent(st, name)
		return
	}
	had := noFormer
	if covered {
		had = formerly(r)
	}
	st.entry(name, had).again = true
}

// unwant takes a name out. Where a wildcard still covers it, the client, which let go of it, is told its state again.
func (s *stream) unwant(st *typeState, name string) {
	if !st.sub.named(name) {
		return
	}
	st.sub.remove(name)
	switch {
	case !st.sub.covers(name):
		st.drop(name)
	case st.synced:
		s.ask(st, name, true)
	}
}

// wantAll adds the wildcard.
func (s *stream) wantAll(st *typeState) {
	st.sub.legacy = false
	if st.sub.wildcard {
		return
	}
	st.sub.wildcard = true
	if !st.synced {
		return
	}
	for name, r := range s.view.records(st.url) {
		if !st.sub.named(name) {
			st.entry(r.key.Name, noFormer)
		}
	}
}

// unwantAll ends the wildcard. Names asked for one by one stay.
func (s *stream) unwantAll(st *typeState) {
	st.sub.wildcard, st.sub.legacy = false, false
	for name := range st.entries.all() {
		if !st.sub.covers(name) {
			st.drop(name)
		}
	}
	for name := range st.untold {
		if !st.sub.covers(name) {
			st.told(name)
		}
	}
}
