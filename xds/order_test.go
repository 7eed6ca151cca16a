package xds

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// bound is a short wait for what is gated by time.
const bound = 50 * time.Millisecond

// settled is a delta client that has all of a world of one cluster, listener and route.
func settled(w *world) *deltaClient {
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.subscribe(listenerType)
	c.want(listenerType, "l")
	c.subscribe(routeType, "r")
	c.want(routeType, "r")
	c.quiet()
	return c
}

func settledResources(more ...*api.Resource) []*api.Resource {
	return append([]*api.Resource{cluster("a", 1), endpoints("a", 1), listener("l", 1, "r"), routes("r", "a")}, more...)
}

// settledAnd are those without the route, and more.
func settledAnd(more ...*api.Resource) []*api.Resource {
	return slices.Concat(settledResources()[:3], more)
}

func TestChangeGoesSecretsClustersEndpointsListenersRoutes(t *testing.T) {
	w := newWorld(t, quick(), settledResources(secret("s", 1))...)
	c := settled(w)
	c.subscribe(secretType, "s")
	c.want(secretType, "s")
	c.quiet()
	w.set(secret("s", 2), cluster("a", 2), endpoints("a", 2), listener("l", 2, "r"), routes("r", "a", "a"))
	c.see(secretType, "s")
	c.see(clusterType, "a")
	c.see(endpointType, "a")
	c.see(listenerType, "l")
	c.see(routeType, "r")
	c.quiet()
}

func TestRemovalsGoInReverseOnceNothingRefersToThem(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set()
	l := c.see(listenerType, "-l")
	c.quiet()
	c.ack(l)
	r := c.see(routeType, "-r")
	c.quiet()
	c.ack(r)
	a := c.see(clusterType, "-a")
	c.ack(a)
	c.want(endpointType, "-a")
	c.quiet()
}

func TestRouteToANewClusterWaitsForItsClusterToBeAcknowledged(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set(append(settledResources()[:3:3], checked("b", 1), endpoints("b", 1), routes("r", "a", "b"))...)
	b := c.see(clusterType, "b")
	c.subscribe(endpointType, "b")
	c.want(endpointType, "b")
	c.quiet()
	c.ack(b)
	c.want(routeType, "r")
	c.quiet()
}

func TestRouteToANewClusterWaitsForItsEndpointsWhereTheyAreAllItNeeds(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set(append(settledResources()[:3:3], cluster("b", 1), endpoints("b", 1), routes("r", "b"))...)
	c.see(clusterType, "b")
	c.quiet()
	c.subscribe(endpointType, "b")
	assignment := c.see(endpointType, "b")
	c.quiet()
	c.ack(assignment)
	c.want(routeType, "r")
	c.quiet()
}

func TestRouteToANewClusterGoesAfterTheBound(t *testing.T) {
	config := quick()
	config.RouteBound = bound
	w := newWorld(t, config, settledResources()...)
	c := settled(w)
	start := time.Now()
	w.set(append(settledResources()[:3:3], checked("b", 1), endpoints("b", 1), routes("r", "b"))...)
	c.see(clusterType, "b")
	c.want(routeType, "r")
	require.GreaterOrEqual(t, time.Since(start), bound)
}

func TestFirstRouteWaitsForItsClustersAndForAShorterBound(t *testing.T) {
	config := quick()
	config.FirstRouteBound = bound
	w := newWorld(t, config, settledResources()...)
	c := w.delta()
	start := time.Now()
	c.subscribe(clusterType)
	c.see(clusterType, "a")
	c.subscribe(routeType, "r")
	c.want(routeType, "r")
	require.GreaterOrEqual(t, time.Since(start), bound)
}

func TestOldRouteStaysWhileTheNewOneWaitsAndTheRestGoesOn(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	next := []*api.Resource{cluster("a", 1), listener("l", 1, "r"), checked("b", 1), endpoints("b", 1), routes("r", "b")}
	w.set(append(next, endpoints("a", 1))...)
	b := c.see(clusterType, "b")
	w.set(append(next, endpoints("a", 2))...)
	c.want(endpointType, "a")
	c.quiet()
	c.ack(b)
	c.want(routeType, "r")
	c.quiet()
}

func TestRouteThatNoLongerNeedsTheNewClusterIsSentAtOnce(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set(settledResources(checked("b", 1), endpoints("b", 1), routes("r", "b"))...)
	c.see(clusterType, "b")
	c.quiet()
	w.set(append(settledResources()[:3:3], checked("b", 1), endpoints("b", 1), routes("r", "a", "a"))...)
	c.want(routeType, "r")
}

