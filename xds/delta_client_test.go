package xds

import (
	"context"
	"fmt"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// deltaClient is an Envoy that does nothing by itself.
type deltaClient struct {
	*testing.T
	stream    discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	cancel    context.CancelFunc
	responses chan *discoveryv3.DeltaDiscoveryResponse
	failed    chan error
	node      string
	spoken    bool
	fences    int
}

func (w *world) delta() *deltaClient { return w.deltaNode("envoy-1") }

func (w *world) deltaNode(id string) *deltaClient {
	w.Helper()
	c := w.silentDelta(id)
	c.receive()
	return c
}

// deltaOver opens a stream on a connection that is there.
func (w *world) deltaOver(conn discoveryv3.AggregatedDiscoveryServiceClient, id string) *deltaClient {
	w.Helper()
	c := w.silentOver(conn, id)
	c.receive()
	return c
}

// silentDelta does not read.
func (w *world) silentDelta(id string) *deltaClient { return w.silentOver(w.dial(), id) }

func (w *world) silentOver(conn discoveryv3.AggregatedDiscoveryServiceClient, id string) *deltaClient {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.Cleanup(cancel)
	stream, err := conn.DeltaAggregatedResources(ctx)
	require.NoError(w, err)
	return &deltaClient{
		T: w.T, stream: stream, cancel: cancel, node: id,
		responses: make(chan *discoveryv3.DeltaDiscoveryResponse, 100_000), failed: make(chan error, 1),
	}
}

func (c *deltaClient) receive() {
	go func() {
		for {
			m, err := c.stream.Recv()
			if err != nil {
				c.failed <- err
				return
			}
			c.responses <- m
		}
	}()
}

// ask sends a request.
func (c *deltaClient) ask(r *discoveryv3.DeltaDiscoveryRequest) {
	c.Helper()
	require.NoError(c, c.send(r))
}

// send sends a request, with the node in the first one only. The error is io.EOF once the stream has ended.
func (c *deltaClient) send(r *discoveryv3.DeltaDiscoveryRequest) error {
	if !c.spoken {
		r.Node = node(c.node)
		c.spoken = true
	}
	return c.stream.Send(r)
}

func (c *deltaClient) subscribe(typeURL string, names ...string) {
	c.Helper()
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: names})
}

func (c *deltaClient) unsubscribe(typeURL string, names ...string) {
	c.Helper()
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesUnsubscribe: names})
}

// reconnect is a first request of a client that has resources already.
func (c *deltaClient) reconnect(typeURL string, has map[string]string, names ...string) {
	c.Helper()
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, InitialResourceVersions: has, ResourceNamesSubscribe: names})
}

func (c *deltaClient) ack(r *discoveryv3.DeltaDiscoveryResponse) {
	c.Helper()
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()})
}

func (c *deltaClient) nack(r *discoveryv3.DeltaDiscoveryResponse, message string) {
	c.Helper()
	c.ask(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce(),
		ErrorDetail: &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: message},
	})
}

// next is the next response.
func (c *deltaClient) next() *discoveryv3.DeltaDiscoveryResponse {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case r := <-c.responses:
		return r
	case err := <-c.failed:
		require.NoError(c, err, "the stream ended")
	case <-ctx.Done():
		require.Fail(c, "no response came")
	}
	return nil
}

// want takes the next response, checks its type and names, and acknowledges it. A name with a minus is a removal.
func (c *deltaClient) want(typeURL string, names ...string) *discoveryv3.DeltaDiscoveryResponse {
	c.Helper()
	r := c.see(typeURL, names...)
	c.ack(r)
	return r
}

// see is want without the ACK.
func (c *deltaClient) see(typeURL string, names ...string) *discoveryv3.DeltaDiscoveryResponse {
	c.Helper()
	r := c.next()
	require.Equal(c, shortType(typeURL), shortType(r.GetTypeUrl()), "%v", r)
	require.Equal(c, append([]string{}, names...), deltaNames(r))
	return r
}

func deltaNames(r *discoveryv3.DeltaDiscoveryResponse) []string {
	names := []string{}
	for _, resource := range r.GetResources() {
		names = append(names, resource.GetName())
	}
	for _, name := range r.GetRemovedResources() {
		names = append(names, "-"+name)
	}
	return names
}

// quiet checks that nothing is owed: a question of which the answer is known is answered next. What is owed already may go out with the
// answer, so it asks twice.
func (c *deltaClient) quiet() {
	c.Helper()
	for range 2 {
		c.fences++
		name := fmt.Sprintf("fence-%d", c.fences)
		c.subscribe(otherType, name)
		c.want(otherType, "-"+name)
	}
}

// ends is the error with which the server ends the stream.
func (c *deltaClient) ends() error {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		require.Fail(c, "the stream did not end")
	}
	return nil
}
