package xds

import (
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// wildcardName is the explicit form of a subscription to everything.
const wildcardName = "*"

// subscription is what a stream wants of one type.
type subscription struct {
	// wildcard is true while everything is wanted; legacy, while that is because the first request named nothing.
	wildcard bool
	legacy   bool
	names    map[string]struct{}
}

// covers is true for a name that the client wants.
func (s *subscription) covers(name string) bool { return s.wildcard || s.named(name) }

func (s *subscription) named(name string) bool {
	_, ok := s.names[name]
	return ok
}

func (s *subscription) add(name string) {
	if s.names == nil {
		s.names = map[string]struct{}{}
	}
	s.names[name] = struct{}{}
}

func (s *subscription) remove(name string) {
	delete(s.names, name)
	if len(s.names) == 0 {
		s.names = nil
	}
}

// list is the explicit names, sorted.
func (s *subscription) list() []string {
	names := make([]string, 0, len(s.names))
	for name := range s.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *subscription) check(limits Limits) error {
	if len(s.names) > limits.MaxNames {
		return status.Errorf(codes.ResourceExhausted, "a subscription to %d names of one type; at most %d are allowed", len(s.names), limits.MaxNames)
	}
	return nil
}
