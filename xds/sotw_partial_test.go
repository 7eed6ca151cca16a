package xds

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestSotWPartialEndpointsAreSentToWhoHasNone(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), partial("a", 1))
	c := w.sotw()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	w.server.SetEndpoints([]*api.Resource{partial("a", 1, 2)}, nil)
	c.want(endpointType, "a")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 1, 2, 3)}, nil)
	c.want(endpointType, "a")
	c.quiet()
}

func TestSotWPartialEndpointsDoNotReplaceWholeOnesOnAStream(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), endpoints("a", 1, 2))
	c := w.sotw()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{partial("a", 1)}, nil)
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 1, 2)}, nil)
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 3)}, nil)
	c.want(endpointType, "a")
	c.quiet()
}

func TestSotWPartialEndpointsHoldBackAChangeOfTheirCluster(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := settledSotW(w)
	before, err := newRecord(cluster("a", 1))
	require.NoError(t, err)
	w.set(fenced(append(settledResources()[2:], cluster("a", 2), partial("a"), cluster("b", 1))...)...)
	r := c.want(clusterType, "a", "b")
	require.Equal(t, before.value, r.GetResources()[0].GetValue())
	c.quiet()
	w.set(fenced(append(settledResources()[1:], cluster("a", 2), cluster("b", 1))...)...)
	r = c.want(clusterType, "a", "b")
	require.NotEqual(t, before.value, r.GetResources()[0].GetValue())
	c.want(endpointType, "a")
	c.quiet()
}

func TestEndpointsOfAReconnectedClientAreKeptWhileTheViewHasNone(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	c := w.delta()
	c.reconnect(clusterType, map[string]string{"a": versionOfResource(t, cluster("a", 1))})
	c.reconnect(endpointType, map[string]string{"a": versionOfResource(t, endpoints("a", 1))}, "a")
	c.quiet()
	w.set(cluster("a", 1), endpoints("a", 2))
	c.want(endpointType, "a")
	c.quiet()
}

func TestRejectedEndpointsHoldBackAChangeOfTheirClusterOfAReconnectedClient(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	c.nack(c.see(endpointType, "a"), "bad")
	c.quiet()
	c.cancel()
	w.set(append(settledResources()[2:], cluster("a", 2), endpoints("a", 2))...)
	again := w.delta()
	again.reconnect(clusterType, map[string]string{"a": versionOfResource(t, cluster("a", 1))})
	again.reconnect(endpointType, map[string]string{"a": versionOfResource(t, endpoints("a", 1))}, "a")
	again.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 3)}, nil)
	again.want(clusterType, "a")
	again.want(endpointType, "a")
	again.quiet()
}
