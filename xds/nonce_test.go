package xds

import (
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"

	"github.com/podway/podway/api"
)

func TestDeltaSubscriptionChangesCountInARequestWithAStaleNonce(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1), endpoints("c", 1))
	c := w.delta()
	c.subscribe(endpointType, "a", "b")
	old := c.want(endpointType, "a", "b")
	c.subscribe(endpointType, "b")
	c.want(endpointType, "b")
	for _, nonce := range []string{old.GetNonce(), "12345", "never sent"} {
		c.ask(&discoveryv3.DeltaDiscoveryRequest{
			TypeUrl: endpointType, ResponseNonce: nonce, ResourceNamesSubscribe: []string{"c"}, ResourceNamesUnsubscribe: []string{"a"},
		})
		c.want(endpointType, "c")
		c.quiet()
	}
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	c.quiet()
}

func TestDeltaSubscriptionChangesCountInANACK(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.ask(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: endpointType, ResponseNonce: c.see(endpointType, "a").GetNonce(), ErrorDetail: &rpcstatus.Status{Message: "bad"},
		ResourceNamesSubscribe: []string{"b"},
	})
	c.want(endpointType, "b")
	c.quiet()
	require.Len(t, w.rejections(), 1)
}

func TestDeltaStaleNonceIsNeitherACKNorNACK(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	old := c.want(endpointType, "a")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	c.see(endpointType, "a")
	c.nack(old, "a: bad")
	c.ack(old)
	c.quiet()
	require.Empty(t, w.rejections())
	w.wantBehind(1)
}

func TestDeltaAnswersMayComeInAnyOrder(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	a := c.see(endpointType, "a")
	c.subscribe(endpointType, "b")
	b := c.see(endpointType, "b")
	c.nack(b, "bad")
	c.ack(a)
	c.quiet()
	require.Len(t, w.rejections(), 1)
	require.Equal(t, "b", w.rejections()[0].Key.Name)
	w.wantBehind(1)
}

func TestSotWStaleNonceOfAnyTypeIsNotAnswered(t *testing.T) {
	for _, of := range served[1:] {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newSotWWorld(t, of.make("a", 1), of.make("b", 1))
			c := w.sotw()
			c.subscribe(of.url, "a")
			first := c.want(of.url, "a")
			c.quiet()
			w.set(fenced(of.make("a", 2), of.make("b", 1))...)
			second := c.see(of.url, "a")
			for _, nonce := range []string{first.GetNonce(), "12345", "", "never sent"} {
				c.nonces[of.url] = nonce
				c.subscribe(of.url, "a", "b")
				c.quiet()
			}
			c.names[of.url] = []string{"a"}
			c.ack(second)
			c.quiet()
			w.wantBehind(0)
		})
	}
}

func TestSotWStaleNonceIsNoNACK(t *testing.T) {
	w := newSotWWorld(t, endpoints("a", 1))
	c := w.sotw()
	c.subscribe(endpointType, "a")
	old := c.want(endpointType, "a")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	c.see(endpointType, "a")
	c.nack(old, "a: bad")
	c.quiet()
	require.Empty(t, w.rejections())
}

func TestSotWNamesCountInANACK(t *testing.T) {
	w := newSotWWorld(t, endpoints("a", 1), endpoints("b", 1))
	c := w.sotw()
	c.subscribe(endpointType, "a")
	bad := c.see(endpointType, "a")
	c.names[endpointType] = []string{"a", "b"}
	c.nack(bad, "bad")
	c.want(endpointType, "b")
	c.quiet()
	require.Len(t, w.rejections(), 1)
}

func TestSotWChangeOfNamesOfAnyTypeIsAnswered(t *testing.T) {
	for _, of := range served[1:] {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newSotWWorld(t, of.make("a", 1), of.make("b", 1))
			c := w.sotw()
			c.subscribe(of.url, "a")
			c.want(of.url, "a")
			c.subscribe(of.url, "a", "b")
			if isComplete(of.url) {
				c.want(of.url, "a", "b")
			} else {
				c.want(of.url, "b")
			}
			c.quiet()
		})
	}
}
