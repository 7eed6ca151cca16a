package xds

import (
	"fmt"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
)

// nackNew is a NACK that echoes the version that it rejects, as a client may that is not Envoy.
func (c *sotwClient) nackNew(r *discoveryv3.DiscoveryResponse, message string) {
	c.Helper()
	c.nonces[r.GetTypeUrl()] = r.GetNonce()
	c.ask(&discoveryv3.DiscoveryRequest{
		TypeUrl: r.GetTypeUrl(), ResourceNames: c.names[r.GetTypeUrl()], VersionInfo: r.GetVersionInfo(), ResponseNonce: r.GetNonce(),
		ErrorDetail: &rpcstatus.Status{Message: message},
	})
}

func TestSotWNACKIsNotAnACK(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	c := settledSotW(w)
	next := settledAnd(checked("b", 1), endpoints("b", 1), routes("r", "b"))
	w.set(fenced(next...)...)
	c.nackNew(c.see(clusterType, "a", "b"), "cluster b: no")
	c.quiet()
	types := w.server.Streams()[0].Types
	require.Equal(t, "b", types[1].Rejected[0].Name)
	require.Equal(t, []int{2, 1, 0, 1}, []int{types[1].Wanted, types[1].Current, types[1].Behind, types[1].Declined})
	w.set(fenced(append(next[:3:3], checked("b", 2), endpoints("b", 1), routes("r", "b"))...)...)
	b := c.see(clusterType, "a", "b")
	c.quiet()
	c.ack(b)
	c.want(routeType, "r")
	c.quiet()
}

func TestSotWRejectedContentIsNotSentAgainUntilItChanges(t *testing.T) {
	for _, of := range served[2:] {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newSotWWorld(t, of.make("a", 1), of.make("b", 1))
			c := w.sotw()
			c.subscribe(of.url, "a", "b")
			for got := 0; got < 2; {
				r := c.next()
				got += len(r.GetResources())
				c.ack(r)
			}
			c.quiet()
			w.set(fenced(of.make("a", 2), of.make("b", 1))...)
			c.nack(c.next(), "a: bad")
			c.quiet()
			w.set(fenced(of.make("a", 2), of.make("b", 1), secret("other", 1))...)
			c.quiet()
			bad, err := newRecord(of.make("a", 2))
			require.NoError(t, err)
			w.set(fenced(of.make("a", 2), of.make("b", 2))...)
			r := c.next()
			for _, sent := range r.GetResources() {
				require.NotEqual(t, bad.value, sent.GetValue())
			}
			c.ack(r)
			c.quiet()
			w.set(fenced(of.make("a", 3), of.make("b", 2))...)
			r = c.next()
			require.Contains(t, sotwNames(t, r), "a")
			c.ack(r)
			c.quiet()
			require.Len(t, w.rejections(), 1)
			w.wantBehind(0)
		})
	}
}

// reject answers until all is quiet: with a NACK what holds one of the bad names.
func (c *sotwClient) reject(message string, bad ...string) (responses int) {
	c.Helper()
	for quiet := 0; quiet < 2; { // what is owed already may go out with the first answer
		c.fences++
		fence := fences[c.fences%len(fences)]
		c.subscribe(secretType, fence)
		for quiet++; ; quiet = 0 {
			r := c.next()
			if r.GetTypeUrl() == secretType {
				c.ack(r)
				break
			}
			responses++
			c.judge(r, message, bad)
		}
	}
	return responses
}

func (c *sotwClient) judge(r *discoveryv3.DiscoveryResponse, message string, bad []string) {
	c.Helper()
	for _, name := range bad {
		for _, sent := range sotwNames(c.T, r) {
			if sent == name {
				c.nack(r, message)
				return
			}
		}
	}
	c.ack(r)
}

func TestSotWRejectedAssignmentIsFoundByHalving(t *testing.T) {
	resources := fenced()
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("c%02d", i))
		resources = append(resources, endpoints(names[i], 1))
	}
	w := newWorld(t, quick(), resources...)
	c := w.sotw()
	c.subscribe(endpointType, names...)
	responses := c.reject("Proto constraint validation failed", "c17", "c60")
	require.Less(t, responses, 60)
	require.Len(t, w.rejections(), 2)
	w.wantBehind(2)
}

func TestSotWRejectedAssignmentIsFoundByName(t *testing.T) {
	w := newSotWWorld(t, endpoints("x/a", 1), endpoints("x/b", 1), endpoints("x/b2", 1), endpoints("x/c", 1))
	c := w.sotw()
	c.subscribe(endpointType, "x/a", "x/b", "x/b2", "x/c")
	c.nack(c.see(endpointType, "x/a", "x/b", "x/b2", "x/c"), "x/b: bad")
	c.want(endpointType, "x/a", "x/b2", "x/c")
	c.quiet()
	require.Len(t, w.rejections(), 1)
	require.Equal(t, "x/b", w.rejections()[0].Key.Name)
}

func TestSotWChangedAssignmentsAreSentSingly(t *testing.T) {
	w := newSotWWorld(t, endpoints("a", 1), endpoints("b", 1))
	c := w.sotw()
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "a", "b")
	c.quiet()
	w.set(fenced(endpoints("a", 2), endpoints("b", 2))...)
	a := c.see(endpointType, "a")
	b := c.see(endpointType, "b")
	c.ack(a)
	c.nack(b, "bad")
	c.quiet()
	require.Equal(t, "b", w.rejections()[0].Key.Name)
}

func TestDeltaRejectedClusterIsFoundByHalving(t *testing.T) {
	for _, of := range []int{0, 1, 3} { // secrets, clusters, listeners
		t.Run(shortType(served[of].url), func(t *testing.T) {
			var names []string
			w := newWorld(t, quick())
			resources := fenced()
			for i := range 50 {
				names = append(names, fmt.Sprintf("n%02d", i))
				resources = append(resources, served[of].make(names[i], 1))
			}
			w.set(resources...)
			c := w.delta()
			c.subscribe(served[of].url, names...)
			c.reject("something is wrong", "n17", "n42")
			require.Len(t, w.rejections(), 2)
			w.wantBehind(2)
		})
	}
}

func TestDeltaRejectedContentOfAnyTypeIsNotSentAgainUntilItChanges(t *testing.T) {
	for _, of := range served {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newWorld(t, quick(), of.make("a", 1), of.make("b", 1))
			c := w.delta()
			c.subscribe(of.url, "a", "b")
			c.reject("")
			w.set(of.make("a", 2), of.make("b", 1))
			c.nack(c.see(of.url, "a"), "bad")
			c.quiet()
			w.set(of.make("a", 2), of.make("b", 2))
			c.want(of.url, "b")
			c.subscribe(of.url, "a")
			c.quiet()
			w.set(of.make("a", 3), of.make("b", 2))
			c.want(of.url, "a")
			c.quiet()
			require.Len(t, w.rejections(), 1)
			w.wantBehind(0)
		})
	}
}

// A client that lets go of a name has nothing of it; without an answer Envoy would wait for initial_fetch_timeout.
func TestDeltaRejectedContentIsSentOnceMoreToWhoLetGoOfTheName(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.nack(c.see(endpointType, "a"), "bad")
	c.unsubscribe(endpointType, "a")
	c.subscribe(endpointType, "a")
	c.nack(c.see(endpointType, "a"), "bad")
	c.quiet()
	require.Len(t, w.rejections(), 2, "each answer is reported")
}
