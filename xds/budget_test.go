package xds

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/podway/podway/api"
)

// unheard are names that no view has.
func unheard(of string, count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%04d", of, i)
	}
	return names
}

func minus(names []string) []string {
	absent := make([]string, len(names))
	for i, name := range names {
		absent[i] = "-" + name
	}
	return absent
}

// budget is a configuration with room for so many bytes of names, and its registry.
func budget(bytes int) (Config, *prometheus.Registry) {
	config, registry := quick(), prometheus.NewRegistry()
	config.Limits.MaxUnknownBytesPerPeer, config.Registerer = bytes, registry
	return config, registry
}

// owes is what the address of all tests is charged for.
func (w *world) owes() int {
	w.server.doorman.mu.Lock()
	defer w.server.doorman.mu.Unlock()
	return w.server.doorman.callers[callerKey{"address", "127.0.0.1"}].nameBytes
}

func (w *world) refusedForNames(registry *prometheus.Registry, err error) {
	w.Helper()
	require.Equal(w, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(w, err, "the streams of 127.0.0.1 name resources that podway does not have, which takes ")
	require.ErrorContains(w, err, "at most 10000 are allowed for one address; unsubscribe from what is not there")
	require.Equal(w, 1.0, gathered(w.T, registry)["podway_xds_refused_streams_total"]["unknown_names_per_peer"])
}

func TestDeltaUnknownNamesOfAPeerAreBounded(t *testing.T) {
	config, registry := budget(10_000)
	w := newWorld(t, config, cluster("a", 1))
	first := w.delta()
	first.subscribe(endpointType, unheard("first", 60)...)
	first.want(endpointType, minus(unheard("first", 60))...)
	second := w.delta()
	second.subscribe(endpointType, unheard("second", 60)...)
	w.refusedForNames(registry, second.ends())
	first.unsubscribe(endpointType, unheard("first", 60)...)
	first.quiet()
	third := w.delta()
	third.subscribe(endpointType, unheard("third", 60)...)
	third.want(endpointType, minus(unheard("third", 60))...)
}

func TestSotWUnknownNamesOfAPeerAreBounded(t *testing.T) {
	config, registry := budget(10_000)
	w := newWorld(t, config, endpoints("a", 1))
	first := w.sotw()
	first.subscribe(endpointType, append(unheard("first", 60), "a")...)
	first.want(endpointType, "a")
	second := w.sotw()
	second.subscribe(endpointType, unheard("second", 60)...)
	w.refusedForNames(registry, second.ends())
}

// forgetRemoved has the Gateway's view forget the names that it had, as it does once there are many.
func (w *world) forgetRemoved(typeURL string) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	v := w.server.views[gateway]
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.types[typeURL]
	for name := range c.spans {
		if c.records[name] == nil {
			delete(c.spans, name)
		}
	}
}

func TestSotWACKThatRepeatsItsNamesIsNotRefusedForThem(t *testing.T) {
	config, registry := budget(10_000)
	names := unheard(strings.Repeat("x", 200), 30)
	var resources []*api.Resource
	for _, name := range names {
		resources = append(resources, endpoints(name, 1))
	}
	w := newWorld(t, config, fenced(resources...)...)
	c := w.sotw()
	c.subscribe(endpointType, names...)
	last := c.want(endpointType, names...)
	other := w.delta()
	other.subscribe(endpointType, unheard("other", 20)...)
	other.want(endpointType, minus(unheard("other", 20))...)
	w.set(fenced()...)
	c.quiet()
	w.forgetRemoved(endpointType)
	c.ack(last)
	c.quiet()
	c.subscribe(endpointType, append(names, "new")...)
	w.refusedForNames(registry, c.ends())
}

func TestUnknownNamesAddedOneByOneAreBoundedToo(t *testing.T) {
	config, registry := budget(10_000)
	w := newWorld(t, config)
	c := w.delta()
	for _, name := range unheard("single", 100) {
		if err := c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: endpointType, ResourceNamesSubscribe: []string{name}}); err != nil {
			require.ErrorIs(t, err, io.EOF)
			break // it has been refused already
		}
	}
	w.refusedForNames(registry, c.ends())
}

