package envoy

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMakeEnvoyFetchesThisVersion(t *testing.T) {
	script, err := os.ReadFile("../scripts/envoy.sh")
	require.NoError(t, err)
	require.Contains(t, string(script), "\nversion="+Version+"\n")
	requirements, err := os.ReadFile("../scripts/envoy-requirements.txt")
	require.NoError(t, err)
	require.Contains(t, string(requirements), "\nenvoy-server=="+Version+" ")
}
