package xds

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// few is the view of a minority of the Gateway's Envoys.
var few = api.Minority(gateway)

// both sets what the Gateway has, and what a minority of its Envoys has.
func (w *world) both(own, ofFew []*api.Resource) {
	w.server.SetViews(map[string][]*api.Resource{gateway: own, few: ofFew})
}

// members makes Envoys all of the minority.
func (w *world) members(nodes ...string) {
	members := map[api.Member]struct{}{}
	for _, node := range nodes {
		members[api.Member{Node: node}] = struct{}{}
	}
	w.server.SetMinorities(map[string]map[api.Member]struct{}{few: members})
}

func TestDeltaEnvoyOfAMinorityIsSentWhatDiffersAndNobodyElseAnything(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	other := w.deltaNode("envoy-2")
	other.subscribe(clusterType)
	other.want(clusterType, "a")
	w.members("envoy-1")
	c.quiet()
	w.both(settledResources(), settledAnd(cluster("b", 1), endpoints("b", 1), routes("r", "b")))
	b := c.see(clusterType, "b")
	c.subscribe(endpointType, "b")
	c.ack(b)
	c.want(endpointType, "b")
	c.want(routeType, "r")
	c.quiet()
	other.quiet()
	require.Equal(t, few, w.server.Streams()[0].View)
	require.Equal(t, gateway, w.server.Streams()[0].Gateway)
	require.Equal(t, 1, w.server.Answers(gateway, api.ResourceKey{Type: clusterType, Name: "a"}).Accepted)
	require.Equal(t, 1, w.server.Answers(few, api.ResourceKey{Type: clusterType, Name: "a"}).Accepted)

	again := w.delta()
	again.reconnect(clusterType, map[string]string{"a": versionOfResource(t, cluster("a", 1))}, "*")
	again.want(clusterType, "b")
	again.quiet()

	// The endpoints that both have come to both.
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	c.want(endpointType, "a")

	w.members()
	c.want(routeType, "r")
	c.want(clusterType, "-b")
	c.want(endpointType, "-b") // which it has not given up yet
	c.quiet()
	other.quiet()
	w.wantBehind(0)
}

func TestSotWEnvoyOfAMinorityIsSentWhatDiffers(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := settledSotW(w)
	w.both(fenced(settledResources()...), fenced(append(settledResources()[1:], cluster("a", 2))...))
	c.quiet()
	w.members("envoy-1")
	c.want(clusterType, "a")
	c.want(endpointType, "a")
	c.quiet()
	w.set(fenced(settledResources()...)...)
	c.want(clusterType, "a")
	c.want(endpointType, "a")
	c.quiet()
	w.wantBehind(0)
}

func TestAnEnvoyOfAnotherVersionIsNoMemberOfAMinority(t *testing.T) {
	w := newWorld(t, quick())
	w.both(settledResources(), settledAnd(routes("r")))
	w.server.SetMinorities(map[string]map[api.Member]struct{}{few: {{Node: "envoy-1", Build: "1.40.0"}: {}}})
	c := w.delta() // which is of another version
	c.subscribe(routeType, "r")
	c.want(routeType, "r")
	require.Equal(t, gateway, w.server.Streams()[0].View)
}

func TestAMinorityThatIsServedNoMoreHasWhatItsGatewayHas(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.members("envoy-1")
	w.both(settledResources(), settledAnd(routes("r", "a", "a")))
	c.want(routeType, "r")
	w.set(settledResources()...)
	c.want(routeType, "r")
	c.quiet()
	w.both(settledResources(), settledAnd(routes("r", "a", "a")))
	c.want(routeType, "r")
	w.server.SetViews(nil)
	var got []string // in whatever order
	for range 2 {
		r := c.next()
		c.ack(r)
		got = append(got, deltaNames(r)...)
	}
	require.ElementsMatch(t, []string{"r", "-l"}, got)
	c.quiet()
	require.False(t, w.server.Streams()[0].Known)
	w.both(settledResources(), settledAnd(routes("r", "a", "a")))
	c.want(listenerType, "l")
	c.want(routeType, "r")
	c.quiet()
}

func TestContentThatAnEnvoyRejectedIsToldOfTheViewThatItComesTo(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "a", "b")
	bad := []*api.Resource{endpoints("a", 2), endpoints("b", 1)}
	w.set(bad...)
	c.nack(c.see(endpointType, "a"), "bad")
	c.quiet()
	w.both(bad, bad)
	w.members("envoy-1")
	c.quiet() // it is not sent again
	key := api.ResourceKey{Type: endpointType, Name: "a"}
	require.Equal(t, []string{"envoy-1"}, w.server.Answers(few, key).Rejected)
	require.Equal(t, "bad", w.server.Answers(few, key).Message)
	require.Empty(t, w.server.Answers(gateway, key).Rejected)
	var views []string
	for _, rejection := range w.rejections() {
		views = append(views, rejection.View)
	}
	require.Equal(t, []string{gateway, few}, views)
	w.both(bad, []*api.Resource{endpoints("a", 1), endpoints("b", 1)})
	c.want(endpointType, "a") // a Cluster may wait for it
	c.quiet()
	require.Len(t, w.rejections(), 2)
}

func TestNobodyMayNameAMinority(t *testing.T) {
	who := node("envoy-1")
	who.Cluster = few
	require.NotNil(t, quick().Limits.checkNode(who))
}
