package xds

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeltaLegacyWildcardIsAnEmptyFirstSubscription(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	w.set(cluster("a", 1), cluster("b", 1), cluster("c", 1))
	c.want(clusterType, "c")
	c.quiet()
}

func TestDeltaExplicitWildcard(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.subscribe(clusterType, "*")
	c.want(clusterType, "a")
	c.quiet()
}

func TestDeltaLegacyWildcardStaysBesideAnExplicitName(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(clusterType, "a")
	c.want(clusterType, "a")
	w.set(cluster("a", 2), cluster("b", 2), cluster("c", 2))
	c.want(clusterType, "a", "b", "c")
	c.unsubscribe(clusterType, "*")
	c.quiet()
	w.set(cluster("a", 3), cluster("b", 3), cluster("c", 3))
	c.want(clusterType, "a")
	c.unsubscribe(clusterType, "a")
	c.subscribe(clusterType)
	c.quiet()
	w.set(cluster("a", 4), cluster("b", 4), cluster("c", 4))
	c.quiet()
}

func TestDeltaLegacyWildcardStaysWithAnExplicitOne(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(clusterType, "a", "*")
	c.want(clusterType, "a")
	w.set(cluster("a", 2), cluster("b", 2))
	c.want(clusterType, "a", "b")
	c.quiet()
}

func TestDeltaUnsubscribingFromTheWildcardKeepsNames(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1))
	c := w.delta()
	c.subscribe(clusterType, "*", "a")
	c.want(clusterType, "a", "b")
	c.unsubscribe(clusterType, "*")
	c.quiet()
	w.set(cluster("a", 2), cluster("b", 2))
	c.want(clusterType, "a")
	c.quiet()
}

func TestDeltaUnsubscribingFromANameUnderAWildcardTellsItsState(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1))
	c := w.delta()
	c.subscribe(clusterType, "*", "a", "gone")
	c.want(clusterType, "a", "b")
	c.want(clusterType, "-gone")
	c.unsubscribe(clusterType, "a", "gone")
	c.want(clusterType, "a")
	c.want(clusterType, "-gone")
	c.quiet()
}

func TestDeltaNoNamesIsNoWildcardForNamedTypes(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType)
	c.quiet()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.quiet()
}

func TestDeltaEmptyWildcardIsAnsweredEmpty(t *testing.T) {
	w := newWorld(t, quick())
	c := w.delta()
	c.subscribe(listenerType)
	c.want(listenerType)
	c.quiet()
}

func TestDeltaUnsubscribedNamesAreNotSent(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "a", "b")
	c.unsubscribe(endpointType, "a")
	c.quiet()
	w.set(endpoints("a", 2), endpoints("b", 2))
	c.want(endpointType, "b")
	c.quiet()
}

func TestDeltaResubscriptionIsSentAgain(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.unsubscribe(endpointType, "a")
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.quiet()
}

func TestDeltaResubscriptionIsSentAgainThoughTheAnswerIsOnItsWay(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.see(endpointType, "a")
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
}

func TestDeltaAbsentNameIsToldAndSentWhenItAppears(t *testing.T) {
	w := newWorld(t, quick())
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "-a")
	c.quiet()
	w.set(endpoints("a", 1))
	c.want(endpointType, "a")
	w.set()
	c.want(endpointType, "-a")
	w.set(endpoints("a", 1))
	c.want(endpointType, "a")
	c.quiet()
}

func TestDeltaReconnectWithCurrentVersionsIsSentNothing(t *testing.T) {
	a, b := cluster("a", 1), endpoints("a", 1)
	w := newWorld(t, quick(), a, b)
	c := w.delta()
	c.reconnect(clusterType, map[string]string{"a": versionOfResource(t, a)})
	c.reconnect(endpointType, map[string]string{"a": versionOfResource(t, b)}, "a")
	c.quiet()
	w.set(a, endpoints("a", 2))
	c.want(endpointType, "a")
	c.quiet()
}

func TestDeltaReconnectIsSentOnlyWhatDiffers(t *testing.T) {
	a := cluster("a", 1)
	w := newWorld(t, quick(), a, cluster("b", 2), cluster("c", 1), endpoints("b", 1))
	c := w.delta()
	c.reconnect(clusterType, map[string]string{"a": versionOfResource(t, a), "b": "older", "gone": "x"}, "*")
	c.want(clusterType, "b", "c")
	c.want(clusterType, "-gone")
	c.quiet()
}

func TestDeltaReconnectWithoutVersionsIsSentAllThatIsThereAndToldWhatIsNot(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1), endpoints("a", 1))
	c := w.delta()
	// Of a server that gave no versions.
	c.reconnect(clusterType, map[string]string{"a": "", "gone": ""})
	c.want(clusterType, "a", "b")
	c.want(clusterType, "-gone")
	c.quiet()
}

func TestDeltaInitialVersionsDoNotSubscribe(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.reconnect(endpointType, map[string]string{"a": "x", "b": "x", "gone": "x"}, "a")
	c.want(endpointType, "a")
	w.set(endpoints("a", 1), endpoints("b", 2))
	c.quiet()
}

func TestDeltaStaleNonceStillSubscribes(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	r := c.see(endpointType, "a")
	r.Nonce = "stale"
	c.nack(r, "this names a, but no response that was sent")
	c.subscribe(endpointType, "b")
	c.want(endpointType, "b")
	require.Empty(t, w.rejections())
}

func TestDeltaOneVersionOfANameIsOnItsWay(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	r := c.see(endpointType, "a")
	for port := range 50 {
		w.set(endpoints("a", port+2))
	}
	c.quiet()
	c.ack(r)
	last := c.want(endpointType, "a")
	require.Equal(t, versionOfResource(t, endpoints("a", 51)), last.GetResources()[0].GetVersion())
	c.quiet()
}

func TestDeltaPublishThatChangesNothingSendsNothing(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), endpoints("a", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	w.set(cluster("a", 1), endpoints("a", 1))
	w.server.SetEndpoints(nil, nil)
	w.set(endpoints("a", 1), cluster("a", 1))
	c.quiet()
}

func TestDeltaUnservedTypeIsToldAndTheStreamLives(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.subscribe(otherType)
	c.subscribe(otherType, "layer")
	r := c.want(otherType, "-layer")
	require.Equal(t, "layer", r.GetResourceErrors()[0].GetResourceName().GetName())
	require.Equal(t, "podway serves no envoy.service.runtime.v3.Runtime", r.GetResourceErrors()[0].GetErrorDetail().GetMessage())
	c.subscribe(clusterType)
	c.want(clusterType, "a")
}
