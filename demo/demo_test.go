package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is longer than anything takes here, on however busy a machine.
const patience = 2 * time.Minute

func newTestCluster(t *testing.T, grace time.Duration) (*Cluster, *Service) {
	t.Helper()
	cluster := NewCluster(ClusterConfig{Name: "east", Directory: t.TempDir(), First: netip.MustParseAddr("127.1.250.1"), Grace: grace})
	t.Cleanup(cluster.Close)
	service, err := cluster.NewService(ServiceConfig{Name: "httpbin"})
	require.NoError(t, err)
	return cluster, service
}

func TestBackendEchoesWhatItReceived(t *testing.T) {
	_, service := newTestCluster(t, 0)
	_, err := service.Scale("v2", 1)
	require.NoError(t, err)
	pod := service.Pods()[0]

	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/anything?x=1", pod.Address()), nil)
	require.NoError(t, err)
	request.Host = "api.example.com"
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var echo Echo
	require.NoError(t, json.NewDecoder(response.Body).Decode(&echo))
	assert.Equal(t, "api.example.com", echo.Host)
	assert.Equal(t, "/anything?x=1", echo.URL)
	assert.Equal(t, "v2", echo.Version)
	assert.Equal(t, pod.Name, echo.Pod)
	assert.Nil(t, echo.TLS)
	assert.Equal(t, "east/default/"+pod.Name, response.Header.Get(PodHeader))
}

func TestBackendSpeaksWebSocketAndGRPC(t *testing.T) {
	backend, err := StartBackend(BackendConfig{Name: "a", Address: netip.MustParseAddrPort("127.0.0.1:0")})
	require.NoError(t, err)
	defer backend.Kill()

	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", backend.Address().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nhello\n")
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	require.NoError(t, err)
	defer response.Body.Close()
	assert.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	assert.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", response.Header.Get("Sec-WebSocket-Accept"), "the example of RFC 6455")
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "hello\n", line)

	client, err := grpc.NewClient("passthrough:///"+backend.Address().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { assert.NoError(t, client.Close()) }()
	answer, err := healthpb.NewHealthClient(client).Check(t.Context(), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	assert.Equal(t, healthpb.HealthCheckResponse_SERVING, answer.Status)
}

func TestPodsComeAndGoInTheFile(t *testing.T) {
	cluster, service := newTestCluster(t, time.Hour)
	path := filepath.Join(cluster.cfg.Directory, "httpbin.yaml")
	_, err := service.Scale("v1", 2)
	require.NoError(t, err)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(content), "kubernetes.io/service-name: httpbin")
	assert.Contains(t, string(content), "version: v1")
	pods := service.Pods()
	assert.NotEqual(t, pods[0].Address(), pods[1].Address())

	_, err = service.Remove(pods[0])
	require.NoError(t, err)
	content, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(content), "terminating: true", "a Pod that is to go still answers for a while")
	assert.Len(t, service.Pods(), 1)

	cluster, service = newTestCluster(t, 10*time.Millisecond)
	path = filepath.Join(cluster.cfg.Directory, "httpbin.yaml")
	_, err = service.Scale("v1", 2)
	require.NoError(t, err)
	pods = service.Pods()
	_, err = service.Remove(pods[0])
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(path)
		return err == nil && !bytes.Contains(content, []byte(pods[0].Name))
	}, patience, 5*time.Millisecond)
	entries, err := os.ReadDir(cluster.cfg.Directory)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "no temporary file stays")
}

func TestLoadCountsPodsAndFailures(t *testing.T) {
	_, service := newTestCluster(t, 0)
	_, err := service.Scale("v1", 1)
	require.NoError(t, err)
	pod := service.Pods()[0]
	url := fmt.Sprintf("http://%s/", pod.Address())

	tally := Load{URL: url, Clients: 3}.Run(t.Context(), 50)
	require.NoError(t, tally.Err())
	assert.Equal(t, 50, tally.Requests)
	assert.Equal(t, map[string]int{pod.ID(): 50}, tally.Pods)

	running := Load{URL: url, Clients: 2, Rate: 500}.Start(t.Context())
	require.Eventually(t, func() bool { return running.Tally().Requests > 5 }, patience, time.Millisecond)
	pod.Answer(http.StatusTeapot)
	require.Eventually(t, func() bool { return running.Tally().Failed > 0 }, patience, time.Millisecond)
	tally = running.Stop()
	assert.Positive(t, tally.Status[http.StatusTeapot])
	assert.ErrorContains(t, tally.Err(), "status 418")

	pod.Kill()
	tally = Load{URL: url}.Run(t.Context(), 1)
	assert.ErrorContains(t, tally.Err(), "1 of 1 requests failed: 1 times: connection refused")
}

func TestSharesAreJudgedByABinomialDraw(t *testing.T) {
	weights := map[string]int{"a": 100, "b": 100, "c": 1}
	assert.NoError(t, CheckShares(Shares(weights, map[string]int{"a": 1000, "b": 1080, "c": 3})))
	assert.ErrorContains(t, CheckShares(Shares(weights, map[string]int{"a": 900, "b": 1200, "c": 3})),
		"b answered 1200 of 2103 requests, but is due 1046: +6.7 standard deviations")
	assert.ErrorContains(t, CheckShares(Shares(weights, map[string]int{"a": 10, "d": 1})), "d answered 1 requests, but is due none")
}

func TestStopFinishesRequests(t *testing.T) {
	backend, err := StartBackend(BackendConfig{Name: "a", Address: netip.MustParseAddrPort("127.0.0.1:0")})
	require.NoError(t, err)
	running := Load{URL: fmt.Sprintf("http://%s/delay/200", backend.Address())}.start(t.Context(), 1)
	require.Eventually(t, func() bool { return backend.Requests() == 1 }, patience, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, backend.Stop(ctx))
	assert.NoError(t, running.Wait().Err())
}
