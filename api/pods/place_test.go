package pods_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
)

func TestPlaceSaysWhereAPodRuns(t *testing.T) {
	for _, where := range [][2]string{{"", ""}, {"node-1", ""}, {"", "zone-1"}, {"node-1", "zone-1"}, {"zone-1", "node-1"}} {
		place := pods.PlaceOf(where[0], where[1])
		require.Equal(t, where, [2]string{place.Node(), place.Zone()})
		require.True(t, place == pods.PlaceOf(where[0], where[1]))
		require.Equal(t, where == [2]string{}, place == pods.Place{})
	}
}
