package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/podway/podway/api"
)

// The limits of the admin server: it answers small requests of people and scrapers.
const (
	adminReadTimeout  = 5 * time.Second
	adminWriteTimeout = 90 * time.Second // a CPU profile of pprof takes 30 s by default
	adminIdleTimeout  = 2 * time.Minute
	adminHeaderBytes  = 16 << 10
	adminEndTimeout   = 3 * time.Second
)

// ErrorHeader marks an answer of the admin interface that is an error in words for the person who asked.
const ErrorHeader = "X-Podway-Error"

// readiness is why podway is not ready, for whoever asks.
type readiness struct {
	pipeline *pipeline
	serving  atomic.Bool // the xDS port is open
	ending   atomic.Bool
}

// reasons returns why podway is not ready; none where it is.
func (r *readiness) reasons() []string {
	var reasons []string
	if r.ending.Load() {
		reasons = append(reasons, "ending")
	}
	if r.pipeline.state.Load() == nil {
		reasons = append(reasons, "the configuration has not been read whole yet")
	} else if !r.serving.Load() {
		reasons = append(reasons, "the xDS port is not open yet")
	}
	return reasons
}

// adminHandler answers for the state of a running serve.
func adminHandler(ready *readiness, board *problemBoard, clusters *clusterBoard, envoys *envoyBoard, registry *prometheus.Registry, withPprof bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { writeReady(w, ready) })
	mux.HandleFunc("GET /problems", func(w http.ResponseWriter, _ *http.Request) { writeProblems(w, board.all()) })
	mux.HandleFunc("GET /clusters", clusters.write)
	mux.HandleFunc("POST /clusters/{name}/release", clusters.release)
	mux.HandleFunc("GET /envoys", envoys.write)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	paths := []string{"/healthz", "/readyz", "/problems", "/clusters", "/envoys", "/metrics"}
	if withPprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
		paths = append(paths, "/debug/pprof/")
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, strings.Join(paths, "\n")+"\n")
	})
	return mux
}

func writeReady(w http.ResponseWriter, ready *readiness) {
	if reasons := ready.reasons(); len(reasons) > 0 {
		writeText(w, http.StatusServiceUnavailable, "not ready: "+strings.Join(reasons, "; ")+"\n")
		return
	}
	state := ready.pipeline.state.Load()
	text := fmt.Sprintf("ready: %d Gateways, %d tunnels, %d endpoints\n", state.Gateways, state.Tunnels, state.Endpoints)
	if len(state.Unsynced) > 0 {
		text += "nothing is known yet of: " + strings.Join(state.Unsynced, ", ") + "\n"
	}
	writeText(w, http.StatusOK, text)
}

func writeProblems(w http.ResponseWriter, problems []api.Problem) {
	data, err := json.MarshalIndent(problems, "", "  ")
	writeJSON(w, "the problems", data, err)
}

// writeJSON answers with what was encoded, or that it could not be. what names it.
func writeJSON(w http.ResponseWriter, what string, data []byte, err error) {
	if err != nil {
		http.Error(w, "encoding "+what+": "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(data, '\n')) // a client that has gone is nobody's problem
}

// writeError answers a request for what cannot be done.
func writeError(w http.ResponseWriter, status int, message string) {
	w.Header().Set(ErrorHeader, "1")
	http.Error(w, message, status)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// runAdmin serves the handler until the context ends.
func runAdmin(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: adminReadTimeout,
		ReadTimeout:       adminReadTimeout,
		WriteTimeout:      adminWriteTimeout,
		IdleTimeout:       adminIdleTimeout,
		MaxHeaderBytes:    adminHeaderBytes,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving the admin interface: %w", err)
	case <-ctx.Done():
	}
	endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminEndTimeout)
	defer cancel()
	if err := server.Shutdown(endCtx); err != nil {
		_ = server.Close() // whoever is still reading after the time-out is cut off
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the admin interface: %w", err)
	}
	return nil
}
