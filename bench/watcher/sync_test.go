package watcher

import (
	"testing"
	"time"

	"github.com/podway/podway/bench/watcher/scene"
)

// BenchmarkFirstSync is a podway's start until all Pods of its clusters are in force: with one cluster, with ten, and with one after the
// other, of which the parts that do not depend on the clusters are taken off: what is compared is the sync.
func BenchmarkFirstSync(b *testing.B) {
	servers := start(b, role{Name: "fakeapi", Size: full})
	took := func(clusters int) (syncing, cpu time.Duration) {
		size := scene.Size{Clusters: clusters, Services: full.Services, Pods: full.Pods}
		p := serveFake(b, servers, size)
		served := time.Since(p.begun)
		syncing = p.synced(b, size.Clusters*size.Services*size.Pods) - served
		cpu = p.cpu(b)
		p.stop()
		return syncing, cpu
	}
	var one, ten, oneCPU, tenCPU time.Duration
	for b.Loop() {
		syncing, cpu := took(1)
		one, oneCPU = one+syncing, oneCPU+cpu
		syncing, cpu = took(full.Clusters)
		ten, tenCPU = ten+syncing, tenCPU+cpu
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(one.Seconds()/float64(b.N), "s/one")
	b.ReportMetric(ten.Seconds()/float64(b.N), "s/ten")
	b.ReportMetric(oneCPU.Seconds()/float64(b.N), "s-cpu/one")
	b.ReportMetric(tenCPU.Seconds()/float64(b.N), "s-cpu/ten")
	b.ReportMetric(float64(ten)/float64(one), "ten/one")
	b.ReportMetric(float64(ten)/float64(one*time.Duration(full.Clusters)), "ten/one-after-the-other")
}

// BenchmarkFirstSyncWithASlowCluster is the same where the network to each cluster, and not the processors, takes the time: each answer of a
// server comes 500 ms late, of the last one 1 s.
func BenchmarkFirstSyncWithASlowCluster(b *testing.B) {
	small := scene.Size{Clusters: 10, Services: 50, Pods: 10}
	servers := start(b, role{Name: "fakeapi", Size: small})
	for cluster := range small.Clusters {
		wait := "500"
		if cluster == small.Clusters-1 {
			wait = "1000"
		}
		servers.post(b, "/slow?cluster="+number(cluster)+"&ms="+wait, nil)
	}
	took := func(clusters ...int) time.Duration {
		size := scene.Size{Clusters: len(clusters), Services: small.Services, Pods: small.Pods}
		p := serve(b, size, func(cluster int) []byte { return servers.kubeconfig(clusters[cluster]) })
		served := time.Since(p.begun)
		syncing := p.synced(b, size.Clusters*size.Services*size.Pods) - served
		p.stop()
		return syncing
	}
	var all, slowest, others time.Duration
	for b.Loop() {
		all += took(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
		slowest += took(9)
		others += took(0)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(all.Seconds()/float64(b.N), "s/all")
	b.ReportMetric(slowest.Seconds()/float64(b.N), "s/slowest")
	b.ReportMetric(float64(all)/float64(slowest), "all/slowest")
	b.ReportMetric(float64(all)/float64(slowest+others*9), "all/sum")
}
