package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestAMinorityIsOfItsGateway(t *testing.T) {
	for _, gateway := range []string{"edge/front", "edge/minority", ""} {
		few := api.Minority(gateway)
		fewest := api.Minority(few)
		for _, view := range []string{gateway, few, fewest} {
			require.Equal(t, gateway, api.GatewayOf(view))
		}
		_, isMinority := api.MajorityOf(gateway)
		require.False(t, isMinority)
		majority, isMinority := api.MajorityOf(fewest)
		require.True(t, isMinority)
		require.Equal(t, few, majority)
	}
}
