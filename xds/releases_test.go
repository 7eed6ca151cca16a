package xds

import (
	"fmt"
	"log/slog"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/stretchr/testify/require"
)

func TestReleasesAreThoseOfConnectedEnvoys(t *testing.T) {
	s := New(Config{Logger: slog.New(slog.DiscardHandler)})
	opened := 0
	open := func(gateway, agent string, version *typev3.SemanticVersion) *stream {
		opened++
		st, err := s.open(request{typeURL: clusterType, node: &corev3.Node{
			Id: fmt.Sprintf("node-%d", opened), Cluster: gateway, UserAgentName: agent,
			UserAgentVersionType: &corev3.Node_UserAgentBuildVersion{UserAgentBuildVersion: &corev3.BuildVersion{Version: version}},
		}}, &standIn{}, nil)
		require.NoError(t, err)
		return st
	}
	open("edge/b", "envoy", &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40})
	open("edge/a", "envoy", &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40})
	open("edge/a", "envoy", &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40})
	old := open("edge/a", "envoy", &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 9, Patch: 4})
	open("edge/a", "envoy", nil)
	open("edge/a", "gRPC Go", &typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 8})
	require.Equal(t, []Release{{"edge/a", 1, 9, 4}, {"edge/a", 1, 40, 0}, {"edge/b", 1, 40, 0}}, s.Releases())
	s.close(old, "")
	require.Equal(t, []Release{{"edge/a", 1, 40, 0}, {"edge/b", 1, 40, 0}}, s.Releases())
}
