package xds

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/bench/xds/fleet"
	"github.com/podway/podway/bench/xds/servers"
)

const (
	streams = 100
	// perConnection keeps the clients' share of the machine small.
	perConnection = 50
	patience      = time.Minute
)

// BenchmarkPush is one changed assignment of 100 endpoints to 100 delta streams, from its publication to the last acknowledgement. Server and
// clients are in this process, and both are part of what is measured: cmd/xdsbench tells them apart.
func BenchmarkPush(b *testing.B) {
	for _, clusters := range []int{10, 1000} {
		for _, kind := range []string{servers.Floor, servers.Podway, servers.LinearCache} {
			b.Run(fmt.Sprintf("%s/%dClusters", kind, clusters), func(b *testing.B) { push(b, kind, clusters) })
		}
	}
}

func push(b *testing.B, kind string, clusters int) {
	system, err := servers.Start(kind, clusters)
	require.NoError(b, err)
	defer func() { require.NoError(b, system.Stop()) }()
	f, err := fleet.Open(fleet.Options{
		Address: system.Address, Streams: streams, PerConnection: perConnection, Names: servers.Names(clusters), Expected: int64(streams * clusters),
	})
	require.NoError(b, err)
	defer f.Close()
	acknowledged := func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err := f.Wait(ctx)
		require.NoError(b, err)
	}
	acknowledged()
	seed := 0
	b.ReportAllocs()
	for b.Loop() {
		seed++
		f.Expect(f.Acked() + streams)
		require.NoError(b, system.Publish(0, seed))
		acknowledged()
	}
}
