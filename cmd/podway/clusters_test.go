package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/watcher/fleet"
)

func TestSpansAreSaidInTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 60 * time.Second: "1m", 90 * time.Second: "1m30s", 25 * time.Hour: "1d1h", 24 * time.Hour: "1d",
		-time.Second: "0s", 3*time.Hour + 30*time.Second: "3h",
	} {
		require.Equal(t, want, span(d))
	}
}

func TestClustersTable(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	rows := clusterRows([]clusterReport{
		{Status: fleet.Status{
			Name: "east", State: fleet.Live, Since: now.Add(-time.Hour), LastEvent: now.Add(-3 * time.Second), Services: 12, Pods: 120,
			Server: "https://east.example", CredentialExpires: now.Add(36 * time.Hour),
		}, Holds: []holdReport{{Tunnel: "edge/web", Held: 20}}},
		{Status: fleet.Status{
			Name: "west", State: fleet.Stale, Since: now.Add(-90 * time.Second), Reason: "connection refused", Server: "https://west.example",
			Remembered: now.Add(-2 * time.Hour), Candidate: "no answer in time",
		}},
		{Status: fleet.Status{Name: "files", State: fleet.Live, Since: now}},
	}, now)
	require.Equal(t, [][]string{
		{"CLUSTER", "STATE", "SINCE", "LAST EVENT", "SERVICES", "PODS", "CREDENTIAL ENDS", "REMARKS"},
		{"east", "Live", "1h ago", "3s ago", "12", "120", "in 1d12h", "20 Pods held in tunnel edge/web"},
		{"west", "Stale", "1m30s ago", "-", "0", "0", "never", "connection refused; as remembered at 2026-05-01T10:00:00Z; " +
			"a changed credential or scope is not in force: no answer in time"},
		{"files", "Live", "0s ago", "-", "0", "0", "-", "-"},
	}, rows)
}

// newClusterBoard is that of the bench's configuration.
func newClusterBoard(t *testing.T, b *bench) *clusterBoard {
	t.Helper()
	var config atomic.Pointer[snapshot.Config]
	config.Store(b.state.Config)
	return &clusterBoard{
		fleet: fleet.New(fleet.Config{Lanes: watcher.NewLanes(nil)}), brake: brake.New(brake.Config{}), config: &config,
		live: func(key pods.ServiceKey) *pods.Set { return b.state.Pods[key] },
	}
}

func TestAdminListsClustersOfFilesToo(t *testing.T) {
	b := newBench(t)
	answer := httptest.NewRecorder()
	newClusterBoard(t, b).write(answer, httptest.NewRequest(http.MethodGet, "/clusters", nil))
	require.Equal(t, http.StatusOK, answer.Code)
	require.Contains(t, answer.Body.String(), `"name": "east"`)
	require.Contains(t, answer.Body.String(), `"source": "Objects"`)
	require.Contains(t, answer.Body.String(), `"state": "Live"`)
}

func TestReleaseIsNotForBrowsersNorForUnknownClusters(t *testing.T) {
	b := newBench(t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /clusters/{name}/release", newClusterBoard(t, b).release)
	for _, test := range []struct {
		name, header string
		status       int
		want         string
	}{
		{name: "east", status: http.StatusOK, want: `{"pods":0}`},
		{name: "north", status: http.StatusNotFound, want: `there is no MemberCluster "north"`},
		{name: "east", header: "Origin", status: http.StatusForbidden, want: "not for browsers: use podway clusters release"},
		{name: "east", header: "Sec-Fetch-Site", status: http.StatusForbidden, want: "not for browsers: use podway clusters release"},
	} {
		request := httptest.NewRequest(http.MethodPost, "/clusters/"+test.name+"/release", nil)
		if test.header != "" {
			request.Header.Set(test.header, "https://evil.example")
		}
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, request)
		require.Equal(t, test.status, answer.Code)
		require.Equal(t, test.want, strings.TrimSpace(answer.Body.String()))
	}
}
