package xds

import (
	"slices"
	"testing"
	"time"

	"github.com/podway/podway/api"
)

// needing adds the names of a type that a resource needs.
func needing(r *api.Resource, typeURL string, names ...string) *api.Resource {
	for _, name := range names {
		r.Needs = append(r.Needs, api.ResourceKey{Type: typeURL, Name: name})
	}
	return r
}

func TestClusterAndListenerWaitForTheirSecrets(t *testing.T) {
	tls := func(seed int) []*api.Resource {
		return []*api.Resource{
			secret("s", seed), needing(cluster("a", seed), secretType, "s"), endpoints("a", 1),
			needing(listener("l", seed), secretType, "s"), cluster("b", seed),
		}
	}
	w := newWorld(t, quick(), tls(1)...)
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(listenerType)
	c.want(listenerType, "l")
	c.subscribe(secretType, "s")
	first := c.see(secretType, "s")
	w.set(tls(2)...)
	c.want(clusterType, "b")
	c.quiet()
	c.ack(first)
	c.want(secretType, "s")
	c.want(clusterType, "a")
	c.want(listenerType, "l")
	c.quiet()
}

func TestClusterDoesNotWaitForASecretThatTheEnvoyRejected(t *testing.T) {
	w := newWorld(t, quick(), secret("s", 1), needing(cluster("a", 1), secretType, "s"))
	c := w.delta()
	c.subscribe(secretType, "s", "gone")
	c.nack(c.see(secretType, "s"), "no such key")
	c.want(secretType, "-gone")
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.quiet()
}

// TestAbsenceIsToldOnceNothingThatIsOnItsWayOutWarms is about an Envoy that was sent a Cluster or Listener by a server that ended before it was asked for
// what that needs, and about one that is sent the next version meanwhile. Told that there is nothing of the name, it would take it into use without.
func TestAbsenceIsToldOnceNothingThatIsOnItsWayOutWarms(t *testing.T) {
	for _, test := range []struct {
		user   func(seed int) *api.Resource
		absent *api.Resource
	}{
		{func(seed int) *api.Resource { return cluster("user", seed) }, secret("gone", 1)},
		{func(seed int) *api.Resource { return listener("user", seed) }, secret("gone", 1)},
		{func(seed int) *api.Resource { return listener("user", seed) }, routes("gone")},
	} {
		user, absent := test.user(1).Type, test.absent.Type
		name := shortType(user) + " and " + shortType(absent)
		t.Run(name+" after a restart", func(t *testing.T) {
			w := newWorld(t, quick(), test.user(2))
			c := w.delta()
			c.reconnect(user, map[string]string{"user": "of before"})
			next := c.see(user, "user")
			c.reconnect(absent, nil, "gone")
			c.quiet()
			c.ack(next)
			c.want(absent, "-gone")
			c.quiet()
		})
		t.Run(name+" while it changes", func(t *testing.T) {
			w := newWorld(t, quick(), test.absent, needing(test.user(1), absent, "gone"))
			c := w.delta()
			c.subscribe(user)
			c.want(user, "user")
			w.set(test.user(2))
			next := c.see(user, "user")
			c.subscribe(absent, "gone")
			c.quiet()
			c.ack(next)
			c.want(absent, "-gone")
			c.quiet()
		})
	}
}

func TestClusterWaitsForItsSecretNoLongerThanTheBound(t *testing.T) {
	onTheClock(t, Config{}, []*api.Resource{secret("s", 1), needing(cluster("a", 1), secretType, "s")}, func(w *world) {
		c := w.delta()
		c.subscribe(clusterType)
		c.want(clusterType, "a")
		c.subscribe(secretType, "s")
		c.see(secretType, "s")
		w.took(20*time.Second, func() {
			w.set(secret("s", 2), needing(cluster("a", 2), secretType, "s"))
			c.want(clusterType, "a")
		})
	})
}

func TestSotWClusterAndListenerWaitForTheirSecrets(t *testing.T) {
	tls := func(seed int) []*api.Resource {
		return []*api.Resource{
			secret("s", seed), needing(cluster("a", seed), secretType, "s"), needing(listener("l", seed), secretType, "s"), endpoints("e", seed),
		}
	}
	w := newWorld(t, quick(), tls(1)...)
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.subscribe(listenerType)
	c.want(listenerType, "l")
	c.subscribe(secretType, "s")
	first := c.see(secretType, "s")
	w.set(tls(2)...)
	c.subscribe(endpointType, "e")
	c.want(endpointType, "e")
	c.ack(first)
	c.want(secretType, "s")
	c.want(clusterType, "a")
	c.want(listenerType, "l")
}

