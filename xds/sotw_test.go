package xds

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// fenced adds the secrets that quiet asks for.
func fenced(resources ...*api.Resource) []*api.Resource {
	for _, name := range fences {
		resources = append(resources, secret(name, 1))
	}
	return resources
}

func newSotWWorld(t *testing.T, resources ...*api.Resource) *world {
	t.Helper()
	return newWorld(t, quick(), fenced(resources...)...)
}

func TestSotWLegacyWildcardIsAnEmptyFirstRequest(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1))
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.quiet()
}

func TestSotWExplicitWildcard(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1))
	c := w.sotw()
	c.subscribe(clusterType, "*")
	c.want(clusterType, "a", "b")
	c.subscribe(clusterType, "a")
	c.want(clusterType, "a")
	c.subscribe(clusterType)
	c.want(clusterType)
	c.quiet()
}

func TestSotWLegacyWildcardEndsWithTheFirstExplicitName(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1))
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(clusterType, "b")
	c.want(clusterType, "b")
	c.quiet()
}

func TestSotWNoNamesIsNoWildcardForNamedTypes(t *testing.T) {
	w := newSotWWorld(t, endpoints("a", 1))
	c := w.sotw()
	c.subscribe(endpointType)
	c.quiet()
}

func TestSotWClusterAnswersAreComplete(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1))
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	w.set(fenced(cluster("a", 1), cluster("b", 2))...)
	c.want(clusterType, "a", "b")
	w.set(fenced(cluster("b", 2))...)
	c.want(clusterType, "b")
	c.quiet()
}

func TestSotWListenerAnswersAreComplete(t *testing.T) {
	w := newSotWWorld(t, listener("a", 1), listener("b", 1))
	c := w.sotw()
	c.subscribe(listenerType)
	c.want(listenerType, "a", "b")
	w.set(fenced(listener("a", 1), listener("b", 2))...)
	c.want(listenerType, "a", "b")
	w.set(fenced()...)
	c.want(listenerType)
	c.quiet()
}

func TestSotWNamedAnswersHoldWhatChanged(t *testing.T) {
	w := newSotWWorld(t, endpoints("a", 1), endpoints("b", 1))
	c := w.sotw()
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "a", "b")
	w.set(fenced(endpoints("a", 1), endpoints("b", 2))...)
	c.want(endpointType, "b")
	c.quiet()
}

func TestSotWStaleNonceIsNotAnswered(t *testing.T) {
	w := newSotWWorld(t, endpoints("a", 1), endpoints("b", 1))
	c := w.sotw()
	c.subscribe(endpointType, "a")
	first := c.want(endpointType, "a")
	c.quiet()
	w.set(fenced(endpoints("a", 2), endpoints("b", 1))...)
	second := c.see(endpointType, "a")
	c.nonces[endpointType] = first.GetNonce()
	c.subscribe(endpointType, "a", "b")
	c.quiet()
	c.names[endpointType] = []string{"a", "b"}
	c.ack(second)
	c.want(endpointType, "b")
	c.quiet()
}

func TestSotWChangeOfNamesIsAnsweredThoughTheVersionIsTheSame(t *testing.T) {
	w := newSotWWorld(t, endpoints("a", 1), endpoints("b", 1))
	c := w.sotw()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "b")
	c.subscribe(endpointType, "a")
	c.quiet()
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "b")
	c.quiet()
}

func TestSotWReconnectIsAlwaysAnsweredForNamedTypes(t *testing.T) {
	w := newSotWWorld(t, endpoints("a", 1))
	c := w.sotw()
	c.versions[endpointType] = versionOfResource(t, endpoints("a", 1))
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.quiet()
}

func TestSotWReconnectWithTheCurrentVersionOfClustersNeedsNoAnswer(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1), listener("l", 1))
	c := w.sotw()
	c.subscribe(clusterType)
	clusters := c.want(clusterType, "a", "b").GetVersionInfo()
	c.subscribe(listenerType)
	listeners := c.want(listenerType, "l").GetVersionInfo()
	again := w.sotw()
	again.versions[clusterType], again.versions[listenerType] = clusters, listeners
	again.subscribe(clusterType)
	again.subscribe(listenerType)
	again.quiet()
	w.set(fenced(cluster("a", 2), cluster("b", 1), listener("l", 1))...)
	again.want(clusterType, "a", "b")
	again.quiet()
}

