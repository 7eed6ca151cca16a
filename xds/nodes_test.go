package xds

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/podway/podway/api"
)

// deltaFrom opens a stream from an address of this host.
func (w *world) deltaFrom(address, id string) *deltaClient {
	w.Helper()
	return w.deltaOver(w.dial(grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
		return from(address).DialContext(ctx, "tcp", to)
	})), id)
}

func TestWhatAnEnvoyRejectedIsSentToAnotherOfTheSameNode(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), endpoints("a", 1))
	one := w.deltaFrom("127.0.0.2", "front")
	one.subscribe(clusterType)
	one.want(clusterType, "a")
	w.set(cluster("a", 2), endpoints("a", 1))
	one.nack(one.see(clusterType, "a"), "bad")
	one.quiet()
	other := w.deltaFrom("127.0.0.3", "front")
	other.reconnect(clusterType, map[string]string{"a": versionOfResource(t, cluster("a", 1))})
	other.reconnect(endpointType, map[string]string{"a": versionOfResource(t, endpoints("a", 1))}, "a")
	other.want(clusterType, "a")
	other.want(endpointType, "a")
	other.quiet()
	one.quiet()
	require.Equal(t, []int{1, 0}, []int{w.server.Streams()[0].Types[0].Declined, w.server.Streams()[1].Types[0].Declined})
}

func TestNodeThatSeveralEnvoysHaveIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Logger: slog.New(slog.DiscardHandler)})
		s.SetViews(map[string][]*api.Resource{gateway: nil})
		port := 0
		open := func(id, only string, host byte) *stream {
			port++
			st, err := s.open(request{typeURL: clusterType, node: node(id)}, &standIn{delta{only: only}}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, host), Port: port})
			require.NoError(t, err)
			return st
		}
		open("front", "", 1)
		open("alone", "", 1)
		<-time.After(time.Hour)
		second := open("front", "", 2)
		open("alone", "", 1)          // of an Envoy that is restarted hot
		open("alone", clusterType, 2) // a stream for each type
		open("alone", endpointType, 3)
		<-time.After(s.parting())
		require.Empty(t, s.SharedNodes(), "the first may be of an Envoy that has lost its connection")
		<-time.After(time.Second)
		require.Equal(t, []SharedNode{{gateway, "front"}}, s.SharedNodes())
		s.SetViews(nil)
		require.Empty(t, s.SharedNodes(), "nobody is served")
		s.SetViews(map[string][]*api.Resource{gateway: nil})
		require.Len(t, s.SharedNodes(), 1)
		s.close(second, "")
		require.Empty(t, s.SharedNodes())
		require.Len(t, s.nodes, 2)
	})
}

func TestEnvoyThatIsBackOnAnotherStreamIsNotBehindOnTheFirst(t *testing.T) {
	onTheClock(t, quick(), []*api.Resource{cluster("a", 1)}, func(w *world) {
		line, direct := newLine(w.T, w.connect), w.dialer
		w.dialer = grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return line.Dial() })
		lost := w.delta()
		lost.subscribe(clusterType)
		lost.want(clusterType, "a")
		lost.quiet()
		line.cut()
		w.set(cluster("a", 2))
		<-time.After(time.Second)
		require.Len(w, w.server.Behind(0), 1)
		w.dialer = direct
		back := w.delta()
		back.reconnect(clusterType, map[string]string{"a": versionOfResource(w.T, cluster("a", 1))})
		back.want(clusterType, "a")
		back.quiet()
		require.Len(w, w.server.Streams(), 2)
		require.Empty(w, w.server.Behind(0))
		w.set(cluster("a", 3))
		back.see(clusterType, "a")
		require.Len(w, w.server.Behind(0), 1, "it is there, and acknowledges nothing")
		<-time.After(w.server.parting())
		require.Len(w, w.server.Streams(), 1)
	})
}

func TestEnvoyIsBehindThoughAnotherOfItsNodeIsNot(t *testing.T) {
	onTheClock(t, quick(), []*api.Resource{cluster("a", 1)}, func(w *world) {
		late, other := w.delta(), w.delta()
		for _, c := range []*deltaClient{late, other} {
			c.subscribe(clusterType)
			c.want(clusterType, "a")
			c.quiet()
		}
		w.set(cluster("a", 2))
		late.see(clusterType, "a")
		other.want(clusterType, "a")
		other.quiet()
		<-time.After(w.server.parting() + time.Second)
		require.Len(w, w.server.Behind(0), 1, "pings tell that it is there")
	})
}

func TestEnvoyThatRejectsNothingBelongsToNoMinorityOfAnotherWithItsNode(t *testing.T) {
	w := newWorld(t, quick())
	w.both([]*api.Resource{cluster("a", 2)}, []*api.Resource{cluster("a", 1)})
	w.members("front")
	views := func() (views []string) {
		for _, s := range w.server.Streams() {
			views = append(views, s.View)
		}
		return views
	}
	one := w.deltaFrom("127.0.0.2", "front")
	one.subscribe(clusterType)
	one.want(clusterType, "a")
	require.Equal(t, []string{few}, views(), "nobody else has the node")
	other := w.deltaFrom("127.0.0.3", "front")
	other.subscribe(clusterType)
	one.want(clusterType, "a")
	one.quiet()
	other.nack(other.see(clusterType, "a"), "bad")
	other.want(clusterType, "a")
	other.quiet()
	one.quiet()
	require.Equal(t, []string{gateway, few}, views())

	again := w.deltaFrom("127.0.0.3", "front") // before it is known that the stream before has ended
	again.subscribe(clusterType)
	require.Equal(t, versionOfResource(t, cluster("a", 1)), again.want(clusterType, "a").GetResources()[0].GetVersion())
	require.Equal(t, []string{gateway, few, few}, views())
}
