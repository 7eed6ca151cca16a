package xds

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// settledSotW is settled for the other variant.
func settledSotW(w *world) *sotwClient {
	c := w.sotw()
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

func TestSotWChangeGoesSecretsClustersEndpointsListenersRoutes(t *testing.T) {
	w := newSotWWorld(t, settledResources(secret("s", 1))...)
	c := settledSotW(w)
	c.subscribe(secretType, "s")
	c.want(secretType, "s")
	c.subscribe(secretType, "s", "fence-a")
	c.want(secretType, "fence-a")
	w.set(fenced(secret("s", 2), cluster("a", 2), endpoints("a", 2), listener("l", 2, "r"), routes("r", "a", "a"))...)
	c.want(secretType, "s")
	c.see(clusterType, "a")
	c.see(endpointType, "a")
	c.see(listenerType, "l")
	c.see(routeType, "r")
	c.quiet()
}

func TestSotWRemovalsGoInReverseOnceNothingRefersToThem(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := settledSotW(w)
	w.set(fenced()...)
	l := c.see(listenerType)
	c.quiet()
	c.ack(l)
	c.want(clusterType)
	c.quiet()
}

func TestSotWRouteToANewClusterWaitsForItsClusterToBeAcknowledged(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := settledSotW(w)
	w.set(fenced(append(settledResources()[:3:3], checked("b", 1), endpoints("b", 1), routes("r", "a", "b"))...)...)
	b := c.see(clusterType, "a", "b")
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "b")
	c.quiet()
	c.ack(b)
	c.want(routeType, "r")
	c.quiet()
}

func TestSotWRouteToANewClusterWaitsForItsEndpointsWhereTheyAreAllItNeeds(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := settledSotW(w)
	w.set(fenced(append(settledResources()[:3:3], cluster("b", 1), endpoints("b", 1), routes("r", "b"))...)...)
	c.see(clusterType, "a", "b")
	c.quiet()
	c.subscribe(endpointType, "a", "b")
	assignment := c.see(endpointType, "b")
	c.quiet()
	c.ack(assignment)
	c.want(routeType, "r")
	c.quiet()
}

func TestSotWRouteToANewClusterGoesAfterTheBound(t *testing.T) {
	onTheClock(t, Config{}, fenced(settledResources()...), func(w *world) {
		c := settledSotW(w)
		w.took(20*time.Second, func() {
			w.set(fenced(append(settledResources()[:3:3], checked("b", 1), endpoints("b", 1), routes("r", "a", "b"))...)...)
			c.see(clusterType, "a", "b")
			c.want(routeType, "r")
		})
	})
}

func TestSotWFirstRouteWaitsForItsClustersAndForAShorterBound(t *testing.T) {
	onTheClock(t, Config{}, settledResources(), func(w *world) {
		c := w.sotw()
		c.subscribe(clusterType)
		c.see(clusterType, "a")
		w.took(10*time.Second, func() {
			c.subscribe(routeType, "r")
			c.want(routeType, "r")
		})
	})
}

func TestSotWClusterIsKeptWhileARejectedRouteLeavesItInUse(t *testing.T) {
	w := newSotWWorld(t, settledResources(cluster("b", 1), endpoints("b", 1))...)
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(routeType, "r")
	c.want(routeType, "r")
	c.quiet()
	w.set(fenced(cluster("b", 1), endpoints("b", 1), routes("r", "b"))...)
	c.nack(c.see(routeType, "r"), "no such thing")
	c.quiet()
	w.set(fenced(cluster("b", 2), endpoints("b", 1), routes("r", "b"))...)
	c.want(clusterType, "a", "b")
	c.quiet()
	w.set(fenced(cluster("b", 2), endpoints("b", 1), routes("r", "b", "b"))...)
	c.want(routeType, "r")
	c.want(clusterType, "b")
	c.quiet()
}

func TestSotWClusterIsRemovedAfterTheGrace(t *testing.T) {
	onTheClock(t, Config{}, fenced(settledResources(cluster("b", 1))...), func(w *world) {
		c := w.sotw()
		c.subscribe(clusterType)
		c.want(clusterType, "a", "b")
		c.subscribe(routeType, "r")
		c.want(routeType, "r")
		w.set(fenced(cluster("b", 1), endpoints("b", 1), routes("r", "b"))...)
		r := c.see(routeType, "r")
		c.quiet()
		<-time.After(time.Minute)
		w.took(5*time.Second, func() {
			c.ack(r)
			c.want(clusterType, "b")
		})
	})
}

func TestSotWClustersAreNotHeldBackByAnACK(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := settledSotW(w)
	w.set(fenced(settledResources(cluster("b", 1))...)...)
	c.see(clusterType, "a", "b")
	w.set(fenced(settledResources(cluster("b", 2))...)...)
	c.see(clusterType, "a", "b")
	w.set(fenced(settledResources(cluster("b", 2), cluster("c", 1))...)...)
	c.want(clusterType, "a", "b", "c")
	c.quiet()
	require.Zero(t, w.server.Streams()[0].Types[1].Behind, "the last ACK is for all before it")
}

func TestSotWUnacknowledgedClustersComeLessOftenButCome(t *testing.T) {
	onTheClock(t, quick(), fenced(cluster("a", 1)), func(w *world) {
		c := w.sotw()
		c.subscribe(clusterType)
		c.see(clusterType, "a")
		for i := range paceAfter - 1 {
			w.set(fenced(cluster("a", i+2))...)
			c.see(clusterType, "a")
		}
		w.took(pace, func() {
			for i := range 5 {
				w.set(fenced(cluster("a", i+100))...)
			}
			c.want(clusterType, "a")
		})
		c.quiet()
	})
}

func TestSotWEndpointsAreSentAgainAfterAChangedClusterThoughTheLastAreNotAcknowledged(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := settledSotW(w)
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	c.see(endpointType, "a")
	w.set(fenced(append(settledResources()[2:], cluster("a", 2), endpoints("a", 2))...)...)
	c.see(clusterType, "a")
	c.see(endpointType, "a")
	c.quiet()
}

func TestSotWEndpointsAreAnsweredEmptyForAClusterWithoutAny(t *testing.T) {
	w := newSotWWorld(t)
	c := w.sotw()
	c.subscribe(endpointType, "a")
	c.quiet()
	w.set(fenced(cluster("a", 1))...)
	r := c.want(endpointType, "a")
	made, err := newRecord(emptyAssignment("a"))
	require.NoError(t, err)
	require.Equal(t, made.value, r.GetResources()[0].GetValue())
	w.set(fenced(cluster("a", 1), endpoints("a", 1))...)
	c.want(endpointType, "a")
	c.quiet()
}

func TestSotWLastPodGoneIsAnEmptyAssignment(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := settledSotW(w)
	w.server.SetEndpoints([]*api.Resource{endpoints("a")}, nil)
	c.want(endpointType, "a")
	c.quiet()
}
