package xds

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/podway/podway/test/locked"
)

// partingWay is one way to end a stream that is open on a connection.
type partingWay struct {
	end func(*world, *deltaClient, *grpc.ClientConn)
	// says is a regular expression.
	says string
}

func TestWhyAnEnvoyDisconnectsIsLogged(t *testing.T) {
	for name, way := range map[string]partingWay{
		"stream":   {func(_ *world, c *deltaClient, _ *grpc.ClientConn) { c.cancel() }, "the client ended the stream"},
		"nothing":  {func(_ *world, c *deltaClient, _ *grpc.ClientConn) { require.NoError(c, c.stream.CloseSend()) }, "the client has nothing more to ask"},
		"conn":     {func(_ *world, _ *deltaClient, conn *grpc.ClientConn) { _ = conn.Close() }, "(the client closed the connection|connection reset by peer)"},
		"shutdown": {func(w *world, _ *deltaClient, _ *grpc.ClientConn) { w.stop() }, "podway is shutting down; connect again"},
		"denial": {func(_ *world, c *deltaClient, _ *grpc.ClientConn) {
			other := node("envoy-1")
			other.Cluster = "edge/other"
			require.NoError(c, c.stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: clusterType, Node: other}))
		}, `node.cluster changed from \\"edge/public\\" to \\"edge/other\\" within the stream; open another stream for another Gateway`},
	} {
		t.Run(name, func(t *testing.T) {
			log := &locked.Buffer{}
			config := quick()
			config.Logger = slog.New(slog.NewTextHandler(log, nil))
			w := newWorld(t, config, cluster("a", 1))
			conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			c := w.deltaOver(discoveryv3.NewAggregatedDiscoveryServiceClient(conn), "envoy-1")
			c.subscribe(clusterType)
			c.want(clusterType, "a")
			way.end(w, c, conn)
			wantParting(t, log, way.says)
		})
	}
}

func wantParting(t *testing.T, log *locked.Buffer, says string) {
	t.Helper()
	eventually(t, func() bool { return strings.Contains(log.String(), "Envoy disconnected") }, "the end is logged")
	require.Regexp(t, `msg="Envoy disconnected" node=envoy-1 gateway=edge/public reason="`+says+`" after=`, log.String())
}

func TestConnectionThatPodwayClosesIsSaidToBe(t *testing.T) {
	log := &locked.Buffer{}
	config := quick()
	config.Logger = slog.New(slog.NewTextHandler(log, nil))
	s := newSecureWorld(t, config, nil)
	c := s.over(s.client(gatewayIdentity))
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	for _, conn := range s.access.open() {
		conn.timer.Reset(0) // as if its time had come
	}
	wantParting(t, log, "the client's certificate, or its authority's, expires; its client must connect with a new one")
}

func TestPeerThatAnswersNoPingsIsSaidTo(t *testing.T) {
	log := &locked.Buffer{}
	config := quick()
	config.Logger = slog.New(slog.NewTextHandler(log, nil))
	onTheClock(t, config, settledResources(), func(w *world) {
		line := newLine(w.T, w.connect)
		w.dialer = grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return line.Dial() })
		c := w.delta()
		c.subscribe(clusterType)
		c.want(clusterType, "a")
		line.cut()
		<-time.After(time.Minute)
		require.Contains(w, log.String(), "podway closed the connection: the client answers no pings")
	})
}
