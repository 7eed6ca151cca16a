package xds

import (
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// wildcardName is the explicit form of a subscription to everything.
	wildcardName = "*"
	// foldAfter is how many changes a stream keeps to itself before it shares its names with other streams again.
	foldAfter = 32
)

// subscription is what a stream wants of one type: a set of names that it
// shares with all streams that want the same, for Envoys of one fleet do, and its own recent changes to it.
type subscription struct {
	// wildcard is true while everything is wanted; legacy, while that is because the first request named nothing.
	wildcard bool
	legacy   bool

	shared *nameSet
	// changes are names added (true) to the shared ones and taken out (false).
	changes map[string]bool
	count   int
	// bytes are those of all names.
	bytes int
}

// subscribe takes up the names of a first request.
func (st *typeState) subscribe(names []string, sets *nameSets) {
	st.sub.legacy = len(names) == 0 && hasLegacyWildcard(st.url)
	st.sub.wildcard = st.sub.legacy || slices.Contains(names, wildcardName)
	st.sub.start(withoutWildcard(names), sets)
}

// withoutWildcard are the names that are not the wildcard's. The slice may be the given one.
func withoutWildcard(names []string) []string {
	if !slices.Contains(names, wildcardName) {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == wildcardName })
}

// covers is true for a name that the client wants.
func (s *subscription) covers(name string) bool { return s.wildcard || s.named(name) }

// named is true for a name that the client asked for by itself.
func (s *subscription) named(name string) bool {
	if added, changed := s.changes[name]; changed {
		return added
	}
	return s.shared.has(name)
}

func (s *subscription) add(name string) {
	if !s.named(name) {
		s.change(name, true)
		s.count++
		s.bytes += len(name)
	}
}

// start adds all names of a first request to a subscription that has none yet.
func (s *subscription) start(names []string, sets *nameSets) {
	if len(names) <= foldAfter {
		for _, name := range names {
			s.add(name)
		}
		return
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	s.shared, s.count = sets.of(sorted), len(sorted)
	for _, name := range sorted {
		s.bytes += len(name)
	}
}

func (s *subscription) remove(name string) {
	if s.named(name) {
		s.change(name, false)
		s.count--
		s.bytes -= len(name)
	}
}

func (s *subscription) change(name string, added bool) {
	if s.shared.has(name) == added {
		delete(s.changes, name)
		return
	}
	if s.changes == nil {
		s.changes = map[string]bool{}
	}
	s.changes[name] = added
}

// each calls do with all explicit names, first the changes in no order and then the others, sorted.
func (s *subscription) each(do func(name string)) {
	for name, added := range s.changes {
		if added {
			do(name)
		}
	}
	for _, name := range s.shared.all() {
		if _, changed := s.changes[name]; !changed {
			do(name)
		}
	}
}

// list is the explicit names, sorted.
func (s *subscription) list() []string {
	names := make([]string, 0, s.count)
	s.each(func(name string) { names = append(names, name) })
	slices.Sort(names)
	return names
}

// fold shares the names again once there are many changes.
func (s *subscription) fold(sets *nameSets) {
	if len(s.changes) <= foldAfter {
		return
	}
	next := sets.of(s.list())
	sets.release(s.shared)
	s.shared, s.changes = next, nil
}

// checkSubscriptions refuses more names than the limits allow, of a type and in all.
func (s *stream) checkSubscriptions(st *typeState) error {
	limits := s.server.config.Limits
	if st.sub.count > limits.MaxNames {
		return status.Errorf(codes.ResourceExhausted, "a subscription to %d names of one type; at most %d are allowed", st.sub.count, limits.MaxNames)
	}
	bytes := 0
	for _, st := range s.types {
		bytes += st.sub.bytes + st.claimed
	}
	if bytes > limits.MaxSubscriptionBytes {
		return status.Errorf(codes.ResourceExhausted, "the names and versions that this stream names have %d bytes; at most %d are allowed", bytes, limits.MaxSubscriptionBytes)
	}
	return nil
}
