package xds

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// fleetOf are the resources of a Gateway with a number of tunnels, and their names.
func fleetOf(count int) (resources []*api.Resource, names []string) {
	for i := range count {
		names = append(names, fmt.Sprintf("tunnel/edge/%03d", i))
		resources = append(resources, cluster(names[i], 1), endpoints(names[i], 1, 2))
	}
	return append(resources, listener("l", 1, "r"), routes("r", names...), secret("s", 1)), names
}

// everything is what an Envoy asks for, in its order.
func everything(names []string) map[string][]string {
	return map[string][]string{clusterType: nil, endpointType: names, listenerType: nil, routeType: {"r"}, secretType: {"s"}}
}

// versions takes all that there is and returns the versions by type and name.
func (c *deltaClient) versions(wanted map[string][]string) map[string]map[string]string {
	c.Helper()
	has := map[string]map[string]string{}
	for _, of := range served {
		has[of.url] = map[string]string{}
		c.subscribe(of.url, wanted[of.url]...)
	}
	for len(has[clusterType]) < len(wanted[endpointType]) || len(has[endpointType]) < len(wanted[endpointType]) ||
		len(has[listenerType]) == 0 || len(has[routeType]) == 0 || len(has[secretType]) == 0 {
		r := c.next()
		for _, resource := range r.GetResources() {
			has[r.GetTypeUrl()][resource.GetName()] = resource.GetVersion()
		}
		c.ack(r)
	}
	c.quiet()
	return has
}

func TestDeltaEnvoyThatMovesIsSentNothingOfAnyType(t *testing.T) {
	resources, names := fleetOf(20)
	one := newWorld(t, quick(), resources...)
	has := one.delta().versions(everything(names))
	// Another replica has made its own resources, in another order.
	again, _ := fleetOf(20)
	slices.Reverse(again)
	two := newWorld(t, quick(), again...)
	c := two.delta()
	for _, of := range served {
		c.reconnect(of.url, has[of.url], everything(names)[of.url]...)
	}
	c.quiet()
}

func TestSotWEnvoyThatMovesIsAnsweredForNamedTypesOnly(t *testing.T) {
	resources, names := fleetOf(20)
	one := newWorld(t, quick(), resources...)
	again, _ := fleetOf(20)
	slices.Reverse(again)
	two := newWorld(t, quick(), again...)
	wanted := everything(names)
	var versions []map[string]string
	for _, w := range []*world{one, two} {
		c := w.sotw()
		for _, url := range []string{clusterType, endpointType, listenerType, routeType, secretType} {
			c.subscribe(url, wanted[url]...)
			c.ack(c.next())
		}
		versions = append(versions, c.versions)
	}
	require.Equal(t, versions[0], versions[1])
	moved := two.sotw()
	moved.versions = versions[0]
	for _, url := range []string{clusterType, listenerType, endpointType} {
		moved.subscribe(url, wanted[url]...)
	}
	// In one response: it answers each with all its names.
	moved.want(endpointType, names...)
	moved.subscribe(secretType, "s")
	moved.want(secretType, "s")
	require.Empty(t, moved.responses)
}

// takes acknowledges responses of a named type until the names have come, each once.
func (c *sotwClient) takes(typeURL string, names ...string) {
	c.Helper()
	var seen []string
	for len(seen) < len(names) {
		r := c.next()
		require.Equal(c, typeURL, r.GetTypeUrl())
		seen = append(seen, sotwNames(c.T, r)...)
		c.ack(r)
	}
	require.ElementsMatch(c, names, seen)
}

// herd opens streams at once, over connections of up to 100, and waits until each is done.
func (w *world) herd(count int, run func(i int, conn discoveryv3.AggregatedDiscoveryServiceClient)) {
	var group sync.WaitGroup
	for from := 0; from < count; from += 100 {
		conn := w.dial()
		for i := from; i < min(count, from+100); i++ {
			group.Go(func() { run(i, conn) })
		}
	}
	group.Wait()
}

