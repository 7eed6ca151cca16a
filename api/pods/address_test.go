package pods_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
)

func TestAddressIsWhatItWasMadeOf(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "0.0.0.0": "0.0.0.0", "2001:db8::1": "2001:db8::1", "::1": "::1", "::ffff:10.0.0.1": "10.0.0.1", "fe80::1%eth0": "fe80::1",
	} {
		address := pods.AddressOf(netip.MustParseAddr(text))
		require.Equal(t, netip.MustParseAddr(want), address.Addr())
		require.Equal(t, want, address.String())
	}
	require.Equal(t, pods.Address{}, pods.AddressOf(netip.Addr{}))
	require.Equal(t, netip.Addr{}, pods.Address{}.Addr())
}

func TestAddressesAreInTheOrderOfNetip(t *testing.T) {
	all := []netip.Addr{{}}
	for _, text := range []string{"0.0.0.1", "10.0.0.1", "255.255.255.255", "::1", "2001:db8::1"} {
		all = append(all, netip.MustParseAddr(text))
	}
	for _, a := range all {
		for _, b := range all {
			require.Equal(t, a.Compare(b), pods.AddressOf(a).Compare(pods.AddressOf(b)), "%s %s", a, b)
		}
	}
}
