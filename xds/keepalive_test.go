package xds

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
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

// TestPingsEverySecondAreTolerated pings itself: a client of gRPC does not so often, but an Envoy does.
func TestPingsEverySecondAreTolerated(t *testing.T) {
	onTheClock(t, quick(), []*api.Resource{cluster("a", 1)}, func(w *world) {
		conn, err := w.connect()
		require.NoError(w, err)
		_, err = io.WriteString(conn, http2.ClientPreface)
		require.NoError(w, err)
		framer := http2.NewFramer(conn, conn)
		require.NoError(w, framer.WriteSettings())
		answers, over := 0, make(chan struct{})
		go func() {
			defer close(over)
			for {
				frame, err := framer.ReadFrame()
				if err != nil {
					return
				}
				if ping, is := frame.(*http2.PingFrame); is && ping.IsAck() {
					answers++
				}
			}
		}()
		for range 60 {
			<-time.After(time.Second)
			require.NoError(w, framer.WritePing(false, [8]byte{}))
		}
		<-time.After(time.Second)
		require.NoError(w, conn.Close())
		<-over
		require.Equal(w, 60, answers)
	})
}
