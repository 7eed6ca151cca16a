package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
	"github.com/podway/podway/bench/watcher/scene"
	"github.com/podway/podway/translator"
	"github.com/podway/podway/watcher/files"
)

// followed is a large pipeline that follows its directory.
type followed struct {
	*large
	published chan time.Time
}

// told tells when views have been handed on.
type told struct {
	publisher
	published chan time.Time
}

func (p told) SetViews(views map[string][]*api.Resource) {
	p.publisher.SetViews(views)
	p.published <- time.Now()
}

// fileChanges are what may happen to a directory of many tunnels. Each is told how often it has been called.
var fileChanges = []struct {
	name string
	// oneFile is true where all tunnels are in one file.
	oneFile bool
	// silent is true where nothing is published.
	silent bool
	write  func(tb testing.TB, f *followed, turn int)
}{
	{name: "weight", write: func(tb testing.TB, f *followed, turn int) {
		f.replaceFile(tb, scene.TunnelFile(turn%f.size.Services), scene.Tunnel(f.size, turn%f.size.Services, 1+turn%99))
	}},
	{name: "weight-in-one-file", oneFile: true, write: func(tb testing.TB, f *followed, turn int) {
		f.writeAll(tb, turn%f.size.Services, 1+turn%99)
	}},
	{name: "nothing", silent: true, write: func(tb testing.TB, f *followed, turn int) {
		f.replaceFile(tb, scene.TunnelFile(turn%f.size.Services), scene.Tunnel(f.size, turn%f.size.Services, 100))
	}},
	{name: "new-tunnel", write: func(tb testing.TB, f *followed, turn int) {
		f.replaceFile(tb, scene.TunnelFile(f.size.Services+turn), scene.Tunnel(f.size, f.size.Services+turn, 100))
	}},
	{name: "route", write: func(tb testing.TB, f *followed, turn int) {
		text := scene.Tunnel(f.size, turn%f.size.Services, 100)
		f.replaceFile(tb, scene.TunnelFile(turn%f.size.Services), append(text, fmt.Sprintf("    timeouts: {request: %ds}\n", 1+turn)...))
	}},
	{name: "parameters", write: func(tb testing.TB, f *followed, turn int) {
		f.replaceFile(tb, "gateway.yaml", fmt.Appendf(nil, frontText, turn%8))
	}},
}

// frontText is the Gateway of the scene with parameters.
const frontText = scene.GatewayYAML + `  infrastructure: {parametersRef: {group: podway.dev, kind: GatewayParameters, name: public}}
---
apiVersion: podway.dev/v1alpha1
kind: GatewayParameters
metadata: {name: public, namespace: edge}
spec: {trustedProxyHops: %d}
`

// writeAll writes all tunnels into one file, one of them with a weight of its own.
func (f *followed) writeAll(tb testing.TB, changed, weight int) {
	tb.Helper()
	var all []byte
	for service := range f.size.Services {
		of := 100
		if service == changed {
			of = weight
		}
		all = append(append(all, "---\n"...), scene.Tunnel(f.size, service, of)...)
	}
	f.replaceFile(tb, "tunnels/all.yaml", all)
}

// replaceFile renames a finished file to its place.
func (f *followed) replaceFile(tb testing.TB, name string, content []byte) {
	tb.Helper()
	temporary := filepath.Join(f.directory, ".next")
	require.NoError(tb, os.WriteFile(temporary, content, 0o600))
	require.NoError(tb, os.Rename(temporary, filepath.Join(f.directory, name)))
}

func newFollowed(b *testing.B, size scene.Size, oneFile bool) *followed {
	b.Helper()
	f := &followed{large: newLarge(b, size), published: make(chan time.Time, 1)}
	f.pipeline.server = told{f.pipeline.server, f.published}
	if oneFile {
		require.NoError(b, os.RemoveAll(filepath.Join(f.directory, "tunnels")))
		require.NoError(b, os.Mkdir(filepath.Join(f.directory, "tunnels"), 0o755))
		f.writeAll(b, 0, 100)
	}
	source := files.New(files.Config{Directory: f.directory, Options: files.Options{MaxFileBytes: 64 << 20}, OnState: func(state files.State) {
		f.lanes.Put(state.Config, state.Changed, state.Gone)
	}})
	ctx, end := context.WithCancel(b.Context())
	ended := make(chan error, 2)
	go func() { ended <- source.Run(ctx) }()
	go func() { f.pipeline.run(ctx, f.lanes, nil); ended <- nil }()
	b.Cleanup(func() {
		end()
		require.NoError(b, <-ended)
		require.NoError(b, <-ended)
	})
	f.await(b)
	return f
}

func (f *followed) await(b *testing.B) time.Time {
	b.Helper()
	select {
	case at := <-f.published:
		return at
	case <-time.After(30 * time.Second):
		require.FailNow(b, "no views were handed on")
		return time.Time{}
	}
}

// cpu is the processor time that this process has taken.
func cpu(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// settleFor is how long a change is waited for to be over, after its views were handed on: what is done after that counts too.
const settleFor = 20 * time.Millisecond

// BenchmarkChangedFile is a file in a directory of many tunnels renamed to its place, to all views handed to the streams. ms-cpu is all that the
// process took for it, with collecting its garbage, and x-full, how many times as much it takes to read and translate everything.
func BenchmarkChangedFile(b *testing.B) {
	for _, tunnels := range []int{1000, 5000} {
		for _, change := range fileChanges {
			b.Run(fmt.Sprintf("tunnels=%d/%s", tunnels, change.name), func(b *testing.B) {
				f := newFollowed(b, scene.Size{Clusters: 3, Services: tunnels, Pods: 4}, change.oneFile)
				full := f.full(b)
				change.write(b, f, 0)
				if !change.silent {
					f.await(b)
				}
				runtime.GC()
				b.ReportAllocs()
				var took, spent time.Duration
				for turn := 1; b.Loop(); turn++ {
					before, begun := cpu(b), time.Now()
					change.write(b, f, turn)
					if !change.silent {
						took += f.await(b).Sub(begun)
					}
					<-time.After(settleFor)
					spent += cpu(b) - before
				}
				b.ReportMetric(0, "ns/op") // it waits
				b.ReportMetric(spent.Seconds()*1000/float64(b.N), "ms-cpu/op")
				b.ReportMetric(took.Seconds()*1000/float64(b.N), "ms-published/op")
				b.ReportMetric(full.Seconds()/(spent.Seconds()/float64(b.N)), "x-full")
			})
		}
	}
}

// full is the processor time to read and translate everything.
func (f *followed) full(b *testing.B) time.Duration {
	b.Helper()
	before := cpu(b)
	state, err := files.Load([]string{f.directory}, files.Options{MaxFileBytes: 64 << 20})
	require.NoError(b, err)
	translator.Translate(state.Config, nil)
	return cpu(b) - before
}
