package watcher

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/bench/watcher/fakeapi"
	"github.com/podway/podway/bench/watcher/scene"
)

// BenchmarkChurn is 100,000 changes, and what is left of them: goroutines, and the heap after a collection.
func BenchmarkChurn(b *testing.B) {
	size := scene.Size{Clusters: 10, Services: 200, Pods: 10}
	servers := start(b, role{Name: "fakeapi", Size: size})
	p := serveFake(b, servers, size)
	p.synced(b, size.Clusters*size.Services*size.Pods)
	c, stop := connect(b, p.xds, "envoy", size.Services)
	defer stop()
	c.forget.Store(true)
	state := func() (goroutines, heap float64) {
		p.get(b, "/debug/pprof/heap?gc=1&debug=1")
		return p.metric(b, "go_goroutines"), p.metric(b, "go_memstats_heap_alloc_bytes") / mebibyte
	}
	churn := func(changes int) {
		var done []fakeapi.Change
		servers.post(b, "/churn?rate=2000&changes="+number(changes)+"&clusters=0,1,2,3,4,5,6,7,8,9", &done)
		require.Len(b, done, changes)
		p.quiet(b)
	}
	churn(5000) // buffers and logs are as large as they get
	for b.Loop() {
		goroutines, heap := state()
		cpu := p.cpu(b)
		churn(100_000)
		goroutinesAfter, heapAfter := state()
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(goroutines, "goroutines/before")
		b.ReportMetric(goroutinesAfter, "goroutines/after")
		b.ReportMetric(heap, "MB/before")
		b.ReportMetric(heapAfter, "MB/after")
		b.ReportMetric(heapAfter/heap, "heap-after/before")
		b.ReportMetric((p.cpu(b)-cpu).Seconds()*1000/100_000, "ms-cpu/change")
	}
}
