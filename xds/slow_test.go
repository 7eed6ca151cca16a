package xds

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
)

// bulky is a secret of 100 KiB.
func bulky(name string, seed int) *api.Resource {
	r := secret(name, seed)
	r.Message.(*tlsv3.Secret).GetGenericSecret().Secret.Specifier = &corev3.DataSource_InlineString{
		InlineString: strings.Repeat(fmt.Sprintf("%04d", seed), 25<<10),
	}
	return r
}

// heap is what is in use, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// bulk is how often bulky changes: 40 MiB in all.
const bulk = 400

// written is how many responses the server has made for a node.
func (w *world) written(node string) (count uint64) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	for st := range w.server.streams {
		if st.node.id == node {
			st.mu.Lock()
			count += st.sent
			st.mu.Unlock()
		}
	}
	return count
}

func TestDeltaClientThatNeverReadsIsOwedTheLatestAndDelaysNobody(t *testing.T) {
	w := newWorld(t, quick(), bulky("a", 0))
	silent := w.silentDelta("silent")
	silent.subscribe(secretType, "a")
	reader := w.delta()
	reader.subscribe(secretType, "a")
	reader.want(secretType, "a")
	before := heap()
	for i := range bulk {
		// It acknowledges what it has not read, so that no window holds it back.
		silent.ask(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: secretType, ResponseNonce: strconv.Itoa(i + 1)})
		w.set(bulky("a", i+1))
		reader.want(secretType, "a")
	}
	reader.quiet()
	require.Less(t, heap()-before, int64(20<<20))
	require.Less(t, w.written("silent"), uint64(10))
	silent.receive()
	last := ""
	for last != versionOfResource(t, bulky("a", bulk)) {
		r := silent.next()
		last = r.GetResources()[0].GetVersion()
		silent.ack(r)
	}
	require.Less(t, w.written("silent"), uint64(20), "it is not told the history")
}

func TestSotWClientThatNeverReadsIsOwedTheLatestAndDelaysNobody(t *testing.T) {
	w := newWorld(t, quick(), bulky("a", 0))
	silent := w.silentSotWOver(w.dial(), "silent")
	silent.subscribe(secretType, "a")
	reader := w.sotw()
	reader.subscribe(secretType, "a")
	reader.want(secretType, "a")
	before := heap()
	for i := range bulk {
		silent.ask(&discoveryv3.DiscoveryRequest{TypeUrl: secretType, ResourceNames: []string{"a"}, ResponseNonce: strconv.Itoa(i + 1)})
		w.set(bulky("a", i+1))
		reader.want(secretType, "a")
	}
	require.Less(t, heap()-before, int64(20<<20))
	require.Less(t, w.written("silent"), uint64(10))
	silent.receive()
	last := ""
	for last != versionOfResource(t, bulky("a", bulk)) {
		r := silent.next()
		last = r.GetVersionInfo()
		silent.ack(r)
	}
	require.Less(t, w.written("silent"), uint64(20), "it is not told the history")
}

func TestHundredStreamsThatNeitherReadNorAcknowledgeDelayNobody(t *testing.T) {
	w := newWorld(t, quick(), bulky("a", 0))
	conn := w.dial()
	for i := range 50 {
		w.silentOver(conn, fmt.Sprint("silent-", i)).subscribe(secretType, "a")
		w.silentSotWOver(conn, fmt.Sprint("silent-sotw-", i)).subscribe(secretType, "a")
	}
	eventually(t, func() bool { return len(w.server.Streams()) == 100 }, "all streams are open")
	reader := w.delta()
	reader.subscribe(secretType, "a")
	reader.want(secretType, "a")
	before := heap()
	for i := range 100 {
		w.set(bulky("a", i+1))
		reader.want(secretType, "a")
	}
	reader.quiet()
	require.Less(t, heap()-before, int64(20<<20))
	for _, st := range w.server.Streams() {
		require.LessOrEqual(t, w.written(st.Node), max(1, w.written("envoy-1")))
	}
}

