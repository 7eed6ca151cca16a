package main

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/test/locked"
	"github.com/podway/podway/xds"
)

func TestConnectionsLeaveDescriptorsForTheRest(t *testing.T) {
	const warning = "The limit of open files leaves room for fewer Envoys"
	for name, test := range map[string]struct {
		files       uint64
		limits      xds.Limits
		connections int
		warns       bool
	}{
		"not known":              {0, xds.Limits{}, 0, false},
		"a great many":           {1 << 62, xds.Limits{}, 1<<31 - 1, false},
		"enough":                 {20_256, xds.Limits{}, 20_000, false},
		"too few":                {4096, xds.Limits{}, 3840, true},
		"enough for few streams": {4096, xds.Limits{MaxStreams: 1000}, 3840, false},
		"next to none":           {40, xds.Limits{MaxStreams: 100}, 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			var log locked.Buffer
			boundConnections(t.Context(), &test.limits, test.files, slog.New(slog.NewTextHandler(&log, nil)))
			require.Equal(t, test.connections, test.limits.MaxConnections)
			if !test.warns {
				require.Empty(t, log.String())
				return
			}
			require.Contains(t, log.String(), warning)
		})
	}
}
