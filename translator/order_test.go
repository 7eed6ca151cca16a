package translator

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
)

func TestBackendsAreSortedAsTheyCompare(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		s := sorters.Get().(*sorter)
		for range random.IntN(40) {
			address := netip.AddrFrom4([4]byte{10, byte(random.IntN(2) * 255), 0, byte(random.IntN(4))})
			if random.IntN(2) == 0 {
				address = netip.AddrFrom16([16]byte{0: byte(random.IntN(2) * 255), 7: byte(random.IntN(4)), 15: byte(random.IntN(4))})
			}
			found := backend{address: netip.AddrPortFrom(address, uint16(80+random.IntN(2))), weight: random.Uint32()}
			if random.IntN(4) > 0 {
				found.cluster = string(rune('a' + random.IntN(3)))
				found.pod = &pods.Pod{Namespace: "default", Name: string(rune('a' + random.IntN(3)))}
			}
			s.found = append(s.found, found)
		}
		sorted := slices.Clone(s.sort())
		require.ElementsMatch(t, s.found, sorted)
		require.True(t, slices.IsSortedFunc(sorted, func(a, b backend) int { return compareBackends(&a, &b) }), "%v", sorted)
		s.release()
	}
}
