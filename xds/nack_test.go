package xds

import (
	"fmt"
	"strings"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestNACKIsNotAnACK(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.set(append(settledResources()[:3:3], checked("b", 1), endpoints("b", 1), routes("r", "b"))...)
	c.nack(c.see(clusterType, "b"), "no")
	c.quiet()
	types := w.server.Streams()[0].Types
	require.Equal(t, []int{2, 1, 0, 1}, []int{types[0].Wanted, types[0].Current, types[0].Behind, types[0].Declined})
}

func TestRejectedContentIsNotSentAgainUntilItChanges(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.nack(c.see(endpointType, "a"), "bad")
	c.quiet()
	w.set(cluster("a", 2), endpoints("a", 1))
	c.quiet()
	c.subscribe(endpointType, "a")
	c.quiet()
	w.set(cluster("a", 2), endpoints("a", 2))
	c.want(endpointType, "a")
	c.quiet()
	require.Len(t, w.rejections(), 1)
}

func TestRejectedChangeThatIsTakenBackNeedsNothing(t *testing.T) {
	w := newWorld(t, quick(), listener("a", 1))
	c := w.delta()
	c.subscribe(listenerType)
	c.want(listenerType, "a")
	w.set(listener("a", 2))
	c.nack(c.see(listenerType, "a"), "bad")
	c.quiet()
	w.set(listener("a", 1))
	c.quiet()
	w.set(listener("a", 3))
	c.want(listenerType, "a")
	c.quiet()
}

func TestRejectedEndpointsThatAreTakenBackAreSent(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	w.set(endpoints("a", 2))
	c.nack(c.see(endpointType, "a"), "bad")
	c.quiet()
	w.set(endpoints("a", 1))
	c.want(endpointType, "a")
	c.quiet()
}

func TestGoodClusterOfARejectedResponseIsRemovedThoughNeverAcknowledged(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1))
	c := w.delta()
	c.subscribe(clusterType)
	bad := c.see(clusterType, "a", "b")
	w.set(cluster("a", 1))
	c.nack(bad, "Error adding/updating cluster(s) a: bad")
	c.want(clusterType, "-b")
	c.quiet()
}

func TestRejectionIsReportedOnceWithItsOwners(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 7), endpoints("a", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.nack(c.see(clusterType, "a"), "Error adding/updating cluster(s) a: no good")
	c.quiet()
	require.Equal(t, []api.Rejection{{
		Node: "envoy-1", View: gateway, Key: api.ResourceKey{Type: clusterType, Name: "a"},
		Version: versionOfResource(t, cluster("a", 7)), Message: "Error adding/updating cluster(s) a: no good",
		Owners: []api.Owner{{ObjectRef: api.ObjectRef{Kind: "Tunnel", Name: "a"}, Generation: 7}},
	}}, w.rejections())
}

func TestRejectedNameInTheMessageIsTheCulpritAndTheOthersAreSentAgain(t *testing.T) {
	for _, typeURL := range []string{clusterType, listenerType, secretType} {
		t.Run(shortType(typeURL), func(t *testing.T) {
			made := map[string]func(string, int) *api.Resource{
				clusterType: cluster, secretType: secret,
				listenerType: func(name string, seed int) *api.Resource { return listener(name, seed) },
			}[typeURL]
			w := newWorld(t, quick(), made("x/a", 1), made("x/b", 1), made("x/b2", 1), made("x/c", 1))
			c := w.delta()
			c.subscribe(typeURL, "x/a", "x/b", "x/b2", "x/c")
			r := c.see(typeURL, "x/a", "x/b", "x/b2", "x/c")
			c.nack(r, "Error adding/updating x/b: cannot be, x/c: neither")
			c.want(typeURL, "x/a", "x/b2")
			c.quiet()
			require.Len(t, w.rejections(), 2)
			require.Equal(t, "x/b", w.rejections()[0].Key.Name)
			require.Equal(t, "x/c", w.rejections()[1].Key.Name)
		})
	}
}

