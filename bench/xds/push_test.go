package xds

import (
	"runtime"
	"testing"
)

var systems = []struct {
	name string
	make func(testing.TB, int) *system
}{
	{"Floor", floorProbe},
	{"Podway", podway},
	{"LinearCache", linearCache},
}

const streams = 100

// BenchmarkPush is one changed assignment of 100 endpoints to 100 delta streams, from its publication to the last
// acknowledgement. Clients are part of what is measured.
func BenchmarkPush(b *testing.B) {
	for _, clusters := range []int{10, 1000} {
		for _, s := range systems {
			b.Run(s.name+"/"+map[int]string{10: "10Clusters", 1000: "1000Clusters"}[clusters], func(b *testing.B) {
				system := s.make(b, clusters)
				defer system.stop()
				f := newFleet(b, system.address, streams, clusters)
				defer f.close()
				f.wait(streams * clusters)
				seed := 0
				b.ReportAllocs()
				for b.Loop() {
					seed++
					system.publish(seed)
					f.wait(streams)
				}
			})
		}
	}
}

// BenchmarkState is the memory that 100 streams hold once they are up to date, clients included: bytes a stream and cluster, from
// the difference between 10 and 1000 clusters.
func BenchmarkState(b *testing.B) {
	for _, s := range systems {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				few, many := held(b, s.make, 10), held(b, s.make, 1000)
				b.ReportMetric(float64(many-few)/streams, "B/stream")
			}
		})
	}
}

func held(b *testing.B, start func(testing.TB, int) *system, clusters int) int64 {
	b.Helper()
	system := start(b, clusters)
	defer system.stop()
	system.publish(1)
	before := heap()
	f := newFleet(b, system.address, streams, clusters)
	defer f.close()
	f.wait(streams * clusters)
	system.publish(2)
	f.wait(streams)
	after := heap()
	return after - before
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
