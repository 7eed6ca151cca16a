package xds

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// lag is what an Envoy is behind with, by short type.
func lag(s *Server) map[string]int {
	counts := map[string]int{}
	for _, b := range s.Behind(0) {
		counts[shortType(b.Type)] += b.Count
	}
	return counts
}

func TestEnvoyThatAcknowledgesIsNotBehind(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	settled(w)
	require.Empty(t, w.server.Behind(0))
	for _, s := range w.server.Streams()[0].Types {
		require.False(t, s.IsBehind())
		require.Zero(t, s.BehindSince)
		require.Equal(t, s.Wanted, s.Current)
	}
}

func TestEnvoyIsBehindSinceTheFirstChangeThatItHasNotAcknowledged(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.quiet()
	before := time.Now()
	w.set(cluster("a", 2), cluster("b", 1))
	c.see(clusterType, "a")
	after := time.Now()
	for seed := range 3 {
		w.set(cluster("a", 3+seed), cluster("b", 1))
		c.see(clusterType, "a")
	}
	behind := w.server.Behind(0)
	require.Len(t, behind, 1)
	require.Equal(t, []any{"envoy-1", gateway, clusterType, 1}, []any{behind[0].Node, behind[0].Gateway, behind[0].Type, behind[0].Count})
	require.WithinRange(t, behind[0].Since, before, after)
	require.Equal(t, behind[0].Since, w.server.Streams()[0].Types[0].BehindSince)
	require.Empty(t, w.server.Behind(time.Hour))
}

func TestRemovalThatIsNotAcknowledgedIsBehind(t *testing.T) {
	w := newWorld(t, quick(), listener("a", 1), listener("b", 1))
	c := w.delta()
	c.subscribe(listenerType)
	c.want(listenerType, "a", "b")
	c.quiet()
	w.set(listener("a", 1))
	r := c.see(listenerType, "-b")
	require.Equal(t, map[string]int{"lds": 1}, lag(w.server))
	status := w.server.Streams()[0].Types[0]
	require.Equal(t, []int{1, 1, 0, 1}, []int{status.Wanted, status.Current, status.Behind, status.Leaving})
	c.ack(r)
	c.quiet()
	require.Empty(t, lag(w.server))
}

func TestRejectedContentIsNotBehind(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.nack(c.see(clusterType, "a"), "Error adding/updating cluster(s) a: bad")
	c.quiet()
	require.Empty(t, w.server.Behind(0))
	status := w.server.Streams()[0].Types[0]
	require.Equal(t, 1, status.Declined)
	require.Len(t, status.Rejected, 1)
	rejected := status.Rejected[0]
	require.WithinDuration(t, time.Now(), rejected.At, patience)
	rejected.At = time.Time{}
	require.Equal(t, RejectedStatus{
		Name: "a", Version: versionOfResource(t, cluster("a", 1)), Message: "Error adding/updating cluster(s) a: bad",
		Object: api.ObjectRef{Kind: "Tunnel", Name: "a"},
	}, rejected)
}

func TestWhatPodwayKeepsBackIsNotBehind(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), endpoints("a", 1, 2))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	w.set(cluster("a", 2), partial("a", 1))
	c.quiet()
	require.Empty(t, w.server.Behind(0))
	for i, s := range w.server.Streams()[0].Types[:2] {
		require.Equal(t, []int{1, 0, 0, 1}, []int{s.Wanted, s.Current, s.Behind, s.Withheld}, "%d", i)
	}
}

func TestEnvoysOfGatewaysThatAreNotServedAreNotBehind(t *testing.T) {
	w := newWorld(t, quick(), listener("a", 1))
	c := w.delta()
	c.subscribe(listenerType)
	c.see(listenerType, "a")
	require.Len(t, w.server.Behind(0), 1)
	w.server.SetViews(nil)
	require.Empty(t, w.server.Behind(0))
}

func TestStreamsListsFewRejectionsAndStreamsOfAll(t *testing.T) {
	var all []*api.Resource
	for i := range 2 * listedRejections {
		all = append(all, secret(fmt.Sprintf("s%02d", i), i))
	}
	w := newWorld(t, quick(), all...)
	c := w.delta()
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	c.subscribe(secretType, names...)
	c.nack(c.see(secretType, names...), fmt.Sprint(names))
	c.quiet()
	status := w.server.Streams()[0].Types[0]
	require.Equal(t, []int{2 * listedRejections, listedRejections}, []int{status.Declined, len(status.Rejected)})
	require.Equal(t, "s00", status.Rejected[0].Name)
	require.Len(t, w.server.StreamsOf("envoy-1")[0].Types[0].Rejected, 2*listedRejections)
	require.Equal(t, []StreamStatus{}, w.server.StreamsOf("envoy-2"))
}

func TestWantedCountsWhatAStreamChangedOfTheNamesThatItShares(t *testing.T) {
	var all []*api.Resource
	var names []string
	for i := range 100 {
		all = append(all, endpoints(fmt.Sprintf("e%03d", i), 1))
		names = append(names, all[i].Name)
	}
	w := newWorld(t, quick(), all...)
	wanted := func() (counts []int) {
		for _, s := range w.server.Streams() {
			counts = append(counts, s.Types[0].Wanted)
		}
		return counts
	}
	for i := range 2 {
		c := w.deltaNode(fmt.Sprintf("envoy-%d", i))
		c.subscribe(endpointType, append(names[10:], "none")...)
		c.see(endpointType, names[10:]...)
		if i == 1 {
			c.subscribe(endpointType, names[0], "none either")
			c.unsubscribe(endpointType, names[10], names[11], "none")
		}
		c.see(endpointType, "-none")
	}
	eventually(t, func() bool { return fmt.Sprint(wanted()) == "[90 89]" }, "the counts are right")
}
