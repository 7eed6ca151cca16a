package xds

import (
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

func TestDeltaUnsubscribingFromALegacyWildcardEndsIt(t *testing.T) {
	for _, of := range served {
		if !hasLegacyWildcard(of.url) {
			continue
		}
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick(), of.make("a", 1))
			c := w.delta()
			c.subscribe(of.url)
			c.want(of.url, "a")
			c.unsubscribe(of.url, "*")
			c.quiet()
			w.set(of.make("a", 2), of.make("b", 2))
			c.quiet()
		})
	}
}

func TestDeltaListenersHaveBothWildcards(t *testing.T) {
	w := newWorld(t, quick(), listener("a", 1), listener("b", 1))
	for _, names := range [][]string{nil, {"*"}, {"*", "a"}} {
		c := w.delta()
		c.subscribe(listenerType, names...)
		c.want(listenerType, "a", "b")
		c.quiet()
	}
}

func TestDeltaWildcardComesAndGoesBesideNames(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1))
	c := w.delta()
	c.subscribe(clusterType, "a")
	c.want(clusterType, "a")
	c.subscribe(clusterType, "*")
	c.want(clusterType, "b")
	c.unsubscribe(clusterType, "*")
	c.quiet()
	w.set(cluster("a", 2), cluster("b", 2))
	c.want(clusterType, "a")
	c.quiet()
}

func TestDeltaExplicitWildcardIsForAnyType(t *testing.T) {
	for _, of := range served {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick(), of.make("a", 1))
			c := w.delta()
			c.subscribe(of.url, "*")
			c.want(of.url, "a")
			c.quiet()
		})
	}
}

func TestDeltaWildcardOfAnUnservedTypeIsNotAnswered(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.subscribe("type.googleapis.com/other", "*")
	c.quiet()
}

func TestSotWEmptyWildcardIsAnsweredEmpty(t *testing.T) {
	w := newSotWWorld(t)
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType)
	c.subscribe(listenerType, "*")
	c.want(listenerType)
	c.quiet()
}

func TestSotWWildcardNamedOnceIsNoLongerTheLegacyOne(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1))
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(clusterType, "*")
	c.quiet()
	c.subscribe(clusterType)
	c.want(clusterType)
	c.quiet()
}

func TestSotWListenersHaveBothWildcards(t *testing.T) {
	w := newSotWWorld(t, listener("a", 1), listener("b", 1))
	for _, names := range [][]string{nil, {"*"}, {"*", "a"}} {
		c := w.sotw()
		c.subscribe(listenerType, names...)
		c.want(listenerType, "a", "b")
		c.quiet()
	}
}

func TestSotWLeavingTheWildcardKeepsNames(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1))
	c := w.sotw()
	c.subscribe(clusterType, "*", "a")
	c.want(clusterType, "a", "b")
	c.subscribe(clusterType, "a")
	c.want(clusterType, "a")
	w.set(fenced(cluster("a", 2), cluster("b", 2))...)
	c.want(clusterType, "a")
	c.quiet()
}

func TestDeltaNameLetGoOfForTheWildcardIsToldItsState(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.subscribe(clusterType, "a", "nobody")
	c.want(clusterType, "a")
	c.want(clusterType, "-nobody")
	c.ask(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: clusterType, ResourceNamesSubscribe: []string{"*"}, ResourceNamesUnsubscribe: []string{"a", "nobody"},
	})
	c.want(clusterType, "a")
	c.want(clusterType, "-nobody")
	c.quiet()
}
