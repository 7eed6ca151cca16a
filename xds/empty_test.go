package xds

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestDeltaLastPodGoneIsAnEmptyAssignmentNotARemoval(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.server.SetEndpoints([]*api.Resource{endpoints("a")}, nil)
	r := c.want(endpointType, "a")
	require.Equal(t, versionOfResource(t, endpoints("a")), r.GetResources()[0].GetVersion())
	c.quiet()
}

func TestDeltaEndpointsAskedForEarlyAreAnsweredAsSoonAsTheClusterIsKnown(t *testing.T) {
	w := newWorld(t, quick())
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "-a")
	c.quiet()
	w.set(cluster("a", 1))
	c.want(endpointType, "a")
	c.quiet()
}

func TestSotWEndpointsOfAClusterChangedWhileAwayAreSent(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := w.sotw()
	c.versions[clusterType], c.versions[endpointType] = "older", versionOfResource(t, endpoints("a", 1))
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.quiet()
}

func TestSotWUnknownGatewayIsAnsweredNothingAndWakesWhenItAppears(t *testing.T) {
	w := newEmptyWorld(t, quick())
	w.server.SetViews(map[string][]*api.Resource{"edge/other": {cluster("o", 1)}})
	c := w.sotw()
	c.versions[clusterType] = "older"
	c.subscribe(clusterType)
	c.subscribe(listenerType)
	eventually(t, func() bool {
		streams := w.server.Streams()
		return len(streams) == 1 && len(streams[0].Types) == 2
	}, "it has asked")
	w.server.SetViews(map[string][]*api.Resource{"edge/other": {cluster("o", 2)}})
	require.Empty(t, c.responses, "an empty answer would delete what it has")
	w.set(fenced(cluster("a", 1), listener("l", 1))...)
	c.want(clusterType, "a")
	c.want(listenerType, "l")
	c.quiet()
}

func TestSotWNothingIsAnsweredBeforeTheFirstState(t *testing.T) {
	w := newEmptyWorld(t, quick())
	c := w.sotw()
	c.subscribe(clusterType)
	eventually(t, func() bool { return len(w.server.Streams()) == 1 }, "the stream is open")
	require.Empty(t, c.responses)
	w.set(fenced(cluster("a", 1))...)
	c.want(clusterType, "a")
	c.quiet()
}
