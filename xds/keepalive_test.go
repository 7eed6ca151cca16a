package xds

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/podway/podway/api"
)

// keptAlive pings as podway's bootstrap tells Envoys to.
var keptAlive = grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 15 * time.Second, PermitWithoutStream: true})

func TestDeltaPingsEvery15sAreTolerated(t *testing.T) {
	onTheClock(t, quick(), []*api.Resource{cluster("a", 1)}, func(w *world) {
		c := w.deltaOver(w.dial(keptAlive), "envoy-1")
		c.subscribe(clusterType)
		c.want(clusterType, "a")
		<-time.After(time.Hour)
		w.set(cluster("a", 2))
		c.want(clusterType, "a")
		require.Empty(w, c.failed)
	})
}

func TestSotWPingsEvery15sAreTolerated(t *testing.T) {
	onTheClock(t, quick(), []*api.Resource{cluster("a", 1)}, func(w *world) {
		c := w.sotwOver(w.dial(keptAlive), "envoy-1")
		c.subscribe(clusterType)
		c.want(clusterType, "a")
		<-time.After(time.Hour)
		w.set(cluster("a", 2))
		c.want(clusterType, "a")
		require.Empty(w, c.failed)
	})
}
