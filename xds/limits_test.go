package xds

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/podway/podway/api"
)

func TestStreamMayNotAskForAnyNumberOfTypes(t *testing.T) {
	w := newWorld(t, quick())
	c := w.delta()
	for i := range maxTypes + 1 {
		c.subscribe(fmt.Sprintf("type-%d", i))
	}
	require.ErrorContains(t, c.ends(), "more than 32 resource types")
}

func TestOversizedRequestsAreRefused(t *testing.T) {
	config, registry := quick(), prometheus.NewRegistry()
	config.Registerer = registry
	config.Limits = Limits{MaxRequestBytes: 10_000, MaxNames: 20, MaxNameBytes: 100}
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	huge := string(bytes.Repeat([]byte("x"), 20_000))
	w := newWorld(t, config)
	for _, test := range []struct {
		about string
		names []string
		code  codes.Code
		says  string
	}{
		{"too many names", many, codes.InvalidArgument, "21 names in one request; at most 20 are allowed"},
		{"a name too long", []string{huge[:101]}, codes.InvalidArgument, "a resource name of 101 bytes; at most 100 are allowed"},
		{"too many bytes", []string{huge}, codes.ResourceExhausted, "larger than max"},
	} {
		t.Run(test.about, func(t *testing.T) {
			c := w.delta()
			c.subscribe(endpointType, test.names...)
			err := c.ends()
			require.Equal(t, test.code, status.Code(err))
			require.ErrorContains(t, err, test.says)
		})
	}
	c := w.delta()
	c.subscribe(endpointType, many[:15]...)
	c.next()
	c.subscribe(endpointType, "a", "b", "c", "d", "e", "f")
	require.ErrorContains(t, c.ends(), "a subscription to 21 names of one type; at most 20 are allowed")
	c = w.delta()
	c.subscribe(endpointType, "a")
	c.next()
	c.subscribe(endpointType, huge)
	require.Equal(t, codes.ResourceExhausted, status.Code(c.ends()))
	// It is for whoever looks after podway too: an Envoy says nothing of it for 30 s.
	eventually(t, func() bool {
		return gathered(t, registry)["podway_xds_refused_streams_total"][string(reasonBadRequest)] == 5
	}, "each is counted")
}

func TestStreamsAreLimited(t *testing.T) {
	for _, test := range []struct {
		about  string
		limits Limits
		says   string
		reason string
	}{
		{"in all", Limits{MaxStreams: 2}, "this podway already has 2 streams, its limit", "max_streams"},
		{"for one address", Limits{MaxStreamsPerPeer: 2}, "127.0.0.1 already has 2 streams, the limit for one address", "max_streams_per_peer"},
		{"in a second", Limits{StreamBurst: 2, StreamRate: 0.001, StreamBurstPerPeer: 9}, "too many streams are being opened at once", "stream_rate"},
		{"in a second by one address", Limits{StreamBurstPerPeer: 2, StreamRatePerPeer: 0.001}, "127.0.0.1 opens too many streams at once", "stream_rate_per_peer"},
	} {
		t.Run(test.about, func(t *testing.T) {
			config, registry := quick(), prometheus.NewRegistry()
			config.Limits, config.Registerer = test.limits, registry
			w := newWorld(t, config, cluster("a", 1))
			for range 2 {
				c := w.delta()
				c.subscribe(clusterType)
				c.want(clusterType, "a")
			}
			err := w.delta().ends()
			require.Equal(t, codes.ResourceExhausted, status.Code(err))
			require.ErrorContains(t, err, test.says)
			require.Equal(t, 1.0, gathered(t, registry)["podway_xds_refused_streams_total"][test.reason])
		})
	}
}