func TestUnknownNamesThatStreamsOfAPeerShareCountOnce(t *testing.T) {
	config, _ := budget(10_000)
	w := newWorld(t, config)
	conn := w.dial()
	names := unheard("shared", 60)
	streams := make([]*deltaClient, 10)
	for i := range streams {
		streams[i] = w.deltaOver(conn, fmt.Sprintf("envoy-%d", i))
		streams[i].subscribe(endpointType, names...)
		streams[i].want(endpointType, minus(names)...)
	}
	eventually(t, func() bool { return w.owes() == 60*(len(names[0])+nameCost) }, "one set of names is charged for")
	for i, c := range streams {
		c.cancel()
		_ = c.ends() // how it ends is not asked here
		left := len(streams) - 1 - i
		eventually(t, func() bool { return len(w.server.Streams()) == left }, "%d streams are left", left)
	}
	eventually(t, func() bool { return w.owes() == 0 }, "nothing is charged any more")
	require.Empty(t, w.server.doorman.callers[callerKey{"address", "127.0.0.1"}].sets)
}

func TestNamesThatTheViewHasOrHadLatelyAreFree(t *testing.T) {
	config, _ := budget(1)
	names := unheard("known", 100)
	var resources []*api.Resource
	has := map[string]string{}
	for _, name := range names {
		resources = append(resources, endpoints(name, 1))
		has[name] = versionOfResource(t, endpoints(name, 1))
	}
	w := newWorld(t, config, resources...)
	w.Log("A fleet reconnects.")
	for range 3 {
		c := w.delta()
		c.reconnect(endpointType, has, names...)
		c.subscribe(endpointType, names[0]) // what is sent next is all that is
		c.want(endpointType, names[0])
	}
	w.Log("All of it loses its clusters, and reconnects.")
	w.set()
	for range 3 {
		c := w.delta()
		c.reconnect(endpointType, has, names...)
		c.want(endpointType, minus(names)...)
	}
	require.Zero(t, w.owes())
}

func TestUnknownNamesAreChargedToEachStreamUntilItReadsOfThem(t *testing.T) {
	w := newWorld(t, quick())
	names := unheard("unread", 10_000)
	own := 10_000 * (len(names[0]) + nameCost)
	var silent []*deltaClient
	for i := range 3 {
		c := w.silentDelta(fmt.Sprintf("envoy-%d", i))
		for kind := range 8 { // more than the connection takes unread
			c.subscribe(fmt.Sprintf("%s-%d", otherType, kind), names...)
		}
		silent = append(silent, c)
	}
	eventually(t, func() bool { return w.owes() > 2*own }, "what is not read is charged")
	for _, c := range silent {
		c.receive()
	}
	eventually(t, func() bool { return w.owes() == own }, "one set of names is charged for")
}

func TestUnknownVersionsThatAClientClaimsAreChargedUntilItTakesTheirRemoval(t *testing.T) {
	config, registry := budget(10_000)
	w := newWorld(t, config)
	claims := func(of string) map[string]string {
		has := map[string]string{}
		for _, name := range unheard(of, 20) {
			has[name] = "1"
		}
		return has
	}
	first := w.delta()
	first.reconnect(clusterType, claims("first"), "*")
	told := first.see(clusterType, minus(unheard("first", 20))...)
	second := w.delta()
	second.reconnect(clusterType, claims("second"), "*")
	w.refusedForNames(registry, second.ends())
	first.ack(told)
	eventually(t, func() bool { return w.owes() == 0 }, "nothing is charged any more")
	third := w.delta()
	third.reconnect(clusterType, claims("third"), "*")
	third.want(clusterType, minus(unheard("third", 20))...)
}

func TestAnAbsentNameIsNotRememberedBesideItsSubscription(t *testing.T) {
	w := newWorld(t, quick())
	c := w.delta()
	names := unheard("absent", 1000)
	c.subscribe(endpointType, names...)
	c.see(endpointType, minus(names)...) // and never acknowledges it
	c.quiet()
	w.server.streamsOf(gateway)[0].look(func(p *pass) {
		st := p.stream.find(endpointType)
		require.Zero(t, st.entries.len())
		require.Empty(t, st.untold)
		require.Empty(t, st.flight[0].items)
		require.Empty(t, st.flight[0].absent)
	})
	w.set(endpoints(names[7], 1))
	c.want(endpointType, names[7])
	w.set()
	c.want(endpointType, "-"+names[7])
	c.quiet()
}

