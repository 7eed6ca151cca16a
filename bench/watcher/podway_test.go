package watcher

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/bench/watcher/scene"
)

// podway is the real program, serving.
type podway struct {
	*process
	directory  string
	size       scene.Size
	xds, admin string
	begun      time.Time
	// stop ends it; the end of the benchmark does so too.
	stop func()
}

// build builds podway once.
var build = sync.OnceValues(func() (string, error) {
	directory, err := os.MkdirTemp("", "podway-bench")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(directory, "podway")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/podway/podway/cmd/podway").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building podway: %w: %s", err, out)
	}
	return binary, nil
})

var addressesIn = regexp.MustCompile(`msg=Ready xds=(\S+) admin=(\S+)`)

// serve runs podway on clusters until the benchmark ends, and returns once it serves.
func serve(tb testing.TB, size scene.Size, kubeconfig func(cluster int) []byte, flags ...string) *podway {
	tb.Helper()
	binary, err := build()
	require.NoError(tb, err)
	p := &podway{directory: tb.TempDir(), size: size}
	require.NoError(tb, scene.WriteConfig(p.directory, size, kubeconfig))
	cmd := exec.Command(binary, append([]string{"serve", "--config", p.directory, "--xds-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0", "--pprof"}, flags...)...)
	stderr, err := cmd.StderrPipe()
	require.NoError(tb, err)
	p.begun = time.Now()
	require.NoError(tb, cmd.Start())
	p.process = &process{Cmd: cmd}
	ended := make(chan struct{})
	p.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		<-ended
		_ = cmd.Wait() // how it ended is in its log
	})
	tb.Cleanup(p.stop)
	ready := make(chan []string, 1)
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if found := addressesIn.FindStringSubmatch(lines.Text()); found != nil {
				ready <- found
			}
			if os.Getenv("PODWAY_BENCH_LOG") != "" {
				fmt.Fprintln(os.Stderr, lines.Text())
			}
		}
	}()
	select {
	case found := <-ready:
		p.xds, p.admin = found[1], found[2]
	case <-ended:
		tb.Fatal("podway has ended before it was ready")
	}
	return p
}

// serveFake is serve on the first clusters of fake API servers.
func serveFake(tb testing.TB, servers *process, size scene.Size) *podway {
	tb.Helper()
	return serve(tb, size, servers.kubeconfig)
}

// get reads a page of the admin interface.
func (p *podway) get(tb testing.TB, page string) string {
	tb.Helper()
	response, err := http.Get("http://" + p.admin + page)
	require.NoError(tb, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(tb, err)
	return string(body)
}

// metric is the value of a series, by its name and labels as they are written.
func (p *podway) metric(tb testing.TB, series string) float64 {
	tb.Helper()
	_, rest, found := strings.Cut("\n"+p.get(tb, "/metrics"), "\n"+series+" ")
	if !found {
		return 0
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 64)
	require.NoError(tb, err)
	return value
}

// synced waits until all Pods are in force, and returns how long after its start podway had them.
func (p *podway) synced(tb testing.TB, endpoints int) time.Duration {
	tb.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(2 * time.Minute)
	want := fmt.Sprintf(" %d endpoints", endpoints)
	for {
		if strings.Contains(p.get(tb, "/readyz"), want) {
			return time.Since(p.begun)
		}
		select {
		case <-limit:
			tb.Fatalf("not synced: %s%s", p.get(tb, "/readyz"), p.get(tb, "/clusters"))
		case <-poll.C:
		}
	}
}

// live waits until so many clusters are.
func (p *podway) live(tb testing.TB, clusters int) {
	tb.Helper()
	p.until(tb, func() bool { return strings.Count(p.get(tb, "/clusters"), `"state": "Live"`) == clusters })
}

// quiet waits until podway has followed all that there was: nothing was published for a while.
func (p *podway) quiet(tb testing.TB) {
	tb.Helper()
	last, since := p.metric(tb, lateness+"_count"), time.Now()
	p.until(tb, func() bool {
		if now := p.metric(tb, lateness+"_count"); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 500*time.Millisecond
	})
}

func (p *podway) until(tb testing.TB, is func() bool) {
	tb.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(2 * time.Minute)
	for !is() {
		select {
		case <-limit:
			tb.Fatalf("it did not come to be: %s", p.get(tb, "/clusters"))
		case <-poll.C:
		}
	}
}

// histogram is how many observations were at most so much, by le in seconds.
type histogram map[float64]float64

const lateness = "podway_endpoints_event_to_publish_seconds"

func (p *podway) histogram(tb testing.TB) histogram {
	tb.Helper()
	h := histogram{}
	for line := range strings.Lines(p.get(tb, "/metrics")) {
		rest, ok := strings.CutPrefix(line, lateness+`_bucket{le="`)
		if !ok {
			continue
		}
		le, value, _ := strings.Cut(rest, `"} `)
		bound, err := strconv.ParseFloat(strings.Replace(le, "+Inf", "Inf", 1), 64)
		require.NoError(tb, err)
		count, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		require.NoError(tb, err)
		h[bound] = count
	}
	return h
}

// since is what came after before.
func (h histogram) since(before histogram) histogram {
	out := histogram{}
	for le, count := range h {
		out[le] = count - before[le]
	}
	return out
}

// atMost is the least bound, in milliseconds, that a share of the observations keep.
func (h histogram) atMost(share float64) float64 {
	all := h[math.Inf(1)]
	least := math.Inf(1)
	for le, count := range h {
		if count >= share*all && le < least {
			least = le
		}
	}
	return least * 1000
}

// within is which share of the observations took at most so many seconds.
func (h histogram) within(seconds float64) float64 { return h[seconds] / h[math.Inf(1)] }