func TestHundredStreamsLeaveNothingBehind(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	conn := w.dial()
	first := w.deltaOver(conn, "envoy")
	first.subscribe(clusterType)
	first.want(clusterType, "a")
	before := runtime.NumGoroutine()
	clients := make([]*deltaClient, 0, 100)
	for i := range 100 {
		c := w.deltaOver(conn, fmt.Sprintf("envoy-%d", i))
		c.subscribe(clusterType)
		c.want(clusterType, "a")
		clients = append(clients, c)
	}
	require.Len(t, w.server.Streams(), 101)
	for _, c := range clients {
		c.cancel()
		_ = c.ends() // how it ends is not asked here
	}
	eventually(t, func() bool { return len(w.server.Streams()) == 1 }, "all streams but the first are closed")
	eventually(t, func() bool { return runtime.NumGoroutine() <= before+5 }, "the streams' goroutines end")
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	require.Len(t, w.server.views[gateway].listening.streams, 1)
	doorman := w.server.doorman
	eventually(t, func() bool {
		doorman.mu.Lock()
		defer doorman.mu.Unlock()
		return doorman.total == 1 && len(doorman.callers) == 1 && doorman.callers[callerKey{"address", "127.0.0.1"}].streams == 1
	}, "the limits know of one stream")
}

func TestClientThatNeverReadsHoldsUpNobody(t *testing.T) {
	big := make([]int, 5000)
	for i := range big {
		big[i] = i + 1
	}
	w := newWorld(t, quick(), endpoints("a", big...))
	silent := w.silentDelta("silent")
	silent.subscribe(endpointType, "a")
	reader := w.delta()
	reader.subscribe(endpointType, "a")
	reader.want(endpointType, "a")
	for i := range 50 {
		big[0] = i + 10_000
		w.server.SetEndpoints([]*api.Resource{endpoints("a", big...)}, nil)
		reader.want(endpointType, "a")
	}
	reader.quiet()
}

func TestClientThatNeverAcknowledgesIsBounded(t *testing.T) {
	config := quick()
	config.Limits = Limits{WindowResponses: 3}
	w := newWorld(t, config, endpoints("a", 1), endpoints("b", 1), endpoints("c", 1), endpoints("d", 1), endpoints("e", 1))
	c := w.delta()
	for _, name := range []string{"a", "b", "c"} {
		c.subscribe(endpointType, name)
		c.see(endpointType, name)
	}
	c.subscribe(endpointType, "d")
	c.subscribe(endpointType, "e")
	for i := range 100 {
		w.server.SetEndpoints([]*api.Resource{endpoints("a", i+2), endpoints("d", i+2)}, nil)
	}
	c.quiet()
}

func TestWindowIsInBytesToo(t *testing.T) {
	config := quick()
	config.Limits = Limits{WindowBytes: 1}
	w := newWorld(t, config, endpoints("a", 1), endpoints("b", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	a := c.see(endpointType, "a")
	c.subscribe(endpointType, "b")
	c.quiet()
	c.ack(a)
	c.want(endpointType, "b")
}

func TestUnacknowledgedClustersComeLessOftenButCome(t *testing.T) {
	onTheClock(t, quick(), settledResources(), func(w *world) {
		c := w.delta()
		c.subscribe(clusterType)
		c.see(clusterType, "a")
		for i := range paceAfter - 1 {
			w.set(append(settledResources()[1:], cluster("a", i+2))...)
			c.see(clusterType, "a")
		}
		w.took(pace, func() {
			for i := range 5 {
				w.set(append(settledResources()[1:], cluster("a", i+100))...)
			}
			last := c.see(clusterType, "a")
			require.Equal(w, versionOfResource(w.T, cluster("a", 104)), last.GetResources()[0].GetVersion())
		})
		c.quiet()
	})
}

func TestResponsesAreSplit(t *testing.T) {
	config := quick()
	config.Limits = Limits{MaxResponseBytes: 500}
	var resources []*api.Resource
	for i := range 20 {
		resources = append(resources, cluster(fmt.Sprintf("c%02d", i), 1))
	}
	w := newWorld(t, config, resources...)
	c := w.delta()
	c.subscribe(clusterType)
	names := map[string]bool{}
	for len(names) < 20 {
		r := c.next()
		require.NotEmpty(t, r.GetResources())
		require.LessOrEqual(t, len(r.GetResources()), 6)
		for _, name := range deltaNames(r) {
			require.False(t, names[name])
			names[name] = true
		}
		c.ack(r)
	}
	c.quiet()
}