// reject answers until all is quiet: with a NACK what holds one of the bad names.
func (c *deltaClient) reject(message string, bad ...string) (responses int) {
	c.Helper()
	for quiet := 0; quiet < 2; { // what is owed already may go out with the first answer
		c.fences++
		fence := fmt.Sprintf("fence-%d", c.fences)
		c.subscribe(otherType, fence)
		for quiet++; ; quiet = 0 {
			r := c.next()
			if r.GetTypeUrl() == otherType {
				c.ack(r)
				break
			}
			responses++
			c.judge(r, message, bad)
		}
	}
	return responses
}

func (c *deltaClient) judge(r *discoveryv3.DeltaDiscoveryResponse, message string, bad []string) {
	c.Helper()
	for _, name := range bad {
		for _, sent := range deltaNames(r) {
			if sent == name {
				c.nack(r, message)
				return
			}
		}
	}
	c.ack(r)
}

func TestRejectedAssignmentIsFoundByHalving(t *testing.T) {
	var resources []*api.Resource
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("c%02d", i))
		resources = append(resources, endpoints(names[i], 1))
	}
	w := newWorld(t, quick(), resources...)
	c := w.delta()
	c.subscribe(endpointType, names...)
	responses := c.reject("Proto constraint validation failed", "c17", "c60")
	require.Less(t, responses, 40)
	require.Len(t, w.rejections(), 2)
	status := w.server.Streams()[0].Types[0]
	require.Equal(t, 98, status.Current)
	require.Equal(t, []string{"c17", "c60"}, []string{status.Rejected[0].Name, status.Rejected[1].Name})
}

func TestChangedAssignmentsAreSentSingly(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "a", "b")
	w.set(endpoints("a", 2), endpoints("b", 2))
	c.want(endpointType, "a")
	c.nack(c.see(endpointType, "b"), "bad")
	c.quiet()
	require.Equal(t, "b", w.rejections()[0].Key.Name)
}

func TestRouteConfigurationsAreSentSingly(t *testing.T) {
	w := newWorld(t, quick(), routes("a"), routes("b"))
	c := w.delta()
	c.subscribe(routeType, "a", "b")
	c.nack(c.see(routeType, "a"), "bad")
	c.want(routeType, "b")
	c.quiet()
}

func TestRejectedContentIsRememberedWhenTheEnvoyConnectsAnew(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), endpoints("a", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	w.set(cluster("a", 2), endpoints("a", 1))
	c.nack(c.see(clusterType, "a"), "bad")
	c.quiet()
	again := w.delta()
	again.reconnect(clusterType, map[string]string{"a": versionOfResource(t, cluster("a", 1))})
	again.quiet()
	other := w.deltaNode("envoy-2")
	other.reconnect(clusterType, map[string]string{"a": versionOfResource(t, cluster("a", 1))})
	other.reconnect(endpointType, map[string]string{"a": versionOfResource(t, endpoints("a", 1))}, "a")
	other.want(clusterType, "a")
	restarted := w.delta()
	restarted.subscribe(clusterType)
	restarted.want(clusterType, "a")
}

func TestRejectionOfAVersionThatWasReplacedMeanwhileIsNotThatOfTheNewOne(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), endpoints("a", 1))
	c := w.delta()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	w.set(cluster("a", 2), endpoints("a", 1))
	bad := c.see(clusterType, "a")
	c.want(endpointType, "a")
	w.set(cluster("a", 3), endpoints("a", 1))
	good := c.see(clusterType, "a")
	c.want(endpointType, "a")
	c.nack(bad, "Error adding/updating cluster(s) a: bad")
	c.ack(good)
	c.quiet()
	require.Equal(t, versionOfResource(t, cluster("a", 2)), w.rejections()[0].Version)
	require.Empty(t, w.server.Streams()[0].Types[0].Rejected)
}

