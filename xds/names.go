package xds

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// nameSet is an immutable set of names. A nil set is empty.
type nameSet struct {
	// names are numbered from 0.
	names map[string]int
	// sorted are the same.
	sorted []string
	hash   [sha256.Size]byte
	// users is guarded by the mu of nameSets.
	users int
}

func (s *nameSet) has(name string) bool {
	if s == nil {
		return false
	}
	_, ok := s.names[name]
	return ok
}

// all are the names, sorted.
func (s *nameSet) all() []string {
	if s == nil {
		return nil
	}
	return s.sorted
}

// is true where the names are those of the set, each once, in any order.
func (s *nameSet) is(names []string) bool {
	if len(names) != len(s.all()) {
		return false
	}
	seen := make([]bool, len(names))
	for _, name := range names {
		i, there := s.names[name]
		if !there || seen[i] {
			return false
		}
		seen[i] = true
	}
	return true
}

// nameSets holds each set that is in use once.
type nameSets struct {
	mu     sync.Mutex
	byHash map[[sha256.Size]byte]*nameSet
}

// of returns the set of the given names, which are sorted, and not changed any more. The caller releases it.
func (n *nameSets) of(names []string) *nameSet {
	hash := hashNames(names)
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.byHash[hash]
	if s == nil {
		s = &nameSet{names: make(map[string]int, len(names)), sorted: names, hash: hash}
		for i, name := range names {
			s.names[name] = i
		}
		if n.byHash == nil {
			n.byHash = map[[sha256.Size]byte]*nameSet{}
		}
		n.byHash[hash] = s
	}
	s.users++
	return s
}

// release gives up a set; nil is allowed.
func (n *nameSets) release(s *nameSet) {
	if s == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(n.byHash, s.hash)
	}
}

func hashNames(names []string) (sum [sha256.Size]byte) {
	h := sha256.New()
	var size [8]byte
	for _, name := range names {
		binary.BigEndian.PutUint64(size[:], uint64(len(name)))
		h.Write(size[:])
		h.Write([]byte(name))
	}
	h.Sum(sum[:0])
	return sum
}
