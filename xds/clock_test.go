package xds

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/podway/podway/api"
)

// onTheClock runs a test in which time passes only while everything waits, so that a bound of a minute takes none and is
// exact. The gRPC connection is in memory: of the kernel's it cannot be told whether something is still to come.
func onTheClock(t *testing.T, config Config, resources []*api.Resource, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		memory := bufconn.Listen(1 << 20)
		w := newWorldOn(t, memory, config)
		w.address = "passthrough:///memory"
		w.connect = memory.Dial
		w.dialer = grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return memory.DialContext(ctx) })
		w.set(resources...)
		test(w)
	})
}

// took checks that something took exactly as long as it should.
func (w *world) took(should time.Duration, something func()) {
	w.Helper()
	start := time.Now()
	something()
	require.Equal(w, should, time.Since(start))
}
