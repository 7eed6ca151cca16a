package translator

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// sorter gathers and sorts a tunnel's backends. It is used again, for at each change they are as many as the tunnel's Pods.
type sorter struct {
	found, sorted []backend
	keys          []sortKey
}

// sortKey is where a backend belongs, as far as a number says that.
type sortKey struct {
	prefix uint64
	index  int
}

var sorters = sync.Pool{New: func() any { return &sorter{} }}

// sort returns what was found in the order of compareBackends, valid until release. Nearly all of its comparisons are of two numbers.
func (s *sorter) sort() []backend {
	for i := range s.found {
		s.keys = append(s.keys, sortKey{prefix: prefixOf(s.found[i].address), index: i})
	}
	slices.SortFunc(s.keys, func(a, b sortKey) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return compareBackends(&s.found[a.index], &s.found[b.index])
	})
	for _, key := range s.keys {
		s.sorted = append(s.sorted, s.found[key.index])
	}
	return s.sorted
}

// release lets go of all backends, and has the sorter used again.
func (s *sorter) release() {
	clear(s.found)
	clear(s.sorted)
	s.found, s.sorted, s.keys = s.found[:0], s.sorted[:0], s.keys[:0]
	sorters.Put(s)
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
			strings.Compare(a.pod.Namespace, b.pod.Namespace), strings.Compare(a.pod.Name, b.pod.Name))
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
