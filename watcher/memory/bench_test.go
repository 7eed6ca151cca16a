package memory

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkEncode makes the payload of 1000 Services of 10 Pods each.
func BenchmarkEncode(b *testing.B) {
	c := large(1000, 10, 1, false)
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		payload, err := encode(c)
		if err != nil {
			b.Fatal(err)
		}
		size = len(frame(magic, payload))
	}
	b.ReportMetric(float64(size)/10_000, "file-B/pod")
}

// BenchmarkDecode reads it again, checksum included.
func BenchmarkDecode(b *testing.B) {
	payload, err := encode(large(1000, 10, 1, false))
	require.NoError(b, err)
	file := frame(magic, payload)
	b.ReportAllocs()
	for b.Loop() {
		payload, err := unframe(magic, file)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := decode(payload); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSave writes a file that always changes, to the disk and not only to its cache.
func BenchmarkSave(b *testing.B) {
	s, _ := openNew(b)
	c := large(1000, 10, 1, false)
	for b.Loop() {
		c.Sets[0].Pods[0].Ready = !c.Sets[0].Pods[0].Ready
		if err := s.Save(c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMemory is what a Pod takes in memory after loading.
func BenchmarkMemory(b *testing.B) {
	payload, err := encode(large(1000, 10, 1, false))
	require.NoError(b, err)
	var total float64
	for b.Loop() {
		before := heap()
		c, err := decode(payload)
		if err != nil {
			b.Fatal(err)
		}
		total += float64(heap() - before)
		runtime.KeepAlive(c)
	}
	runtime.KeepAlive(payload)
	b.ReportMetric(total/float64(b.N)/10_000, "heap-B/pod")
}

func heap() int64 {
	for range 3 { // what sync.Pools keep goes with the second
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