func TestSotWHundredStreamsLeaveNothingBehind(t *testing.T) {
	w := newSotWWorld(t, settledResources()...)
	conn := w.dial()
	first := w.sotwOver(conn, "envoy")
	first.subscribe(clusterType)
	first.want(clusterType, "a")
	before := runtime.NumGoroutine()
	var clients []*sotwClient
	for i := range 100 {
		c := w.sotwOver(conn, fmt.Sprint("envoy-", i))
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
	first.quiet()
}

func TestSotWOneVersionOfANameIsOnItsWay(t *testing.T) {
	for _, of := range served[2:] {
		t.Run(shortType(of.url), func(t *testing.T) {
			w := newSotWWorld(t, of.make("a", 1))
			c := w.sotw()
			c.subscribe(of.url, "a")
			r := c.see(of.url, "a")
			for i := range 50 {
				w.set(fenced(of.make("a", i+2))...)
			}
			c.quiet()
			c.ack(r)
			last := c.want(of.url, "a")
			made, err := newRecord(of.make("a", 51))
			require.NoError(t, err)
			require.Equal(t, made.value, last.GetResources()[0].GetValue())
			c.quiet()
		})
	}
}

func TestSotWClientThatNeverAcknowledgesIsBounded(t *testing.T) {
	config := quick()
	config.Limits = Limits{WindowResponses: 3}
	names := []string{"a", "b", "c", "d", "e"}
	resources := func(seed int) (all []*api.Resource) {
		for _, name := range names {
			all = append(all, endpoints(name, seed))
		}
		return fenced(all...)
	}
	w := newWorld(t, config, resources(1)...)
	c := w.sotw()
	c.subscribe(endpointType, names...)
	c.want(endpointType, names...)
	c.quiet()
	w.set(resources(2)...)
	for _, name := range names[:3] {
		c.see(endpointType, name)
	}
	for i := range 100 {
		w.set(resources(i + 3)...)
	}
	c.quiet()
}

func TestSotWWindowIsInBytesToo(t *testing.T) {
	config := quick()
	config.Limits = Limits{WindowBytes: 1}
	w := newWorld(t, config, fenced(endpoints("a", 1), endpoints("b", 1))...)
	c := w.sotw()
	c.subscribe(endpointType, "a", "b")
	c.want(endpointType, "a", "b")
	c.quiet()
	w.set(fenced(endpoints("a", 2), endpoints("b", 2))...)
	a := c.see(endpointType, "a")
	c.quiet()
	c.ack(a)
	c.want(endpointType, "b")
	c.quiet()
}

// TestLogOfChangesRemembersBytesAlone: as messages, what it may hold would take ten times the memory.
func TestLogOfChangesRemembersBytesAlone(t *testing.T) {
	v := newView("v")
	first := routes("a", "b", "c")
	first.Sources = []api.Source{{Part: api.Part{Listener: "http"}}}
	for _, source := range []*api.Resource{first, routes("a")} {
		r, err := newRecord(source)
		require.NoError(t, err)
		v.put(r.key, r, time.Now())
	}
	had := v.log[1].prev
	require.Same(t, had, had.record.former)
	require.Nil(t, had.record.source.Message)
	require.Equal(t, first.Sources, had.record.source.Sources)
	require.True(t, had.record.needsAny(first.Needs[1]))
	decoded, err := had.record.source.Decoded()
	require.NoError(t, err)
	require.True(t, proto.Equal(first.Message, decoded.Message))
}

// TestLogOfChangesCountsWhatItHolds: a RouteConfiguration may be made from thousands of objects, each of which takes more than what is made of it.
func TestLogOfChangesCountsWhatItHolds(t *testing.T) {
	v := newView("v")
	const sources = 4000
	for i := range 100 {
		source := routes("a", strconv.Itoa(i))
		source.Sources, source.Owners = make([]api.Source, sources), make([]api.Owner, sources)
		r, err := newRecord(source)
		require.NoError(t, err)
		v.put(r.key, r, time.Now())
	}
	kept := 0
	for _, c := range v.log {
		if r := c.prev.record; r != nil {
			kept += cap(r.source.Sources) * int(unsafe.Sizeof(api.Source{}))
			kept += cap(r.owners) * int(unsafe.Sizeof(api.Owner{}))
		}
	}
	require.Positive(t, kept)
	require.LessOrEqual(t, kept, maxLogBytes)
}

func TestLogOfChangesIsBoundedInBytes(t *testing.T) {
	v := newView("v")
	size := 0
	for i := range 3 * maxLogBytes / (100 << 10) {
		r, err := newRecord(bulky("a", i))
		require.NoError(t, err)
		size = r.size
		v.replace(map[api.ResourceKey]*record{r.key: r}, time.Now())
	}
	kept := slices.DeleteFunc(slices.Clone(v.log), func(c change) bool { return c.prev.record == nil })
	require.InDelta(t, maxLogBytes/size, len(kept), 1)
	require.Equal(t, kept[len(kept)-1], v.log[len(v.log)-1], "the latest are kept")
	for i := range 2 * logLength {
		r, err := newRecord(secret("b", i))
		require.NoError(t, err)
		v.put(r.key, r, time.Now())
	}
	require.Len(t, v.log, logLength)
	total := 0
	for _, c := range v.log {
		require.NotEmpty(t, c.prev.version)
		total += c.prev.bytes()
	}
	require.Equal(t, total, v.logBytes)
}

func TestSotWClientThatFallsOffTheLogLosesNoCluster(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1), cluster("b", 1), endpoints("a", 1, 2))
	c := w.sotw()
	c.subscribe(clusterType)
	c.want(clusterType, "a", "b")
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	c.quiet()
	w.server.mu.Lock()
	v := w.server.views[gateway]
	w.server.mu.Unlock()
	// While the view is locked no stream can look at it.
	v.mu.Lock()
	put := func(source *api.Resource) {
		r, err := newRecord(source)
		require.NoError(t, err)
		v.put(r.key, r, time.Now())
	}
	put(partial("a", 1))
	put(cluster("a", 2)) // is held back: what the client has of its endpoints is more
	put(cluster("b", 2))
	for i := range 2 * logLength {
		put(endpoints("other", i+2))
	}
	v.wake()
	v.mu.Unlock()
	c.want(clusterType, "a", "b")
	c.quiet()
}