func TestRejectedEndpointsHoldBackAChangeOfTheirCluster(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	c.nack(c.see(endpointType, "a"), "bad")
	c.quiet()
	w.set(append(settledResources()[2:], cluster("a", 2), endpoints("a", 2))...)
	c.quiet()
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 3)}, nil)
	c.want(clusterType, "a")
	c.want(endpointType, "a")
}

func TestSotWRejectionThatComesLateBelongsToTheVersionThatWasReplaced(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), endpoints("a", 1), endpoints("b", 1))
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
	c.quiet()
	more := []*api.Resource{cluster("a", 1), endpoints("a", 1), endpoints("b", 1)}
	w.set(fenced(append(more, cluster("b", 1))...)...)
	c.see(clusterType, "a", "b")
	w.set(fenced(append(more, cluster("b", 2))...)...)
	c.nack(c.see(clusterType, "a", "b"), "Error adding/updating cluster(s) b: bad")
	c.want(clusterType, "a", "b")
	c.quiet()
	require.Equal(t, versionOfResource(t, cluster("b", 1)), w.rejections()[0].Version)
}

func TestNamesAreFoundWhole(t *testing.T) {
	for _, c := range []struct {
		message, name string
		found         bool
	}{
		{"cluster(s) tunnel/a/b: bad", "tunnel/a/b", true},
		{"cluster(s) tunnel/a/b2: bad", "tunnel/a/b", false},
		{"cluster(s) x/tunnel/a/b: bad", "tunnel/a/b", false},
		{"tunnel/a/b2 and tunnel/a/b", "tunnel/a/b", true},
		{"it is tunnel/a/b.", "tunnel/a/b", true},
		{"it is tunnel/a/b.c", "tunnel/a/b", false},
		{"it is 'tunnel/a/b.c'", "tunnel/a/b.c", true},
		{"", "tunnel/a/b", false},
		{"anything", "", false},
	} {
		require.Equal(t, c.found, names(c.message, c.name), "%q in %q", c.name, c.message)
	}
}

func TestMessagesAreCutBetweenCharacters(t *testing.T) {
	long := strings.Repeat("é", maxMessageBytes)
	require.Equal(t, strings.Repeat("é", maxMessageBytes/2), cut(long))
	require.Equal(t, maxMessageBytes-1, len(cut("x"+long)))
	require.Equal(t, "short", cut("short"))
}

func TestRefusalsAreBounded(t *testing.T) {
	var r refusals
	for i := range maxRefusals + 10 {
		r.remember(nodeInfo{}, api.ResourceKey{Name: fmt.Sprint(i)}, refused{version: "v"})
	}
	require.Len(t, r.known, maxRefusals)
	require.Len(t, r.order[""], maxRefusals)
	last := api.ResourceKey{Name: fmt.Sprint(maxRefusals)}
	for i := range 2 * maxRefused {
		r.remember(nodeInfo{}, last, refused{version: fmt.Sprint(i % (maxRefused + 1))})
	}
	require.Len(t, r.versions(nodeInfo{}, last), maxRefused)
	require.Len(t, r.order[""], maxRefusals)
	r.forget(nodeInfo{}, last)
	require.Empty(t, r.versions(nodeInfo{}, last))
	require.Len(t, r.order[""], maxRefusals-maxRefused)
}

func TestRejectionOfWhatIsServedNoMoreIsToldAsSuch(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "a", "b")
	w.set(endpoints("a", 2), endpoints("b", 2))
	a, b := c.see(endpointType, "a"), c.see(endpointType, "b")
	w.set(endpoints("a", 3), endpoints("b", 2))
	c.nack(a, "bad")
	c.want(endpointType, "a")
	c.nack(b, "bad")
	c.quiet()
	rejections := w.rejections()
	require.Len(t, rejections, 2)
	require.True(t, rejections[0].Outdated)
	require.False(t, rejections[1].Outdated)
}