func TestClusterIsRemovedOnceTheRouteWithoutItIsAcknowledged(t *testing.T) {
	w := newWorld(t, quick(), settledResources(cluster("b", 1), endpoints("b", 1))...)
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(routeType, "r")
	c.want(routeType, "r")
	c.quiet()
	w.set(cluster("b", 1), endpoints("b", 1), listener("l", 1, "r"), routes("r", "b"))
	r := c.see(routeType, "r")
	c.quiet()
	c.ack(r)
	c.want(clusterType, "-a")
	c.quiet()
}

func TestClusterIsKeptWhileARejectedRouteLeavesItInUse(t *testing.T) {
	w := newWorld(t, quick(), settledResources(cluster("b", 1), endpoints("b", 1))...)
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(routeType, "r")
	c.want(routeType, "r")
	c.quiet()
	w.set(cluster("b", 1), endpoints("b", 1), listener("l", 1, "r"), routes("r", "b"))
	c.nack(c.see(routeType, "r"), "no such thing")
	c.quiet()
	w.set(cluster("b", 1), endpoints("b", 1), listener("l", 1, "r"), routes("r", "b", "b"))
	c.want(routeType, "r")
	c.want(clusterType, "-a")
}

func TestClusterIsRemovedAfterTheGrace(t *testing.T) {
	config := quick()
	config.RemovalGrace = bound
	w := newWorld(t, config, settledResources(cluster("b", 1), endpoints("b", 1))...)
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.quiet()
	start := time.Now()
	w.set(settledResources()...)
	c.want(clusterType, "-b")
	require.GreaterOrEqual(t, time.Since(start), bound)
}

func TestClusterThatComesBackWithinTheGraceIsNotTouched(t *testing.T) {
	config := quick()
	config.RemovalGrace = time.Hour
	w := newWorld(t, config, settledResources()...)
	c := settled(w)
	w.set(listener("l", 1, "r"), routes("r"))
	c.want(routeType, "r")
	c.quiet()
	w.set(settledResources()...)
	c.want(routeType, "r")
	c.quiet()
}

func TestReconnectedClientKeepsAClusterUntilItsRouteIsReplaced(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := w.delta()
	c.reconnect(clusterType, map[string]string{"a": versionOfResource(t, cluster("a", 1)), "gone": "x"})
	c.reconnect(routeType, map[string]string{"r": "older"}, "r")
	r := c.see(routeType, "r")
	c.quiet()
	c.ack(r)
	c.want(clusterType, "-gone")
}

func TestClustersAreNotHeldBackByAnACK(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set(settledResources(cluster("b", 1), endpoints("b", 1))...)
	c.see(clusterType, "b")
	w.set(settledResources(cluster("b", 2), endpoints("b", 1))...)
	c.see(clusterType, "b")
	w.set(settledResources(cluster("b", 2), endpoints("b", 1), cluster("c", 1))...)
	c.see(clusterType, "c")
	c.quiet()
}

func TestEndpointsAreSentAgainAfterAChangedCluster(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set(append(settledResources()[1:], cluster("a", 2))...)
	c.see(clusterType, "a")
	c.want(endpointType, "a")
	c.quiet()
}

func TestEndpointsAreSentAgainAfterAChangedClusterThoughTheLastAreNotAcknowledged(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	c.see(endpointType, "a")
	w.set(append(settledResources()[2:], cluster("a", 2), endpoints("a", 2))...)
	c.see(clusterType, "a")
	c.see(endpointType, "a")
	c.quiet()
}

func TestEndpointsOfAClusterChangedWhileAwayAreSentThoughCurrent(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := w.delta()
	c.reconnect(clusterType, map[string]string{"a": "older"})
	c.want(clusterType, "a")
	c.reconnect(endpointType, map[string]string{"a": versionOfResource(t, endpoints("a", 1))}, "a")
	c.want(endpointType, "a")
	c.quiet()
}

func TestEndpointsAreAnsweredEmptyForAClusterWithoutAny(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	r := c.want(endpointType, "a")
	require.Equal(t, versionOfResource(t, emptyAssignment("a")), r.GetResources()[0].GetVersion())
	w.set(cluster("a", 1), endpoints("a", 1))
	c.want(endpointType, "a")
	c.quiet()
}
