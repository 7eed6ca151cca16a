package watcher

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/bench/watcher/fakeapi"
	"github.com/podway/podway/bench/watcher/scene"
)

// client is what an Envoy is to podway: it takes all clusters and endpoints, and says thanks.
type client struct {
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	first  chan struct{} // closed once it has all endpoints
	ended  chan struct{}
	// forget has pushes thrown away.
	forget atomic.Bool
	// pushes belong to the goroutine that receives until ended is closed.
	pushes []push
}

// push is endpoints that arrived.
type push struct {
	at    time.Time
	bytes [][]byte
}

// connect opens a stream, and returns once it has all endpoints.
func connect(tb testing.TB, address, node string, tunnels int) (*client, context.CancelFunc) {
	tb.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	require.NoError(tb, err)
	c := &client{stream: stream, first: make(chan struct{}), ended: make(chan struct{})}
	require.NoError(tb, stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.ClusterType, Node: &corev3.Node{Id: node, Cluster: scene.Gateway}}))
	go c.receive(tunnels)
	return c, c.begun(tb, conn, cancel)
}

// begun returns once the client has all endpoints. What it returns ends the client.
func (c *client) begun(tb testing.TB, conn *grpc.ClientConn, cancel context.CancelFunc) (stop context.CancelFunc) {
	tb.Helper()
	stop = func() {
		cancel()
		<-c.ended
		_ = conn.Close() // nothing is on its way
	}
	select {
	case <-c.first:
	case <-c.ended:
		tb.Fatal("the stream has ended before all endpoints were there")
	case <-time.After(time.Minute):
		stop()
		tb.Fatal("not all endpoints came within a minute")
	}
	return stop
}

func (c *client) receive(tunnels int) {
	defer close(c.ended)
	known := map[string]bool{}
	for {
		m, err := c.stream.Recv()
		if err != nil {
			return
		}
		at := time.Now()
		if err := c.stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: m.GetTypeUrl(), ResponseNonce: m.GetNonce()}); err != nil {
			return
		}
		switch m.GetTypeUrl() {
		case resource.ClusterType:
			request := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resource.EndpointType}
			for _, r := range m.GetResources() {
				if !known[r.GetName()] {
					request.ResourceNamesSubscribe = append(request.ResourceNamesSubscribe, r.GetName())
				}
			}
			if len(request.GetResourceNamesSubscribe()) > 0 && c.stream.Send(request) != nil {
				return
			}
		case resource.EndpointType:
			p := push{at: at}
			for _, r := range m.GetResources() {
				known[r.GetName()] = true
				p.bytes = append(p.bytes, r.GetResource().GetValue())
			}
			if len(known) < tunnels {
				continue
			}
			select {
			case <-c.first:
				if !c.forget.Load() {
					c.pushes = append(c.pushes, p)
				}
			default:
				close(c.first)
			}
		}
	}
}

// lateness is, for each change, how long it took from the event to the endpoints that have it, in milliseconds, sorted; call it once the stream
// has ended. A change that was overtaken by the next one of its Pod is not among them.
func (c *client) lateness(tb testing.TB, changes []fakeapi.Change) []float64 {
	tb.Helper()
	at := make(map[string]int64, len(changes))
	for _, change := range changes {
		at[change.Address] = change.At
	}
	var out []float64
	for _, p := range c.pushes {
		for _, bytes := range p.bytes {
			var assignment endpointv3.ClusterLoadAssignment
			require.NoError(tb, proto.Unmarshal(bytes, &assignment))
			for _, locality := range assignment.GetEndpoints() {
				for _, endpoint := range locality.GetLbEndpoints() {
					address := endpoint.GetEndpoint().GetAddress().GetSocketAddress().GetAddress()
					if when, changed := at[address]; changed {
						delete(at, address)
						out = append(out, float64(p.at.UnixNano()-when)/1e6)
					}
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// quantile of sorted values.
func quantile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}
