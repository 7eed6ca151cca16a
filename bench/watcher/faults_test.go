package watcher

import (
	"context"
	"testing"
	"time"

	"github.com/podway/podway/bench/watcher/fakeapi"
)

// BenchmarkFaultyClusters is how late eight clusters are while one other answers nothing and one is in a crash loop, beside how late they are
// while all are well. The two take turns, so that whatever else the machine does concerns both.
func BenchmarkFaultyClusters(b *testing.B) {
	servers := start(b, role{Name: "fakeapi", Size: full})
	p := serveFake(b, servers, full)
	p.synced(b, full.Clusters*full.Services*full.Pods)
	eight := all(full)[:8]
	const turns, seconds = 3, 10
	for b.Loop() {
		var well, ill measured
		for range turns {
			well.add(measure(b, p, func() []fakeapi.Change { return steadily(b, servers, seconds, eight...) }))
			servers.post(b, "/silent?cluster=8&on=1", nil)
			end := crashing(b, servers, 9)
			ill.add(measure(b, p, func() []fakeapi.Change { return steadily(b, servers, seconds, eight...) }))
			end()
			servers.post(b, "/silent?cluster=8&on=0", nil)
			p.synced(b, full.Clusters*full.Services*full.Pods)
			p.live(b, full.Clusters)
		}
		well.report(b, "well")
		ill.report(b, "ill")
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(ill.quantile(.99)/well.quantile(.99), "ill/well-p99")
		b.ReportMetric(ill.quantile(.5)/well.quantile(.5), "ill/well-p50")
	}
}

// crashing has a cluster's API server serve for a second and be gone for one, until the end.
func crashing(b *testing.B, servers *process, cluster int) (end func()) {
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for down := "1"; ; {
			servers.post(b, "/down?cluster="+number(cluster)+"&on="+down, nil)
			if down = map[string]string{"1": "0", "0": "1"}[down]; down == "1" && ctx.Err() != nil {
				return // it serves
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
