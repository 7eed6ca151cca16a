package controlplane

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/podway/podway/watcher"
)

func TestReadyzSaysWhyItIsNotReady(t *testing.T) {
	b := newBench(t)
	board := newProblemBoard(slog.New(slog.DiscardHandler))
	ready := &readiness{pipeline: pipelineTo(&recorder{}, board, b.pipeline.log)}
	handler := adminHandler(ready, board, nil, nil, newRegistry(ready, board), false)
	check := func(status int, body string) {
		t.Helper()
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if response.Code != status || response.Body.String() != body {
			t.Errorf("readyz: %d %q, want %d %q", response.Code, response.Body, status, body)
		}
	}
	check(http.StatusServiceUnavailable, "not ready: the configuration has not been read whole yet\n")
	ready.pipeline.apply(t.Context(), watcher.Batch{Config: b.state.Config}, b.live)
	check(http.StatusServiceUnavailable, "not ready: the xDS port is not open yet\n")
	ready.serving.Store(true)
	check(http.StatusOK, "ready: 1 Gateways, 2 tunnels, 4 endpoints\n")
	ready.ending.Store(true)
	check(http.StatusServiceUnavailable, "not ready: ending\n")
}

func TestAdminAnswersOnlyWhatItShould(t *testing.T) {
	b := newBench(t)
	ready := &readiness{pipeline: b.pipeline}
	for _, test := range []struct {
		pprof        bool
		method, path string
		status       int
		body         string
	}{
		{false, http.MethodGet, "/", http.StatusOK, "/problems"},
		{false, http.MethodGet, "/nonsense", http.StatusNotFound, ""},
		{false, http.MethodPost, "/problems", http.StatusMethodNotAllowed, ""},
		{false, http.MethodGet, "/debug/pprof/", http.StatusNotFound, ""},
		{true, http.MethodGet, "/debug/pprof/", http.StatusOK, "goroutine"},
		{true, http.MethodGet, "/debug/pprof/heap?debug=1", http.StatusOK, "heap profile"},
		{false, http.MethodGet, "/metrics", http.StatusOK, "podway_config_generation 1\n"},
		{false, http.MethodGet, "/metrics", http.StatusOK, "podway_endpoints 4\n"},
		{false, http.MethodGet, "/metrics", http.StatusOK, "go_goroutines"},
	} {
		handler := adminHandler(ready, b.board, nil, nil, newRegistry(ready, b.board), test.pprof)
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequest(test.method, test.path, nil))
		if response.Code != test.status || !strings.Contains(response.Body.String(), test.body) {
			t.Errorf("%s %s: %d %s", test.method, test.path, response.Code, response.Body)
		}
	}
}
