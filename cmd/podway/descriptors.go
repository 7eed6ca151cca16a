package main

import (
	"cmp"
	"context"
	"log/slog"
	"math"

	"github.com/podway/podway/xds"
)

// spareFiles is how many descriptors are kept from the xDS port, or half of all where those are fewer: for API servers, files and the admin interface, so
// that however many connect, Pods and the configuration are followed.
const spareFiles = 256

// boundConnections has the connections of the xDS port leave room for the rest of the process.
func boundConnections(ctx context.Context, limits *xds.Limits, files uint64, logger *slog.Logger) {
	if files == 0 {
		return
	}
	room := files - min(spareFiles, files/2)
	limits.MaxConnections = int(min(room, math.MaxInt32))
	if streams := cmp.Or(limits.MaxStreams, xds.DefaultMaxStreams); limits.MaxConnections < streams {
		logger.WarnContext(ctx, "The limit of open files leaves room for fewer Envoys than --xds-max-streams allows", "files", files,
			"connections", limits.MaxConnections, "streams", streams, "remedy", "raise it (ulimit -n, LimitNOFILE of systemd), or lower --xds-max-streams")
	}
}
