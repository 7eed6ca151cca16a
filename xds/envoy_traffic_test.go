package xds

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/stretchr/testify/require"
)

// backend answers with its name.
func backend(t *testing.T, name string) int {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().(*net.TCPAddr).Port
}

// load sends requests until it is stopped, and counts those that did not answer 200.
type load struct {
	*testing.T
	url      string
	client   *http.Client
	total    atomic.Int64
	failed   atomic.Int64
	mu       sync.Mutex
	failures []string
	stop     func()
}

func newLoad(t *testing.T, url string, workers int) *load {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	l := &load{T: t, url: url, client: &http.Client{Transport: transport, Timeout: envoyPatience}}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for ctx.Err() == nil {
				l.request()
			}
		})
	}
	l.stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
		transport.CloseIdleConnections()
	})
	t.Cleanup(l.stop)
	return l
}

func (l *load) request() {
	status, body := get(l.client, l.url)
	l.total.Add(1)
	if status != http.StatusOK {
		l.failed.Add(1)
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.failures) < 10 {
			l.failures = append(l.failures, fmt.Sprintf("%d %s", status, body))
		}
	}
}

func (l *load) wantNoFailures() {
	l.Helper()
	eventually(l.T, func() bool { return l.total.Load() >= 100 }, "there is load")
	l.stop()
	require.Zero(l, l.failed.Load(), "of %d requests: %v", l.total.Load(), l.failures)
	l.Logf("%d requests, none failed", l.total.Load())
}

func get(client *http.Client, url string) (int, string) {
	response, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

func answers(t *testing.T, url, body string) time.Duration {
	t.Helper()
	start := time.Now()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: envoyPatience}
	require.Eventually(t, func() bool {
		status, got := get(client, url)
		return status == http.StatusOK && got == body
	}, envoyPatience, time.Millisecond, "%s answers %q", url, body)
	return time.Since(start)
}

func bothVariants(t *testing.T, test func(*testing.T, corev3.ApiConfigSource_ApiType)) {
	t.Helper()
	t.Run("Delta", func(t *testing.T) { test(t, corev3.ApiConfigSource_DELTA_GRPC) })
	t.Run("StateOfTheWorld", func(t *testing.T) { test(t, corev3.ApiConfigSource_GRPC) })
}
