package xds

import (
	"hash/maphash"
	"iter"
	"math/bits"
)

const (
	// blockEntries is how many entries are allocated together at the most: as many as 8 KiB hold.
	blockEntries = 146
	// leastEntries is the same at the least, and how many are kept for use again when none is in use.
	leastEntries = 4
	// unindexed is up to how many entries are searched one by one.
	unindexed = 16
)

// entries are those of a type, by name. A first sync makes one for each name, on all streams at once: they take little, and are allocated and
// let go of in blocks, so that they leave no memory scattered that is only partly in use. An entry stays where it is until it is removed.
type entries struct {
	// blocks are in the order in which they were made, but that one of which all entries were removed makes room for another.
	blocks []block
	// open is the block that is being filled, expected how many entries are to come, and next where to look for the room of a removed one.
	open, expected int
	next           position
	// count is how many entries are in use, and slots how many there is or was something in.
	count, slots int
	// index has, where not nil, a place for each entry, found by open addressing; used is how many of them are or were taken.
	index []place
	used  int
	// spare is to be used again.
	spare *extra
}

// block is entries that were allocated together. live is how many are in use.
type block struct {
	entries []entry
	live    int
}

// position is an entry's block and, in its low 8 bits, where it is in that.
type position uint32

const (
	slotBits = 8
	slotMask = 1<<slotBits - 1
)

// place is a position and 1, and above that the top bits of the name's hash. The position leaves room for as many names as fit into memory.
type place uint32

const (
	// vacant was never taken; removed was, so that a search goes on behind it.
	vacant   place = 0
	removed  place = 1<<32 - 1
	tagShift       = 24
)

var nameSeed = maphash.MakeSeed()

func hashName(name string) uint64 { return maphash.String(nameSeed, name) }

func placeOf(at position, hash uint64) place {
	return place(hash>>(64-(32-tagShift))<<tagShift) | place(at+1)
}

func (p place) position() position { return position(p&(1<<tagShift-1)) - 1 }

// mayBe is false for a place of another name.
func (p place) mayBe(hash uint64) bool { return p>>tagShift == place(hash>>(64-(32-tagShift))) }

func (t *entries) len() int { return t.count }

func (t *entries) at(p position) *entry { return &t.blocks[p>>slotBits].entries[p&slotMask] }

// get returns the name's entry, or nil.
func (t *entries) get(name string) *entry {
	if t.count == 0 {
		return nil
	}
	at, _, found := t.find(name)
	if !found {
		return nil
	}
	return t.at(at)
}

// find returns where the name's entry is and, where there is an index, its place in that.
func (t *entries) find(name string) (at position, i int, found bool) {
	if t.index == nil {
		for b := range t.blocks {
			all := t.blocks[b].entries
			for n := range all {
				if all[n].has != nil && all[n].name == name {
					return position(b<<slotBits | n), 0, true
				}
			}
		}
		return 0, 0, false
	}
	hash := hashName(name)
	mask := len(t.index) - 1
	for i = int(hash) & mask; t.index[i] != vacant; i = (i + 1) & mask {
		if p := t.index[i]; p != removed && p.mayBe(hash) && t.at(p.position()).name == name {
			return p.position(), i, true
		}
	}
	return 0, 0, false
}

// all are the entries in use, in the order in which they were made as far as none was removed meanwhile. They may be removed meanwhile.
func (t *entries) all() iter.Seq2[string, *entry] {
	return func(yield func(string, *entry) bool) {
		for _, b := range t.blocks {
			for n := range b.entries {
				if e := &b.entries[n]; e.has != nil && !yield(e.name, e) {
					return
				}
			}
		}
	}
}

// expect says that so many entries are to come.
func (t *entries) expect(count int) {
	if t.count == 0 && count > leastEntries {
		*t = entries{expected: count, spare: t.spare}
	}
}

// add makes an entry for a name that has none.
func (t *entries) add(name string) *entry {
	at := t.room()
	e := t.at(at)
	*e = entry{name: name, has: noFormer, extra: &noExtra}
	t.blocks[at>>slotBits].live++
	t.count++
	t.expected = max(0, t.expected-1)
	switch {
	case t.index != nil && 4*(t.used+1) <= 3*len(t.index):
		t.take(at)
	case t.index != nil || t.slots > unindexed:
		t.reindex()
	}
	return e
}

// edit returns the entry's own extra, to be written to.
func (t *entries) edit(e *entry) *extra {
	if e.extra == &noExtra {
		if e.extra, t.spare = t.spare, nil; e.extra == nil {
			e.extra = &extra{}
		}
	}
	return e.extra
}

// room returns where an entry can be made.
func (t *entries) room() position {
	if t.open < len(t.blocks) {
		if b := &t.blocks[t.open]; len(b.entries) < cap(b.entries) {
			b.entries = b.entries[:len(b.entries)+1]
			t.slots++
			return position(t.open<<slotBits | len(b.entries) - 1)
		}
	}
	if t.slots > 2*t.count {
		return t.reuse()
	}
	size := min(max(leastEntries, t.slots, t.expected), blockEntries)
	for t.open = 0; t.open < len(t.blocks) && t.blocks[t.open].entries != nil; {
		t.open++
	}
	if t.open == len(t.blocks) {
		t.blocks = append(t.blocks, block{})
	}
	t.blocks[t.open].entries = make([]entry, 1, size)
	t.slots++
	return position(t.open << slotBits)
}

// reuse returns the room of an entry that was removed. There are so many that it looks at two or so.
func (t *entries) reuse() position {
	for b, n := int(t.next>>slotBits), int(t.next&slotMask); ; b, n = b+1, 0 {
		b %= len(t.blocks)
		for all := t.blocks[b].entries; n < len(all); n++ {
			if all[n].has == nil {
				t.next = position(b<<slotBits | n)
				return t.next
			}
		}
	}
}

// take gives the entry at a position its place in the index.
func (t *entries) take(at position) {
	hash := hashName(t.at(at).name)
	mask := len(t.index) - 1
	i := int(hash) & mask
	for t.index[i] != vacant {
		i = (i + 1) & mask
	}
	t.index[i] = placeOf(at, hash)
	t.used++
}

// reindex makes an index with room for what there is and what is to come, or half as many again.
func (t *entries) reindex() {
	count := t.count + max(t.expected, t.count/2)
	t.index, t.used = make([]place, 1<<bits.Len(uint(count*4/3))), 0
	for b := range t.blocks {
		for n := range t.blocks[b].entries {
			if t.blocks[b].entries[n].has != nil {
				t.take(position(b<<slotBits | n))
			}
		}
	}
}

// remove forgets the name's entry.
func (t *entries) remove(name string) {
	at, i, found := t.find(name)
	if !found {
		return
	}
	if t.index != nil {
		t.index[i] = removed
	}
	e := t.at(at)
	if e.extra != &noExtra {
		*e.extra = extra{}
		t.spare = e.extra
	}
	*e = entry{}
	t.count--
	b := &t.blocks[at>>slotBits]
	b.live--
	switch {
	case t.count == 0:
		t.clear()
	case b.live > 0:
	case int(at>>slotBits) == t.open:
		t.slots -= len(b.entries)
		b.entries = b.entries[:0]
	default:
		t.slots -= len(b.entries)
		b.entries = nil
	}
}

// clear lets go of all memory but a little, once there is no entry.
func (t *entries) clear() {
	kept := entries{spare: t.spare}
	if len(t.blocks) == 1 && cap(t.blocks[0].entries) == leastEntries {
		kept.blocks = t.blocks
		kept.blocks[0].entries = kept.blocks[0].entries[:0]
	}
	*t = kept
}
