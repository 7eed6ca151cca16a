//go:build clusters

package clusters

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	kubetest "github.com/podway/podway/test/kube"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

func TestPodAddressesAreLocal(t *testing.T) {
	for _, address := range []string{"10.71.0.1", "10.71.0.0", "10.72.3.4", "10.78.255.254", "127.0.0.9"} {
		server, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
		require.NoError(t, err)
		client, err := net.Dial("tcp", server.Addr().String())
		require.NoError(t, err)
		require.NoError(t, client.Close())
		require.NoError(t, server.Close())
	}
	_, err := net.Listen("tcp", "10.79.0.1:0")
	require.ErrorContains(t, err, "cannot assign requested address")
}
