package controlplane

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/xds"
)

func TestEnvoysThatAreTooOldAreTold(t *testing.T) {
	var releases []xds.Release
	told := toldBy(newOutdatedWatch(func() []xds.Release { return releases }), partOutdated)
	check := func(now ...xds.Release) []string {
		releases = now
		return told()
	}
	of := func(gateway string, minor, patch uint32) xds.Release {
		return xds.Release{Gateway: gateway, Major: 1, Minor: minor, Patch: patch}
	}
	require.Empty(t, check(of("edge/front", 37, 0), of("edge/front", 40, 0), xds.Release{Gateway: "edge/front", Major: 2}))
	require.Equal(t, []string{"gateway.yaml: warning EnvoyTooOld: Gateway edge/front: Envoys of version 1.35.9, 1.36.4 leave out the retries and the consistent hash of tunnels: " +
		"a request that meets a Pod that is gone fails, and clients do not stay at one Pod; upgrade them to 1.37 or later; podway envoys names them"},
		check(of("edge/front", 35, 9), of("edge/front", 36, 4), of("edge/front", 40, 0)))
	require.Contains(t, check(of("edge/front", 31, 0), of("edge/front", 32, 0), of("edge/front", 33, 0), of("edge/front", 34, 0), of("edge/front", 35, 0))[0],
		"Envoys of version 1.31.0, 1.32.0, 1.33.0, 2 more leave out")
	require.Empty(t, check())

	var many []xds.Release
	for i := range maxGatewaysTold + 2 {
		many = append(many, of(fmt.Sprintf("edge/gateway-%03d", i), 36, 0))
	}
	all := check(many...)
	require.Len(t, all, maxGatewaysTold+1)
	require.Contains(t, all, "warning EnvoyTooOld: 2 Gateways besides have Envoys that are too old; see podway envoys")
}
