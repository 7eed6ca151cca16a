package translator

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// sorter gathers and sorts a tunnel's backends. It is used again, for at each change they are as many as the tunnel's Pods.
type sorter struct {
	backends []backend
	order    []sortKey
}

// sortKey is where a backend belongs, as far as a number says that.
type sortKey struct {
	prefix uint64
	index  int
}

var sorters = sync.Pool{New: func() any { return &sorter{} }}

func newSorter() *sorter {
	s := sorters.Get().(*sorter)
	s.backends, s.order = s.backends[:0], s.order[:0]
	return s
}

// sort puts the backends in the order of compareBackends. They themselves stay where they are, and nearly all comparisons are of two numbers.
func (s *sorter) sort() {
	for i := range s.backends {
		s.order = append(s.order, sortKey{prefix: prefixOf(s.backends[i].address), index: i})
	}
	slices.SortFunc(s.order, func(a, b sortKey) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return compareBackends(&s.backends[a.index], &s.backends[b.index])
	})
}

// at is a backend by its place in the order.
func (s *sorter) at(place int) *backend { return &s.backends[s.order[place].index] }

// merge adds up the weights that several entries give the same address, for Envoy would silently take the first. One entry counts once: a Service may name an address
// twice, such as of a Pod that is no more and of the one that has its address now. clash describes the first address that two clusters have.
func (s *sorter) merge() (clash string) {
	merged, first := 0, 0
	for i := range s.order {
		next := s.at(i)
		if merged == 0 || s.at(merged-1).address != next.address {
			s.order[merged] = s.order[i]
			merged++
			first = i
			continue
		}
		last := s.at(merged - 1)
		if !s.counted(first, i) {
			last.weight += next.weight
		}
		if clash == "" && next.pod != nil && last.cluster != next.cluster && !samePod(last.pod, next.pod) {
			clash = fmt.Sprintf("%s is the address of %s and of %s", next.address, nameOf(last.cluster, last.pod), nameOf(next.cluster, next.pod))
		}
	}
	s.order = s.order[:merged]
	return clash
}

// counted says whether the entry of a backend has given its address a weight already: first is where those with that address begin.
func (s *sorter) counted(first, at int) bool {
	entry := s.at(at).entry
	for i := first; i < at && entry != nil; i++ {
		if s.at(i).entry == entry {
			return true
		}
	}
	return false
}

// prefixOf is a number in the order of addresses: all IPv4 addresses with their ports, then the beginning of each IPv6 address.
func prefixOf(address netip.AddrPort) uint64 {
	if address.Addr().Is4() {
		bytes := address.Addr().As4()
		return uint64(binary.BigEndian.Uint32(bytes[:]))<<16 | uint64(address.Port())
	}
	bytes := address.Addr().As16()
	return 1<<63 | binary.BigEndian.Uint64(bytes[:8])>>1
}

// compareBackends puts the same address together, Pods before plain addresses.
func compareBackends(a, b *backend) int {
	if order := a.address.Compare(b.address); order != 0 {
		return order
	}
	switch {
	case a.pod == nil || b.pod == nil:
		return cmp.Compare(b2i(a.pod == nil), b2i(b.pod == nil))
	default:
		return cmp.Or(strings.Compare(a.cluster, b.cluster),
			strings.Compare(a.pod.Namespace, b.pod.Namespace), a.pod.CompareName(b.pod))
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
