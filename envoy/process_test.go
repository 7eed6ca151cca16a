package envoy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func idle(t *testing.T) *bootstrapv3.Bootstrap {
	t.Helper()
	b, err := Static(BootstrapConfig{Gateway: edge, NodeID: "envoy-0", AdminAddress: "127.0.0.1:0"}, nil)
	require.NoError(t, err)
	return b
}

func TestProcessStartsAnswersAndStops(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "envoy")
	p, err := Start(t.Context(), StartConfig{Bootstrap: idle(t), Directory: directory, Concurrency: 1})
	require.NoError(t, err)
	require.NoError(t, p.WaitReady(t.Context()))

	info, err := p.Admin().ServerInfo(t.Context())
	require.NoError(t, err)
	require.Contains(t, info.Version, "/"+Version+"/")
	require.Equal(t, "edge/public", info.Node.Cluster)
	require.EqualValues(t, 1, info.CommandLineOptions.Concurrency)

	require.NoError(t, p.Stop())
	require.NoError(t, p.Stop(), "a second time is no error")
	<-p.Done()
	require.ErrorContains(t, p.Admin().Ready(t.Context()), "asking Envoy's admin interface")
	log, err := os.ReadFile(filepath.Join(directory, "envoy.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "starting main dispatch loop")
	mode, err := os.Stat(filepath.Join(directory, "envoy.yaml"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), mode.Mode().Perm())
}

func TestProcessEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, StartConfig{Bootstrap: idle(t), Concurrency: 1})
	require.NoError(t, err)
	cancel()
	<-p.Done()
	require.ErrorContains(t, p.exited(), "envoy ended with signal: killed")
	require.ErrorContains(t, p.WaitReady(t.Context()), "envoy ended with signal: killed")
}

func TestStartSaysWhyEnvoyRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	b := idle(t)
	b.Admin.Address = socketAddress("127.0.0.1", uint16(taken.Addr().(*net.TCPAddr).Port))
	_, err = Start(t.Context(), StartConfig{Bootstrap: b})
	require.ErrorContains(t, err, "envoy ended with exit status 1:\n  ")
	require.ErrorContains(t, err, "cannot bind '"+taken.Addr().String()+"': Address already in use")
}

func TestStartNeedsABinary(t *testing.T) {
	_, err := Start(t.Context(), StartConfig{Path: filepath.Join(t.TempDir(), "envoy"), Bootstrap: idle(t)})
	require.ErrorContains(t, err, "starting Envoy: ")
	require.ErrorContains(t, err, "no such file or directory")
}

// writer collects what a process writes, for a test that reads at the same time.
type writer struct {
	mu   sync.Mutex
	text []byte
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	return len(p), nil
}

func (w *writer) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}

func TestWaitReadyTellsOfAnEnvoyWithoutItsControlPlane(t *testing.T) {
	// Nobody else gets its port.
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go refuse(nobody, nil)
	defer nobody.Close()

	b, err := Bootstrap(BootstrapConfig{Gateway: edge, XDSAddress: nobody.Addr().String(), AdminAddress: "127.0.0.1:0"})
	require.NoError(t, err)
	log := &writer{}
	p, err := Start(t.Context(), StartConfig{Bootstrap: b, Concurrency: 1, Stderr: log})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Stop()) }()

	// On a busy machine it may not answer in time for that.
	for within := time.Second; within <= time.Minute; within *= 2 {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		err = p.WaitReady(ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		if strings.Contains(err.Error(), "PRE_INITIALIZING") {
			break
		}
	}
	require.ErrorContains(t, err, "PRE_INITIALIZING")
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "starting main dispatch loop") }, time.Minute, time.Millisecond)
}

// TestEnvoyComesBackWithinSeconds holds the bootstrap's bound on the pause
// between attempts to reach a control plane.
func TestEnvoyComesBackWithinSeconds(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	attempts := make(chan time.Time, 100)
	go refuse(server, attempts)
	defer server.Close()

	b, err := Bootstrap(BootstrapConfig{Gateway: edge, XDSAddress: server.Addr().String(), AdminAddress: "127.0.0.1:0"})
	require.NoError(t, err)
	p, err := Start(t.Context(), StartConfig{Bootstrap: b, Concurrency: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Stop()) }()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for range 6 {
		select {
		case <-attempts:
		case <-ctx.Done():
			t.Fatal("fewer than 6 attempts in 20 s")
		}
	}
}

// refuse closes every connection at once, and notes when it came.
func refuse(server net.Listener, attempts chan<- time.Time) {
	for {
		connection, err := server.Accept()
		if err != nil {
			return
		}
		_ = connection.Close()
		select {
		case attempts <- time.Now():
		default:
		}
	}
}

func TestValidateTellsWhatEnvoySays(t *testing.T) {
	b := idle(t)
	b.OverloadManager.Actions[0].Triggers[0].Name = "no.such.monitor"
	err := Validate(t.Context(), "", b)
	require.ErrorContains(t, err, "envoy refuses the configuration:\n  ")
	require.ErrorContains(t, err, "no.such.monitor")
}

func TestDrainMakesAnEnvoyUnready(t *testing.T) {
	p, err := Start(t.Context(), StartConfig{Bootstrap: idle(t), Concurrency: 1, ExtraArgs: []string{"--drain-time-s", "1"}})
	require.NoError(t, err)
	defer p.Kill()
	require.NoError(t, p.WaitReady(t.Context()))
	require.NoError(t, p.Admin().Drain(t.Context()))
	stats, err := p.Admin().Stats(t.Context(), `^server\.live$`)
	require.NoError(t, err)
	require.Contains(t, stats, "server.live")
	require.Len(t, stats, 1)
}

func TestAdminQuotesAnAnswerThatIsNoSuccess(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "INITIALIZING", http.StatusServiceUnavailable)
	}))
	defer server.Close()
	require.EqualError(t, NewAdmin(server.Listener.Addr().String()).Ready(t.Context()), "envoy's /ready answered 503: INITIALIZING")
}
