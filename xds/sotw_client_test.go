package xds

import (
	"context"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// fences are secrets that every SotW test world has, for quiet to ask for.
var fences = []string{"fence-a", "fence-b"}

// sotwClient is a state-of-the-world Envoy that does nothing by itself.
type sotwClient struct {
	*testing.T
	stream    discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	cancel    context.CancelFunc
	responses chan *discoveryv3.DiscoveryResponse
	failed    chan error
	node      string
	spoken    bool
	versions  map[string]string
	nonces    map[string]string
	names     map[string][]string
	fences    int
}

func (w *world) sotw() *sotwClient { return w.sotwNode("envoy-1") }

func (w *world) sotwNode(id string) *sotwClient {
	w.Helper()
	return w.sotwOver(w.dial(), id)
}

// sotwOver opens a stream on a connection that is there.
func (w *world) sotwOver(conn discoveryv3.AggregatedDiscoveryServiceClient, id string) *sotwClient {
	w.Helper()
	c := w.silentSotWOver(conn, id)
	c.receive()
	return c
}

// silentSotWOver does not read.
func (w *world) silentSotWOver(conn discoveryv3.AggregatedDiscoveryServiceClient, id string) *sotwClient {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.Cleanup(cancel)
	stream, err := conn.StreamAggregatedResources(ctx)
	require.NoError(w, err)
	return &sotwClient{
		T: w.T, stream: stream, cancel: cancel, node: id,
		responses: make(chan *discoveryv3.DiscoveryResponse, 100_000), failed: make(chan error, 1),
		versions: map[string]string{}, nonces: map[string]string{}, names: map[string][]string{},
	}
}

func (c *sotwClient) receive() {
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

func (c *sotwClient) ask(r *discoveryv3.DiscoveryRequest) {
	c.Helper()
	if !c.spoken {
		r.Node = node(c.node)
		c.spoken = true
	}
	require.NoError(c, c.stream.Send(r))
}

// subscribe makes names all that is wanted, with the version and nonce that the client has.
func (c *sotwClient) subscribe(typeURL string, names ...string) {
	c.Helper()
	c.names[typeURL] = names
	c.ask(&discoveryv3.DiscoveryRequest{
		TypeUrl: typeURL, ResourceNames: names, VersionInfo: c.versions[typeURL], ResponseNonce: c.nonces[typeURL],
	})
}

func (c *sotwClient) ack(r *discoveryv3.DiscoveryResponse) {
	c.Helper()
	c.versions[r.GetTypeUrl()], c.nonces[r.GetTypeUrl()] = r.GetVersionInfo(), r.GetNonce()
	c.subscribe(r.GetTypeUrl(), c.names[r.GetTypeUrl()]...)
}

func (c *sotwClient) nack(r *discoveryv3.DiscoveryResponse, message string) {
	c.Helper()
	c.nonces[r.GetTypeUrl()] = r.GetNonce()
	c.ask(&discoveryv3.DiscoveryRequest{
		TypeUrl: r.GetTypeUrl(), ResourceNames: c.names[r.GetTypeUrl()], VersionInfo: c.versions[r.GetTypeUrl()], ResponseNonce: r.GetNonce(),
		ErrorDetail: &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: message},
	})
}

// next is the next response.
func (c *sotwClient) next() *discoveryv3.DiscoveryResponse {
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

func (c *sotwClient) see(typeURL string, names ...string) *discoveryv3.DiscoveryResponse {
	c.Helper()
	r := c.next()
	require.Equal(c, shortType(typeURL), shortType(r.GetTypeUrl()), "%v", r)
	require.Equal(c, append([]string{}, names...), sotwNames(c.T, r))
	return r
}

func (c *sotwClient) want(typeURL string, names ...string) *discoveryv3.DiscoveryResponse {
	c.Helper()
	r := c.see(typeURL, names...)
	c.ack(r)
	return r
}

func sotwNames(t *testing.T, r *discoveryv3.DiscoveryResponse) []string {
	names := []string{}
	for _, resource := range r.GetResources() {
		names = append(names, anyName(t, resource))
	}
	return names
}

// anyName is the name of a packed resource.
func anyName(t *testing.T, packed *anypb.Any) string {
	t.Helper()
	m, err := packed.UnmarshalNew()
	require.NoError(t, err)
	for _, field := range []protoreflect.Name{"name", "cluster_name"} {
		if f := m.ProtoReflect().Descriptor().Fields().ByName(field); f != nil {
			return m.ProtoReflect().Get(f).String()
		}
	}
	return ""
}

// quiet checks that nothing is owed: a secret asked for is answered next. What is owed already may go out with the answer, so it asks twice.
func (c *sotwClient) quiet() {
	c.Helper()
	for range 2 {
		c.fences++
		name := fences[c.fences%len(fences)]
		c.subscribe(secretType, name)
		c.want(secretType, name)
	}
}

// ends is the error with which the server ends the stream.
func (c *sotwClient) ends() error {
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
