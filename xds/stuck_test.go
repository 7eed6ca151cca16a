package xds

import (
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// TestRealEnvoyThatIsStuckAtAClusterIsCured has a zombie that was rejected by itself before another cluster came, one that is a
// change of a cluster that serves, and one that came together with a good one, so that Envoy says nothing of either.
func TestRealEnvoyThatIsStuckAtAClusterIsCured(t *testing.T) {
	bothVariants(t, func(t *testing.T, variant corev3.ApiConfigSource_ApiType) {
		one := backend(t, "one")
		front, c, m := realListener(t), realCluster("c", time.Second), realCluster("m", time.Second)
		f := newFleetWith(t, Config{StuckBound: time.Second}, "127.0.0.1:0", front, realRoutes("c", "m"), c, m, endpoints("c", one), endpoints("m", one))
		_, url := f.envoy(variant)
		answers(t, url+"/m", "one")
		l := newLoad(t, url, 2)
		always := []*api.Resource{front, realRoutes("c", "m"), c, endpoints("c", one), endpoints("m", one)}
		n := []*api.Resource{realCluster("n", time.Second), endpoints("n", one)}
		z := []*api.Resource{zombie("z"), endpoints("z", one)}
		for _, test := range []struct {
			bad string
			// first is sent before second, once it has been rejected; nil for what comes at once.
			first, second []*api.Resource
		}{
			{"z", append(z, m), append(append(z, m), n...)},
			{"m", []*api.Resource{zombie("m")}, append(n, zombie("m"))},
			{"z", nil, append(append(z, m), n...)},
		} {
			if test.first != nil {
				f.set(append(test.first, always...)...)
				require.Equal(t, test.bad, (<-f.rejected).Key.Name)
			}
			f.set(append(test.second, always...)...)
			if test.first == nil {
				// Once it is cured, Envoy says what it thought of it.
				rejected := <-f.rejected
				require.Equal(t, test.bad, rejected.Key.Name)
				require.Contains(t, rejected.Message, "must be prime")
			}
			eventually(t, func() bool { return onlyRejected(f.server, test.bad) }, "everything but %s is acknowledged", test.bad)
			f.set(append([]*api.Resource{m}, always...)...)
			eventually(t, func() bool { return idle(f.server, 2) }, "all is acknowledged")
			require.Empty(t, f.rejected)
		}
		f.set(append(always[2:], front, realRoutes("c", "m", "z"), m, realCluster("z", time.Second), endpoints("z", backend(t, "cured")))...)
		answers(t, url+"/z", "cured")
		answers(t, url+"/m", "one")
		l.wantNoFailures()
	})
}

// onlyRejected is true where the one Envoy has acknowledged all but one cluster, which it is not sent again.
func onlyRejected(s *Server, name string) bool {
	for _, t := range s.Streams()[0].Types {
		if t.IsBehind() || t.Type == clusterType && (len(t.Rejected) != 1 || t.Rejected[0].Name != name) {
			return false
		}
	}
	return true
}

// TestUnansweredClusterIsTakenBackAndWhatItWasNotIsSentAgain has a client that answers once it is sent the right one.
func TestUnansweredClusterIsTakenBackAndWhatItWasNotIsSentAgain(t *testing.T) {
	config := quick()
	config.StuckBound = time.Second
	onTheClock(t, config, settledResources(), isTakenBack)
}

func isTakenBack(w *world) {
	c := settled(w)
	c.subscribe(endpointType, "b")
	c.want(endpointType, "-b")
	w.set(append(settledResources()[2:], cluster("a", 2), endpoints("a", 1), cluster("b", 1), endpoints("b", 1))...)
	c.see(clusterType, "a", "b")
	c.want(endpointType, "a")
	c.want(endpointType, "b")
	first := c.see(clusterType, "a")
	require.Equal(w, versionOfResource(w.T, cluster("a", 1)), first.GetResources()[0].GetVersion())
	c.want(endpointType, "a")
	// That it was not, so the change is sent again, and the other one taken back.
	again := c.see(clusterType, "-b")
	change := c.see(clusterType, "a")
	require.Equal(w, versionOfResource(w.T, cluster("a", 2)), change.GetResources()[0].GetVersion())
	c.want(endpointType, "a")
	c.ack(again)
	c.ack(change)
	c.quiet()
	require.Equal(w, "b", w.rejections()[0].Key.Name)
	require.Equal(w, stuckMessage, w.rejections()[0].Message)
	answers := w.server.Answers(gateway, api.ResourceKey{Type: clusterType, Name: "b"})
	require.Equal(w, []string{"envoy-1"}, answers.Rejected)
	require.True(w, answers.HadNothing)
	require.Equal(w, api.Answers{Accepted: 1}, w.server.Answers(gateway, api.ResourceKey{Type: clusterType, Name: "a"}))
}
