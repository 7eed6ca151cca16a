package translator

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBackendsAreSortedAsTheyCompare(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		s := newSorter()
		for range random.IntN(40) {
			address := netip.AddrFrom4([4]byte{10, byte(random.IntN(2) * 255), 0, byte(random.IntN(4))})
			if random.IntN(2) == 0 {
				address = netip.AddrFrom16([16]byte{0: byte(random.IntN(2) * 255), 7: byte(random.IntN(4)), 15: byte(random.IntN(4))})
			}
			found := backend{address: netip.AddrPortFrom(address, uint16(80+random.IntN(2))), weight: random.Uint32()}
			if random.IntN(4) > 0 {
				found.cluster = string(rune('a' + random.IntN(3)))
				found.pod = named("default", string(rune('a'+random.IntN(3))))
			}
			s.backends = append(s.backends, found)
		}
		s.sort()
		require.Len(t, s.order, len(s.backends))
		for i := range s.order[:max(len(s.order)-1, 0)] {
			require.LessOrEqual(t, compareBackends(s.at(i), s.at(i+1)), 0, "%v", s)
		}
		sorters.Put(s)
	}
}

func TestAnAddressCountsOnceForEachEntry(t *testing.T) {
	here, there := &entry{}, &entry{}
	address := netip.MustParseAddrPort("10.0.0.1:80")
	s := newSorter()
	defer sorters.Put(s)
	for i, of := range []*entry{here, there, here, nil, there, nil} {
		found := backend{address: address, weight: 1 << i}
		if of != nil {
			found.entry, found.cluster, found.pod = of, "a", named("default", string(rune('a'+i)))
		}
		s.backends = append(s.backends, found)
	}
	s.backends = append(s.backends, backend{address: netip.MustParseAddrPort("10.0.0.2:80"), weight: 7, entry: here, cluster: "a", pod: named("default", "z")})
	s.sort()
	require.Empty(t, s.merge())
	require.Len(t, s.order, 2)
	require.EqualValues(t, 1+2+8+32, s.at(0).weight)
	require.EqualValues(t, 7, s.at(1).weight)
}
