package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
)

// heavy are secrets of 8 MiB together: twice what many clients accept in one message, grpc-go's among them.
func heavy(seed int) (resources []*api.Resource, names []string) {
	for i := range 80 {
		names = append(names, fmt.Sprintf("s%02d", i))
		r := secret(names[i], seed)
		r.Message.(*tlsv3.Secret).GetGenericSecret().Secret.Specifier = &corev3.DataSource_InlineString{
			InlineString: strings.Repeat(fmt.Sprint(seed), 100<<10),
		}
		resources = append(resources, r)
	}
	return resources, names
}

// takes acknowledges responses until the names have come, each once, in more than one response below the limit.
func (c *deltaClient) takes(limit int, names ...string) {
	c.Helper()
	var seen []string
	responses := 0
	for ; len(seen) < len(names); responses++ {
		r := c.next()
		require.LessOrEqual(c, proto.Size(r), limit)
		seen = append(seen, deltaNames(r)...)
		c.ack(r)
	}
	require.ElementsMatch(c, names, seen)
	require.Greater(c, responses, 1)
}

func TestDeltaResponsesStayBelowWhatClientsAccept(t *testing.T) {
	first, names := heavy(1)
	second, _ := heavy(2)
	w := newWorld(t, quick(), first...)
	c := w.delta()
	c.subscribe(secretType, names...)
	c.takes(4<<20, names...)
	w.set(second...)
	c.takes(4<<20, names...)
	c.quiet()
}

func TestSotWResponsesStayBelowWhatClientsAccept(t *testing.T) {
	resources, names := heavy(1)
	w := newWorld(t, quick(), resources...)
	c := w.sotw()
	c.subscribe(secretType, names...)
	c.takes(secretType, names...) // the client of this test ends the stream at 4 MiB
}

func TestRemovalsAreSplit(t *testing.T) {
	config := quick()
	config.Limits = Limits{MaxResponseBytes: 500}
	var resources []*api.Resource
	var removed []string
	for i := range 20 {
		name := fmt.Sprintf("%s%02d", strings.Repeat("x", 98), i)
		resources = append(resources, secret(name, 1))
		removed = append(removed, "-"+name)
	}
	w := newWorld(t, config, resources...)
	c := w.delta()
	c.subscribe(secretType, "*")
	c.reject("") // takes all
	w.set()
	c.takes(600, removed...)
	c.quiet()
}

func TestWhatIsSentAgainAfterANACKIsSplit(t *testing.T) {
	config := quick()
	config.Limits = Limits{MaxResponseBytes: 1000}
	w := newWorld(t, config, endpoints("a", 1), endpoints("b", 1), endpoints("c", 1), endpoints("d", 1))
	c := w.delta()
	c.subscribe(endpointType, "a", "b", "c", "d")
	small := c.see(endpointType, "a", "b", "c", "d")
	grown := slices.Repeat([]int{2}, 30)
	w.set(endpoints("a", grown...), endpoints("b", grown...), endpoints("c", grown...), endpoints("d", grown...))
	c.nack(small, "something is wrong")
	c.takes(1000, "a", "b", "c", "d")
	c.quiet()
}

func TestNamesOfAnUnservedTypeAreToldInSmallResponses(t *testing.T) {
	w := newWorld(t, quick())
	c := w.delta()
	var names, told []string
	for i := range 3000 {
		names = append(names, fmt.Sprintf("%s%04d", strings.Repeat("n", 900), i))
		told = append(told, "-"+names[i])
	}
	c.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: strings.Repeat("t", 1000), ResourceNamesSubscribe: names})
	c.takes(4<<20, told...)
}

func TestLongTypeIsRefused(t *testing.T) {
	w := newWorld(t, quick())
	long := strings.Repeat("t", 1025)
	d := w.delta()
	d.subscribe(long, "a")
	s := w.sotw()
	s.subscribe(long, "a")
	for _, err := range []error{d.ends(), s.ends()} {
		require.Equal(t, codes.InvalidArgument, status.Code(err))
		require.ErrorContains(t, err, "a type_url of 1025 bytes; at most 1024 are allowed")
	}
}

func TestWhatIsRememberedOfANodeIsLimited(t *testing.T) {
	w := newWorld(t, quick())
	long := strings.Repeat("v", 1025)
	for field, change := range map[string]func(*corev3.Node){
		"id":                 func(n *corev3.Node) { n.Id = long },
		"cluster":            func(n *corev3.Node) { n.Cluster = long },
		"user_agent_name":    func(n *corev3.Node) { n.UserAgentName = long },
		"user_agent_version": func(n *corev3.Node) { n.UserAgentVersionType = &corev3.Node_UserAgentVersion{UserAgentVersion: long} },
		"locality.region":    func(n *corev3.Node) { n.Locality = &corev3.Locality{Region: long} },
		"locality.zone":      func(n *corev3.Node) { n.Locality = &corev3.Locality{Zone: long} },
		"locality.sub_zone":  func(n *corev3.Node) { n.Locality = &corev3.Locality{SubZone: long} },
	} {
		t.Run(field, func(t *testing.T) {
			who := node("envoy-1")
			change(who)
			c := w.delta()
			c.spoken = true
			c.ask(&discoveryv3.DeltaDiscoveryRequest{Node: who, TypeUrl: clusterType})
			err := c.ends()
			require.Equal(t, codes.InvalidArgument, status.Code(err))
			require.ErrorContains(t, err, "node."+field+" has 1025 bytes; at most 1024 are allowed")
		})
	}
}

func TestCulpritIsSoughtInTheBeginningOfAMessageOnly(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1), cluster("b", 1))
	c := w.delta()
	c.subscribe(clusterType)
	// Envoy cuts its messages at 4 KiB.
	c.nack(c.see(clusterType, "a", "b"), "cluster(s) a: bad"+strings.Repeat(" ", 1<<20)+"b: bad")
	c.want(clusterType, "b")
	c.quiet()
	require.Len(t, w.rejections(), 1)
}

func TestSubscriptionsAreLimitedInBytes(t *testing.T) {
	config := quick()
	config.Limits = Limits{MaxSubscriptionBytes: 1000}
	w := newWorld(t, config)
	c := w.delta()
	name := strings.Repeat("n", 399)
	c.subscribe(endpointType, name+"1")
	c.want(endpointType, "-"+name+"1")
	c.subscribe(routeType, name+"2")
	c.want(routeType, "-"+name+"2")
	c.unsubscribe(routeType, name+"2")
	c.subscribe(secretType, name+"3")
	c.want(secretType, "-"+name+"3")
	c.reconnect(clusterType, map[string]string{"a": name})
	err := c.ends()
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "the names and versions that this stream names have 1200 bytes; at most 1000 are allowed")
}

func TestHeadersAreLimited(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	stream, err := w.dial().DeltaAggregatedResources(metadata.AppendToOutgoingContext(bounded(t), "x", strings.Repeat("x", 1<<20)))
	if err == nil {
		_, err = stream.Recv()
	}
	require.ErrorContains(t, err, "header list size")
}
