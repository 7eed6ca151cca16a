package watcher

import (
	"testing"
	"time"

	"github.com/podway/podway/bench/watcher/scene"
)

// full is what the targets are for: 100,000 Pods.
var full = scene.Size{Clusters: 10, Services: 1000, Pods: 10}

// BenchmarkMemory is what podway takes after the first sync of 10 clusters with 10,000 Pods each and 1000 tunnels to all of them, beside
// plain informers on the very same objects; and what it takes without the tunnels and their endpoints, for informers have none. Each is a
// process of its own, as is one of either kind that follows nothing: what is held is the difference.
func BenchmarkMemory(b *testing.B) {
	servers := start(b, role{Name: "fakeapi", Size: full})
	following := func(size scene.Size) float64 {
		p := serveFake(b, servers, size)
		defer p.stop()
		p.live(b, size.Clusters)
		return p.settledMemory(b)
	}
	plain := func(of role) (now, peak float64) {
		of.Name, of.Size, of.CA = "informers", full, servers.CA
		return start(b, of).memory(b)
	}
	for b.Loop() {
		p := serveFake(b, servers, full)
		took := p.synced(b, full.Clusters*full.Services*full.Pods)
		_, peak := p.memory(b)
		now := p.settledMemory(b)
		p.stop()
		selecting := full
		selecting.Selectors = true
		p = serveFake(b, servers, selecting)
		p.synced(b, full.Clusters*full.Services*full.Pods)
		labels := p.settledMemory(b)
		_, labelsPeak := p.memory(b)
		p.stop()
		watcher, nothing := following(scene.Size{Clusters: full.Clusters}), following(scene.Size{})
		noInformers, _ := plain(role{})
		informers, informersPeak := plain(role{Addresses: servers.Addresses})
		withPods, _ := plain(role{Addresses: servers.Addresses, Pods: true})
		withWholePods, _ := plain(role{Addresses: servers.Addresses, WholePods: true})
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(took.Seconds(), "s/sync")
		b.ReportMetric(now, "MB/podway")
		b.ReportMetric(peak, "MB/podway-peak")
		b.ReportMetric(labels, "MB/podway-with-labels")
		b.ReportMetric(labelsPeak, "MB/podway-with-labels-peak")
		b.ReportMetric(watcher, "MB/podway-without-tunnels")
		b.ReportMetric(nothing, "MB/podway-of-nothing")
		b.ReportMetric(informers, "MB/informers")
		b.ReportMetric(informersPeak, "MB/informers-peak")
		b.ReportMetric(withPods, "MB/informers+pods")
		b.ReportMetric(withWholePods, "MB/informers+whole-pods")
		b.ReportMetric(noInformers, "MB/informers-of-nothing")
		b.ReportMetric(informers/now, "informers/podway")
		b.ReportMetric(withPods/labels, "informers+pods/podway-with-labels")
		b.ReportMetric(withWholePods/labels, "informers+whole-pods/podway-with-labels")
		b.ReportMetric((informers-noInformers)/(watcher-nothing), "held-informers/podway")
		b.ReportMetric((withPods-noInformers)/(labels-nothing), "held-informers+pods/podway-with-labels")
		b.ReportMetric((withWholePods-noInformers)/(labels-nothing), "held-informers+whole-pods/podway-with-labels")
	}
}

// settledMemory is what podway takes once it has given back what its first sync took.
func (p *podway) settledMemory(b *testing.B) float64 {
	<-time.After(3 * time.Second)
	now, _ := p.memory(b)
	return now
}
