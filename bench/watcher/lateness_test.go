package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/bench/watcher/fakeapi"
	"github.com/podway/podway/bench/watcher/scene"
)

// measured is how late podway was in some time.
type measured struct {
	// podway is by its own metric: from the watch event to the endpoints handed to the streams. client is from the event to the arrival at
	// an Envoy, in milliseconds, sorted; it has the API server, both connections and the client's own turn of the processors in it.
	podway  histogram
	client  []float64
	changes []fakeapi.Change
	// last is when the last push arrived.
	last time.Time
	cpu  time.Duration
}

// measure has things happen, and says how late podway was meanwhile.
func measure(b *testing.B, p *podway, what func() []fakeapi.Change) measured {
	b.Helper()
	c, stop := connect(b, p.xds, "envoy", p.size.Services)
	before, cpu := p.histogram(b), p.cpu(b)
	changes := what()
	<-time.After(300 * time.Millisecond) // the last of them
	out := measured{podway: p.histogram(b).since(before), changes: changes, cpu: p.cpu(b) - cpu}
	stop()
	out.client = c.lateness(b, changes)
	if len(c.pushes) > 0 {
		out.last = c.pushes[len(c.pushes)-1].at
	}
	require.GreaterOrEqual(b, len(out.client), len(changes)*9/10, "changes arrived")
	return out
}

// add adds what was measured at another time.
func (m *measured) add(other measured) {
	if m.podway == nil {
		m.podway = histogram{}
	}
	for le, count := range other.podway {
		m.podway[le] += count
	}
	m.client = append(m.client, other.client...)
	slices.Sort(m.client)
	m.changes = append(m.changes, other.changes...)
	m.cpu += other.cpu
}

// quantile of what the client saw.
func (m measured) quantile(share float64) float64 { return quantile(m.client, share) }

func (m measured) report(b *testing.B, name string) {
	b.Helper()
	b.ReportMetric(m.podway.atMost(.5), "ms/"+name+"-p50<=")
	b.ReportMetric(m.podway.atMost(.99), "ms/"+name+"-p99<=")
	b.ReportMetric(100*m.podway.within(.002), "%/"+name+"<=2ms")
	b.ReportMetric(100*m.podway.within(.01), "%/"+name+"<=10ms")
	b.ReportMetric(quantile(m.client, .5), "ms/"+name+"-client-p50")
	b.ReportMetric(quantile(m.client, .99), "ms/"+name+"-client-p99")
	b.ReportMetric(m.cpu.Seconds()*1000/float64(len(m.changes)), "ms-cpu/"+name+"-change")
}

// steadily is so many seconds of 100 changes a second in clusters.
func steadily(b *testing.B, servers *process, seconds int, clusters ...int) []fakeapi.Change {
	b.Helper()
	var changes []fakeapi.Change
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(clusters), " ", ","), "[]")
	servers.post(b, fmt.Sprintf("/churn?rate=100&changes=%d&clusters=%s", 100*seconds, list), &changes)
	return changes
}

// all are the numbers of all clusters.
func all(size scene.Size) []int {
	out := make([]int, size.Clusters)
	for i := range out {
		out[i] = i
	}
	return out
}

// configureEverySecond changes the weights of a tunnel each second until stop is called.
func configureEverySecond(b *testing.B, p *podway) (stop func()) {
	ended := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for turn := 0; ; turn++ {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			path := filepath.Join(p.directory, scene.TunnelFile(turn*37%p.size.Services))
			if err := os.WriteFile(path+".new", scene.Tunnel(p.size, turn*37%p.size.Services, 1+turn%99), 0o600); err != nil {
				b.Error(err)
			} else if err := os.Rename(path+".new", path); err != nil {
				b.Error(err)
			}
		}
	})
	return func() {
		close(ended)
		running.Wait()
	}
}

// BenchmarkLateness is 100 changes a second over 10 clusters with 10,000 Pods each and 1000 tunnels: first alone, then with a configuration
// change each second and a relist of a cluster, and then with a burst too: one Pod of each of the 1000 Services of a cluster at once.
func BenchmarkLateness(b *testing.B) {
	servers := start(b, role{Name: "fakeapi", Size: full})
	p := serveFake(b, servers, full)
	p.synced(b, full.Clusters*full.Services*full.Pods)
	for b.Loop() {
		quiet := measure(b, p, func() []fakeapi.Change { return steadily(b, servers, 15, all(full)...) })
		quiet.report(b, "quiet")
		stop := configureEverySecond(b, p)
		busy := measure(b, p, func() []fakeapi.Change {
			relist := time.AfterFunc(15*time.Second, func() { servers.post(b, "/expire?cluster=3", nil) })
			defer relist.Stop()
			return steadily(b, servers, 30, all(full)...)
		})
		busy.report(b, "busy")
		burst := measure(b, p, func() (changes []fakeapi.Change) {
			servers.post(b, "/burst?cluster=5", &changes)
			return changes
		})
		stop()
		begin, end := burst.changes[0].At, burst.changes[len(burst.changes)-1].At
		b.ReportMetric(float64(end-begin)/1e6, "ms/burst-of-events")
		b.ReportMetric(float64(burst.last.UnixNano()-begin)/1e6, "ms/burst-of-pushes")
		burst.report(b, "burst")
		busy.add(burst)
		busy.report(b, "all")
		now, peak := p.memory(b)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(now, "MB/now")
		b.ReportMetric(peak, "MB/peak")
		b.ReportMetric(busy.quantile(.5)/quiet.quantile(.5), "all/quiet-p50")
	}
}
