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