func TestRouteToAClusterWithASecretWaitsForTheClusterNotForItsEndpoints(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set(append(settledResources()[:3:3], needing(cluster("b", 1), secretType, "s"), secret("s", 1), endpoints("b", 1), routes("r", "b"))...)
	b := c.see(clusterType, "b")
	c.subscribe(secretType, "s")
	c.want(secretType, "s")
	c.subscribe(endpointType, "b")
	c.want(endpointType, "b")
	c.quiet()
	c.ack(b)
	c.want(routeType, "r")
	c.quiet()
}

func TestListenerWaitsForAClusterThatItNeedsItself(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set(settledResources(checked("log", 1), endpoints("log", 1), needing(listener("l2", 1), clusterType, "log"))...)
	log := c.see(clusterType, "log")
	c.quiet()
	c.ack(log)
	c.want(listenerType, "l2")
	c.quiet()
}

func TestSecretIsRemovedOnceWhatUsedItIsAcknowledgedWithoutIt(t *testing.T) {
	w := newWorld(t, quick(), secret("s", 1), needing(cluster("a", 1), secretType, "s"), needing(listener("l", 1), secretType, "s"))
	c := w.delta()
	c.subscribe(secretType, "s")
	c.want(secretType, "s")
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.subscribe(listenerType)
	c.want(listenerType, "l")
	c.quiet()
	w.set(cluster("a", 2), listener("l", 2))
	a := c.see(clusterType, "a")
	l := c.see(listenerType, "l")
	c.quiet()
	c.ack(l)
	c.quiet()
	c.ack(a)
	c.want(secretType, "-s")
	c.quiet()
}

func TestRouteConfigurationIsRemovedOnceItsListenerIsAcknowledgedWithoutIt(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set(cluster("a", 1), endpoints("a", 1), listener("l", 2))
	l := c.see(listenerType, "l")
	c.quiet()
	c.ack(l)
	c.want(routeType, "-r")
	c.quiet()
}

func TestRouteIsNotHeldBackByAClusterThatTheClientsOwnVersionLeadsTo(t *testing.T) {
	onTheClock(t, Config{}, settledResources(), func(w *world) {
		c := settled(w)
		stuck := settledAnd(checked("b", 1), endpoints("b", 1))
		w.set(append(stuck, routes("r", "a", "b"))...)
		c.see(clusterType, "b")
		w.took(20*time.Second, func() { c.want(routeType, "r") })
		c.quiet()
		w.took(0, func() {
			w.set(append(stuck, routes("r", "b"))...)
			c.want(routeType, "r")
		})
		c.quiet()
	})
}

func TestEachNewClusterOfARouteHasTheWholeBound(t *testing.T) {
	onTheClock(t, Config{StuckBound: -1}, settledResources(), func(w *world) {
		c := settled(w)
		next := settledAnd(checked("b", 1), endpoints("b", 1))
		w.set(append(next, routes("r", "a", "b"))...)
		c.see(clusterType, "b")
		<-time.After(15 * time.Second)
		w.took(20*time.Second, func() {
			w.set(append(next, checked("c", 1), endpoints("c", 1), routes("r", "a", "b", "c"))...)
			c.see(clusterType, "c")
			c.want(routeType, "r")
		})
	})
}

func TestRouteThatChangesAgainAndAgainIsHeldNoLongerThanTheBound(t *testing.T) {
	onTheClock(t, Config{}, settledResources(), func(w *world) {
		c := settled(w)
		next := settledAnd(checked("b", 1), endpoints("b", 1))
		w.took(20*time.Second, func() {
			w.set(append(next, routes("r", "a", "b"))...)
			c.see(clusterType, "b")
			for i := range 3 {
				<-time.After(5 * time.Second)
				w.set(append(next, routes("r", append(slices.Repeat([]string{"a"}, i+2), "b")...))...)
				c.quiet()
			}
			c.want(routeType, "r")
		})
	})
}