func TestDeltaFloodIsReadLaterAndNotRefused(t *testing.T) {
	config := quick()
	config.Limits = Limits{RequestRate: 10, RequestBurst: 20}
	onTheClock(t, config, nil, func(w *world) {
		c := w.delta()
		w.took(0, func() {
			for _, name := range unheard("burst", 10) {
				c.subscribe(otherType, name)
				c.want(otherType, "-"+name)
			}
		})
		start := time.Now()
		names := unheard("flood", 21)
		for _, name := range names {
			c.subscribe(otherType, name)
		}
		var told []string
		for len(told) < len(names) {
			told = append(told, deltaNames(c.next())...)
		}
		require.Equal(t, minus(names), told)
		require.InDelta(t, 2, time.Since(start).Seconds(), 0.2)
	})
}

func TestFloodOnManyStreamsOfAPeerIsReadLaterAndNotRefused(t *testing.T) {
	config := quick()
	config.Limits = Limits{RequestRatePerPeer: 10, RequestBurstPerPeer: 20}
	onTheClock(t, config, nil, func(w *world) {
		start := time.Now()
		streams := make([]*deltaClient, 10)
		for i := range streams {
			streams[i] = w.deltaNode(fmt.Sprintf("envoy-%d", i))
			for _, name := range unheard("flood", 6) {
				streams[i].subscribe(otherType, name)
			}
		}
		for _, c := range streams {
			for told := 0; told < 6; {
				told += len(c.next().GetRemovedResources())
			}
		}
		require.InDelta(t, 4, time.Since(start).Seconds(), 1.1) // the last request of each is not waited for
	})
}

func TestHerdThatReconnectsIsNotReadLater(t *testing.T) {
	var resources []*api.Resource
	names := unheard("known", 1000)
	for _, name := range names {
		resources = append(resources, endpoints(name, 1))
	}
	onTheClock(t, quick(), resources, func(w *world) {
		conn := w.dial()
		has := map[string]string{}
		for _, name := range names {
			has[name] = versionOfResource(w.T, endpoints(name, 1))
		}
		w.took(0, func() {
			for i := range 100 {
				c := w.deltaOver(conn, fmt.Sprintf("envoy-%d", i))
				c.reconnect(endpointType, has, names...)
				for range 3 {
					c.quiet() // two requests and their ACKs
				}
			}
		})
	})
}

func TestSotWFloodIsReadLaterAndNotRefused(t *testing.T) {
	config := quick()
	config.Limits = Limits{RequestRate: 10, RequestBurst: 20}
	onTheClock(t, config, []*api.Resource{endpoints("a", 1), endpoints("b", 1)}, func(w *world) {
		c := w.sotw()
		c.subscribe(endpointType, "a")
		first := c.see(endpointType, "a")
		start := time.Now()
		for range 40 {
			c.ack(first)
		}
		c.subscribe(endpointType, "a", "b")
		c.want(endpointType, "b")
		require.InDelta(t, 2, time.Since(start).Seconds(), 0.2)
	})
}

func TestRequestWithManyNamesCountsAsSeveral(t *testing.T) {
	config := quick()
	config.Limits = Limits{RequestRate: 1, RequestBurst: 10}
	onTheClock(t, config, nil, func(w *world) {
		c := w.delta()
		c.subscribe(otherType, "a")
		c.want(otherType, "-a")
		names := unheard("many", 20*namesPerToken)
		start := time.Now()
		c.subscribe(otherType, names...)
		c.subscribe(otherType, "b")
		for last := ""; last != "-b"; {
			told := deltaNames(c.next())
			last = told[0]
		}
		require.InDelta(t, 2, time.Since(start).Seconds(), 0.2) // the first request and its ACK have been read from the burst
	})
}

func TestAbsencesThatAreNotReadAreCharged(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	conn := w.dial(grpc.WithStaticStreamWindowSize(initialWindow), grpc.WithStaticConnWindowSize(initialWindow))
	before := heap()
	const streams, each = 50, 200 << 10
	names := long(1500)
	for i := range streams {
		w.silentOver(conn, fmt.Sprintf("envoy-%d", i)).subscribe(endpointType, names...)
	}
	eventually(t, func() bool { return w.answered() == streams }, "all streams are sent something")
	held, charged := heap()-before, w.owes()
	t.Logf("%d MiB are held, and %d MiB are charged", held>>20, charged>>20)
	require.Less(t, held, int64(charged+streams*each))
}

// answered is how many streams have been sent something.
func (w *world) answered() (count int) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	for st := range w.server.streams {
		st.mu.Lock()
		if st.sent > 0 {
			count++
		}
		st.mu.Unlock()
	}
	return count
}