func TestSotWReconnectThatNamesWhatIsNotThereIsAnsweredThoughTheVersionIsCurrent(t *testing.T) {
	w := newSotWWorld(t, listener("a", 1))
	c := w.sotw()
	c.subscribe(listenerType, "a")
	version := c.want(listenerType, "a").GetVersionInfo()
	again := w.sotw()
	again.versions[listenerType] = version
	again.subscribe(listenerType, "a", "absent")
	again.want(listenerType, "a")
	again.quiet()
}

func TestSotWReconnectWithAnOlderVersionIsAnsweredInFull(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1))
	c := w.sotw()
	c.versions[clusterType] = "older"
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.quiet()
}

func TestSotWAbsentNameIsSentWhenItAppears(t *testing.T) {
	w := newSotWWorld(t)
	c := w.sotw()
	c.subscribe(routeType, "r")
	c.quiet()
	w.set(fenced(routes("r"))...)
	c.want(routeType, "r")
	c.quiet()
}

func TestSotWUnservedTypeIsNotAnsweredAndTheStreamLives(t *testing.T) {
	w := newSotWWorld(t)
	c := w.sotw()
	c.subscribe(otherType, "layer")
	c.quiet()
}

func TestSotWRemovedClusterStaysInAnswersUntilItMayGo(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1), endpoints("b", 1), routes("r", "a"))
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(routeType, "r")
	c.want(routeType, "r")
	c.quiet()
	w.set(fenced(cluster("b", 2), endpoints("b", 1), routes("r", "b"))...)
	c.want(clusterType, "a", "b")
	r := c.see(routeType, "r")
	c.quiet()
	c.ack(r)
	c.want(clusterType, "b")
	c.quiet()
}

func TestSotWEndpointsAreSentAgainAfterAChangedCluster(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1), endpoints("a", 1), endpoints("b", 1))
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "a", "b")
	w.set(fenced(cluster("a", 2), cluster("b", 1), endpoints("a", 1), endpoints("b", 1))...)
	c.want(clusterType, "a", "b")
	c.want(endpointType, "a")
	c.quiet()
}

func TestSotWRejectedClusterKeepsItsLastAcceptedFormInAnswers(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1))
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	w.set(fenced(cluster("a", 2), cluster("b", 2))...)
	r := c.see(clusterType, "a", "b")
	c.nack(r, "Error adding/updating cluster(s) a: cannot be")
	again := c.want(clusterType, "a", "b")
	accepted, err := newRecord(cluster("a", 1))
	require.NoError(t, err)
	require.Equal(t, accepted.value, again.GetResources()[0].GetValue())
	c.quiet()
	require.Len(t, w.rejections(), 1)
	w.set(fenced(cluster("a", 3), cluster("b", 2))...)
	c.want(clusterType, "a", "b")
	c.quiet()
}

func TestSotWRejectedClusterIsFoundThoughTheMessageDoesNotNameIt(t *testing.T) {
	w := newSotWWorld(t, listener("l1", 1), listener("l2", 1), listener("l3", 1))
	c := w.sotw()
	c.subscribe(listenerType)
	c.nack(c.see(listenerType, "l1", "l2", "l3"), "something is wrong")
	c.want(listenerType, "l1")
	c.nack(c.see(listenerType, "l1", "l2", "l3"), "something is wrong")
	c.nack(c.see(listenerType, "l1", "l2"), "something is wrong")
	c.want(listenerType, "l1", "l3")
	c.quiet()
	require.Len(t, w.rejections(), 1)
	require.Equal(t, "l2", w.rejections()[0].Key.Name)
}

func TestSotWClientThatWasServedBeforeKeepsWhatItRejects(t *testing.T) {
	w := newSotWWorld(t, listener("l1", 1), listener("l2", 1))
	c := w.sotw()
	c.versions[listenerType] = "earlier"
	c.subscribe(listenerType)
	c.nack(c.see(listenerType, "l1", "l2"), "Error adding/updating listener(s) l2: bad")
	// Were l2 left out, its older form would be deleted.
	c.nack(c.see(listenerType, "l1", "l2"), "Error adding/updating listener(s) l2: bad")
	c.quiet()
	require.Len(t, w.rejections(), 1)
}
