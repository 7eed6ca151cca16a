package watcher

import (
	"testing"
	"time"

	"github.com/podway/podway/bench/watcher/scene"
)

// full is what the targets are for: 100,000 Pods.
var full = scene.Size{Clusters: 10, Services: 1000, Pods: 10}

// BenchmarkMemory is what podway takes after the first sync of 10 clusters with 10,000 Pods each and 1000 tunnels to all of them, beside
// plain informers on the very same objects. Each is a process of its own.
func BenchmarkMemory(b *testing.B) {
	servers := start(b, role{Name: "fakeapi", Size: full})
	for b.Loop() {
		p := serveFake(b, servers, full)
		took := p.synced(b, full.Clusters*full.Services*full.Pods)
		_, peak := p.memory(b)
		<-time.After(2 * time.Second) // what podway does after its first sync, it does then
		now, _ := p.memory(b)
		plain := start(b, role{Name: "informers", Size: full, Addresses: servers.Addresses, CA: servers.CA})
		informers, informersPeak := plain.memory(b)
		withPods := start(b, role{Name: "informers", Size: full, Addresses: servers.Addresses, CA: servers.CA, Pods: true})
		informersAndPods, _ := withPods.memory(b)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(took.Seconds(), "s/sync")
		b.ReportMetric(now, "MB/podway")
		b.ReportMetric(peak, "MB/podway-peak")
		b.ReportMetric(informers, "MB/informers")
		b.ReportMetric(informersPeak, "MB/informers-peak")
		b.ReportMetric(informersAndPods, "MB/informers+pods")
		b.ReportMetric(informers/now, "informers/podway")
	}
}