func TestDeltaHerdThatReconnectsIsSentNothing(t *testing.T) {
	resources, names := fleetOf(50)
	has := newWorld(t, quick(), resources...).delta().versions(everything(names))
	// The server that they come to does not know all Pods yet.
	again, _ := fleetOf(50)
	again[1] = partial(names[0], 1)
	w := newWorld(t, quick(), again...)
	clients := make([]*deltaClient, 300)
	w.herd(len(clients), func(i int, conn discoveryv3.AggregatedDiscoveryServiceClient) {
		c := w.deltaOver(conn, fmt.Sprint("envoy-", i))
		clients[i] = c
		for _, of := range served {
			c.reconnect(of.url, has[of.url], everything(names)[of.url]...)
		}
		c.subscribe(otherType, "fence")
	})
	for _, c := range clients {
		c.want(otherType, "-fence")
	}
	// They share what they ask for, and all are brought up to date.
	w.server.names.mu.Lock()
	require.LessOrEqual(t, len(w.server.names.byHash), len(served))
	w.server.names.mu.Unlock()
	w.server.SetEndpoints([]*api.Resource{endpoints(names[1], 9)}, nil)
	for _, c := range clients {
		c.want(endpointType, names[1])
		c.quiet()
	}
}

func TestSotWHerdThatReconnectsIsSentWhatItMust(t *testing.T) {
	resources, names := fleetOf(50)
	w := newWorld(t, quick(), resources...)
	wanted := everything(names)
	first := w.sotw()
	for _, url := range []string{clusterType, listenerType} {
		first.subscribe(url)
		first.ack(first.next())
	}
	clients := make([]*sotwClient, 200)
	w.herd(len(clients), func(i int, conn discoveryv3.AggregatedDiscoveryServiceClient) {
		c := w.sotwOver(conn, fmt.Sprint("envoy-", i))
		c.versions[clusterType], c.versions[listenerType] = first.versions[clusterType], first.versions[listenerType]
		c.versions[endpointType], c.versions[secretType] = "earlier", "earlier"
		clients[i] = c
		for _, url := range []string{clusterType, listenerType, endpointType} {
			c.subscribe(url, wanted[url]...)
		}
	})
	for _, c := range clients {
		c.takes(endpointType, names...)
		c.subscribe(secretType, "s")
		c.want(secretType, "s")
	}
}

func TestPublishThatChangesNothingSendsNothingOfAnyType(t *testing.T) {
	resources, names := fleetOf(5)
	w := newWorld(t, quick(), resources...)
	d := w.delta()
	d.versions(everything(names))
	s := w.sotwNode("envoy-2")
	for _, url := range []string{clusterType, endpointType, listenerType, routeType} {
		s.subscribe(url, everything(names)[url]...)
		s.ack(s.next())
	}
	s.subscribe(secretType, "s")
	s.want(secretType, "s")
	for range 10 {
		again, _ := fleetOf(5)
		slices.Reverse(again)
		w.set(again...)
		w.server.SetEndpoints([]*api.Resource{endpoints(names[0], 1, 2), endpoints("of no cluster", 1)}, nil)
	}
	d.quiet()
	s.subscribe(endpointType, append([]string{"absent"}, names...)...)
	w.server.SetEndpoints([]*api.Resource{endpoints(names[0], 3)}, nil)
	s.want(endpointType, names[0])
	require.Empty(t, s.responses)
}

func TestDeltaVersionIsAHashOfTheContent(t *testing.T) {
	for _, of := range served {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick(), of.make("a", 1), of.make("b", 1))
			c := w.delta()
			version := func() string {
				t.Helper()
				r := c.next()
				c.ack(r)
				require.Equal(t, []string{"a"}, deltaNames(r))
				return r.GetResources()[0].GetVersion()
			}
			c.subscribe(of.url, "a")
			first := version()
			w.set(of.make("a", 2))
			second := version()
			w.set(of.make("a", 1))
			require.Equal(t, first, version())
			require.NotEqual(t, first, second)
		})
	}
}
