package xds

import (
	"testing"

	"github.com/podway/podway/api"
)

func TestPartialEndpointsAreNotSentToWhoHasSome(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), partial("a", 1))
	c := w.delta()
	c.reconnect(endpointType, map[string]string{"a": versionOfResource(t, endpoints("a", 1, 2))}, "a")
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{partial("a", 1, 3)}, nil)
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 1, 2)}, nil)
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 4)}, nil)
	c.want(endpointType, "a")
	c.quiet()
}

func TestPartialEndpointsAreSentToWhoHasNone(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), partial("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	w.server.SetEndpoints([]*api.Resource{partial("a", 1, 2)}, nil)
	c.want(endpointType, "a")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 1, 2)}, nil)
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 1, 2, 3)}, nil)
	c.want(endpointType, "a")
	c.quiet()
}

func TestPartialEndpointsDoNotReplaceWholeOnesOnAStream(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), endpoints("a", 1, 2))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{partial("a", 1)}, nil)
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 1, 2)}, nil)
	c.quiet()
}

func TestPartialEndpointsHoldBackAChangeOfTheirCluster(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 2), partial("a", 1))
	c := w.delta()
	c.reconnect(clusterType, map[string]string{"a": "older"})
	c.reconnect(endpointType, map[string]string{"a": versionOfResource(t, endpoints("a", 1, 2))}, "a")
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 1, 2)}, nil)
	c.want(clusterType, "a")
	c.want(endpointType, "a")
	c.quiet()
}

func TestPartialEndpointsAreNotSentToAStateOfTheWorldClientThatWasServedBefore(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), partial("a", 1), endpoints("b", 1))
	c := w.sotw()
	c.versions[endpointType] = "earlier"
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "b")
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 1, 2)}, nil)
	c.want(endpointType, "a")
	c.quiet()
	fresh := w.sotw()
	w.server.SetEndpoints([]*api.Resource{partial("a", 1)}, nil)
	fresh.subscribe(endpointType, "a", "b")
	fresh.want(endpointType, "a", "b")
}
