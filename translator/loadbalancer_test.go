package translator

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
)

// TestTableSizesArePrimes as Maglev needs: one that is not leaves its cluster warming in Envoy for ever.
func TestTableSizesArePrimes(t *testing.T) {
	for i, size := range tableSizes {
		require.True(t, new(big.Int).SetUint64(size).ProbablyPrime(0), size)
		require.True(t, i == 0 || size > tableSizes[i-1])
	}
}

func TestTableGrowsWithTheRatioOfWeights(t *testing.T) {
	for _, test := range []struct {
		services, addresses string
		want                uint64 // 0: round robin
	}{
		{services: "100 100", want: 0},
		{services: "100", addresses: "100 0", want: 0},
		{services: "0 0 7", want: 0},
		{addresses: "100 50", want: 1009},
		{addresses: "100 1", want: 2039},
		{services: "100 50", want: 8191},
		{services: "50 49", want: 4093},
		{services: "100 10", want: 32749},
		{services: "100 1", want: 65537},
		{services: strings.Repeat("100 ", 19) + "1", want: 65537},
	} {
		var spec strings.Builder
		for i, weight := range strings.Fields(test.services) {
			fmt.Fprintf(&spec, "  - {cluster: east, namespace: default, name: s-%d, port: 80, podWeight: %s}\n", i, weight)
		}
		services := spec.String()
		spec.Reset()
		for i, weight := range strings.Fields(test.addresses) {
			fmt.Fprintf(&spec, "  - {address: 192.0.2.%d, port: 80, weight: %s}\n", i, weight)
		}
		p := mustPicture(t, fmt.Appendf(nil, "kind: Tunnel\nmetadata: {name: t, namespace: edge}\nspec:\n  services:\n%s  addresses:\n%s", services, spec.String()))
		cluster := Translate(p.cfg, nil).tunnels[edge("t")].cluster.Message.(*clusterv3.Cluster)
		require.Equal(t, test.want, cluster.GetMaglevLbConfig().GetTableSize().GetValue(), "%+v", test)
	}
}
