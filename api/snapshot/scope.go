package snapshot

import "slices"

// Scope is a part of a member cluster: all of its namespaces, or some. It is immutable. A nil Scope is nothing.
type Scope struct {
	// All is true for every namespace.
	All bool
	// Namespaces are sorted, and empty with All.
	Namespaces []string
	// Remembered is true where what is known is of before a restart, and Envoys may know better: those that have endpoints keep them, and others get
	// what is remembered.
	Remembered bool
}

// Everything is the Scope of a whole cluster.
var Everything = &Scope{All: true}

// Covers says whether a namespace is in the Scope.
func (s *Scope) Covers(namespace string) bool {
	if s == nil {
		return false
	}
	if s.All {
		return true
	}
	_, found := slices.BinarySearch(s.Namespaces, namespace)
	return found
}

// IsEmpty is true where no namespace is in the Scope.
func (s *Scope) IsEmpty() bool { return s == nil || !s.All && len(s.Namespaces) == 0 }

// IsRemembered is true for a Scope of which more may be known by Envoys.
func (s *Scope) IsRemembered() bool { return s != nil && s.Remembered }

// Equal says whether two Scopes are the same.
func (s *Scope) Equal(other *Scope) bool {
	if s.IsEmpty() || other.IsEmpty() {
		return s.IsEmpty() == other.IsEmpty()
	}
	return s.All == other.All && s.Remembered == other.Remembered && slices.Equal(s.Namespaces, other.Namespaces)
}

// Contains says whether all of another Scope is in this one.
func (s *Scope) Contains(other *Scope) bool {
	if other.IsEmpty() || s != nil && s.All {
		return true
	}
	return !other.All && !slices.ContainsFunc(other.Namespaces, func(namespace string) bool { return !s.Covers(namespace) })
}
