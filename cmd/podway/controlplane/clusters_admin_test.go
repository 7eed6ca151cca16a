package controlplane

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/watcher/fleet"
)

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
	b.state.Config.MemberClusters["east"].Spec.TrafficPolicy = v1alpha1.TrafficPolicyDrained
	answer := httptest.NewRecorder()
	newClusterBoard(t, b).write(answer, httptest.NewRequest(http.MethodGet, "/clusters", nil))
	require.Equal(t, http.StatusOK, answer.Code)
	require.Contains(t, answer.Body.String(), `"name": "east"`)
	require.Contains(t, answer.Body.String(), `"source": "Objects"`)
	require.Contains(t, answer.Body.String(), `"state": "Live"`)
	require.Equal(t, 1, strings.Count(answer.Body.String(), `"drained": true`), "a person wonders why none of its Pods is asked")
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
