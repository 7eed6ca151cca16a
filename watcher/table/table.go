// Package table has maps for very many values that know their own keys. It
// knows nothing of what they are.
package table

import (
	"hash/maphash"
	"iter"
)

// Table finds values by their keys. It holds nothing but pointers: where a key is several strings, as that of a Service, a map takes seven times as
// much. It belongs to one goroutine, or to whoever holds its owner's lock.
type Table[K comparable, V any] struct {
	keyOf func(*V) K
	hash  func(K) uint64
	// slots are a power of two, at least a quarter of them nil. A value is in the slot that its key's hash says, or after it (the first comes after
	// the last) with no nil between.
	slots []*V
	count int
}

// fewest is how many slots there are at least, and once there was one value.
const fewest = 8

// New makes an empty Table. keyOf says what the key of a value is, which must not change.
func New[K comparable, V any](keyOf func(*V) K) *Table[K, V] {
	seed := maphash.MakeSeed()
	return &Table[K, V]{keyOf: keyOf, hash: func(key K) uint64 { return maphash.Comparable(seed, key) }}
}

// Len is how many values there are.
func (t *Table[K, V]) Len() int { return t.count }

// Get returns the value of a key, nil where there is none.
func (t *Table[K, V]) Get(key K) *V {
	if t.count == 0 {
		return nil
	}
	return t.slots[t.find(key)]
}

// Put adds a value, in the place of another one of its key.
func (t *Table[K, V]) Put(value *V) {
	if 4*(t.count+1) > 3*len(t.slots) {
		t.resize(max(fewest, 2*len(t.slots)))
	}
	at := t.find(t.keyOf(value))
	if t.slots[at] == nil {
		t.count++
	}
	t.slots[at] = value
}

// Delete removes the value of a key, if there is one.
func (t *Table[K, V]) Delete(key K) {
	if t.count == 0 {
		return
	}
	hole := t.find(key)
	if t.slots[hole] == nil {
		return
	}
	t.count--
	t.slots[hole] = nil
	// What comes after it and would not be found any more is moved into the hole.
	last := len(t.slots) - 1
	for at := (hole + 1) & last; t.slots[at] != nil; at = (at + 1) & last {
		first := t.first(t.keyOf(t.slots[at]))
		if (at-first)&last >= (at-hole)&last {
			t.slots[hole], t.slots[at] = t.slots[at], nil
			hole = at
		}
	}
	// One that was large once would cost its size for ever.
	if len(t.slots) > fewest && 8*t.count < len(t.slots) {
		t.resize(len(t.slots) / 4)
	}
}

// All are the values, in no order. The Table must not be changed meanwhile.
func (t *Table[K, V]) All() iter.Seq[*V] {
	return func(yield func(*V) bool) {
		for _, value := range t.slots {
			if value != nil && !yield(value) {
				return
			}
		}
	}
}

// first is where the search for a key begins.
func (t *Table[K, V]) first(key K) int { return int(t.hash(key) & uint64(len(t.slots)-1)) }

// find is the slot of a key's value, or that where it belongs.
func (t *Table[K, V]) find(key K) int {
	at := t.first(key)
	for t.slots[at] != nil && t.keyOf(t.slots[at]) != key {
		at = (at + 1) & (len(t.slots) - 1)
	}
	return at
}

func (t *Table[K, V]) resize(size int) {
	before := t.slots
	t.slots = make([]*V, max(fewest, size))
	for _, value := range before {
		if value != nil {
			t.slots[t.find(t.keyOf(value))] = value
		}
	}
}
