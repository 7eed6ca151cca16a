package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/podway/podway/demo"
)

// TestTrafficWebSocketGRPCAndHTTP2Pass through the same listener as all else.
func TestTrafficWebSocketGRPCAndHTTP2Pass(t *testing.T) {
	w := newWorld(t)
	w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	w.service(w.west, demo.ServiceConfig{Name: "h2c", AppProtocol: "kubernetes.io/h2c"}, 1)
	pods := w.service(w.west, demo.ServiceConfig{Name: "grpc", AppProtocol: "grpc"}, 2).Pods()
	w.write("all.yaml", tunnelYAML("app", members("east/app=100"))+routeYAML("app", "app.example", []string{"app"})+
		tunnelYAML("h2c", members("west/h2c=100"))+routeYAML("h2c", "h2c.example", []string{"h2c"})+
		tunnelYAML("grpc", members("west/grpc=100"))+routeYAML("grpc", "grpc.example", []string{"grpc"}))
	w.start()

	t.Run("the protocol toward the Pods is read off the Service", func(t *testing.T) {
		assert.Equal(t, "HTTP/1.1", w.get("app.example", "/").echo.Protocol)
		assert.Equal(t, "HTTP/2.0", w.get("h2c.example", "/").echo.Protocol)
	})

	t.Run("WebSocket", func(t *testing.T) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.http.String())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		const key = "dGhlIHNhbXBsZSBub25jZQ=="
		_, err = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: app.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", key)
		require.NoError(t, err)
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
		assert.Equal(t, demo.AcceptWebSocket(key), response.Header.Get("Sec-WebSocket-Accept"))
		for _, message := range []string{"there\n", "and back\n"} {
			_, err = conn.Write([]byte(message))
			require.NoError(t, err)
			line, err := reader.ReadString('\n')
			require.NoError(t, err)
			assert.Equal(t, message, line)
		}
	})

	t.Run("gRPC", func(t *testing.T) {
		client, err := grpc.NewClient("passthrough:///"+w.http.String(),
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("grpc.example"))
		require.NoError(t, err)
		defer func() { assert.NoError(t, client.Close()) }()
		health := healthpb.NewHealthClient(client)
		seen := map[string]bool{}
		for range 40 {
			var header metadata.MD
			answer, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.Header(&header))
			require.NoError(t, err)
			assert.Equal(t, healthpb.HealthCheckResponse_SERVING, answer.Status)
			seen[strings.Join(header.Get(demo.PodHeader), "")] = true
		}
		assert.Equal(t, map[string]bool{pods[0].ID(): true, pods[1].ID(): true}, seen, "each call is balanced, not each connection")
		_, err = health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "unknown"})
		assert.Equal(t, codes.NotFound, status.Code(err), "gRPC's own status passes: %v", err)
	})
}

// TestTrafficSickPodsAreAvoided has three ways: a retry, an active health check, and a passive one.
func TestTrafficSickPodsAreAvoided(t *testing.T) {
	w := newWorld(t)
	retry := w.service(w.east, demo.ServiceConfig{Name: "retry"}, 2).Pods()
	active := w.service(w.east, demo.ServiceConfig{Name: "active"}, 2).Pods()
	passive := w.service(w.east, demo.ServiceConfig{Name: "passive"}, 3).Pods()
	grpcPods := w.service(w.west, demo.ServiceConfig{Name: "grpc", AppProtocol: "grpc"}, 2).Pods()
	w.write("all.yaml", tunnelYAML("retry", members("east/retry=100"))+routeYAML("retry", "retry.example", []string{"retry"})+
		tunnelYAML("once", members("east/retry=100"), "retry: {attempts: 0}")+routeYAML("once", "once.example", []string{"once"})+
		tunnelYAML("active", members("east/active=100"),
			"healthCheck: {active: {path: /anything, interval: 100ms, timeout: 1m, unhealthyThreshold: 1}}")+
		routeYAML("active", "active.example", []string{"active"})+
		tunnelYAML("grpc", members("west/grpc=100"), "healthCheck: {active: {interval: 100ms, timeout: 1m, unhealthyThreshold: 1}}")+
		routeYAML("grpc", "grpc.example", []string{"grpc"})+
		tunnelYAML("passive", members("east/passive=100"),
			"healthCheck: {passive: {consecutiveErrors: 3, interval: 100ms, ejectionTime: 3s}}")+
		routeYAML("passive", "passive.example", []string{"passive"}))
	w.start()
	w.awaitHosts("retry", 100, retry...)
	// knows waits until Envoy's workers do not choose a Pod any more: they learn of its health after the admin interface.
	knows := func(host string, without *demo.Pod) {
		t.Helper()
		clean := 0
		eventually(t, "requests that avoid "+without.Name, func() bool {
			if clean++; w.load(host, 4, 0).Run(t.Context(), 20).Pods[without.ID()] > 0 {
				clean = 0
			}
			return clean == 3
		})
	}
	healthy := func(tunnel string) int {
		count := 0
		for _, host := range w.hosts(tunnel) {
			if host.Healthy {
				count++
			}
		}
		return count
	}

	t.Run("a Pod that refuses connections costs no request", func(t *testing.T) {
		retry[0].Kill()
		tally := w.load("retry.example", 4, 0).Run(t.Context(), 200)
		require.NoError(t, tally.Err())
		assert.Equal(t, map[string]int{retry[1].ID(): 200}, tally.Pods)
		tally = w.load("once.example", 4, 0).Run(t.Context(), 100)
		assert.Positive(t, tally.Status[http.StatusServiceUnavailable], "without retries it does")
	})

	t.Run("active", func(t *testing.T) {
		eventually(t, "all healthy", func() bool { return healthy("active") == 2 })
		active[0].Answer(http.StatusInternalServerError)
		eventually(t, "one unhealthy", func() bool { return healthy("active") == 1 })
		knows("active.example", active[0])
		tally := w.load("active.example", 4, 0).Run(t.Context(), 200)
		require.NoError(t, tally.Err())
		assert.Equal(t, map[string]int{active[1].ID(): 200}, tally.Pods)
		active[0].Answer(0)
		eventually(t, "all healthy again", func() bool { return healthy("active") == 2 })
		eventually(t, "requests to both", func() bool {
			tally = w.load("active.example", 4, 0).Run(t.Context(), 200)
			require.NoError(t, tally.Err())
			return len(tally.Pods) == 2
		})
	})

	t.Run("active, by gRPC", func(t *testing.T) {
		eventually(t, "all healthy", func() bool { return healthy("grpc") == 2 })
		grpcPods[0].Answer(http.StatusInternalServerError)
		eventually(t, "one unhealthy", func() bool { return healthy("grpc") == 1 })
		grpcPods[0].Answer(0)
		eventually(t, "all healthy again", func() bool { return healthy("grpc") == 2 })
	})

	t.Run("passive", func(t *testing.T) {
		load := w.load("passive.example", 4, 0)
		eventually(t, "requests while it is ejected", func() bool { // each time for longer
			passive[0].Answer(http.StatusBadGateway)
			eventually(t, "ejected", func() bool {
				load.Run(t.Context(), 10)
				return healthy("passive") == 2
			})
			knows("passive.example", passive[0])
			passive[0].Answer(0)
			tally := load.Run(t.Context(), 200)
			require.NoError(t, tally.Err())
			if healthy("passive") > 2 {
				return false
			}
			assert.Zero(t, tally.Pods[passive[0].ID()], "healed, but not yet back")
			return true
		})
		begun := time.Now()
		eventually(t, "back", func() bool { return healthy("passive") == 3 })
		t.Logf("back after %s", time.Since(begun))
	})
}

// TestTrafficAccessLogSaysWhoAnswered reads Envoy's standard output.
func TestTrafficAccessLogSaysWhoAnswered(t *testing.T) {
	w := newWorld(t)
	pod := w.service(w.east, demo.ServiceConfig{Name: "app"}, 1).Pods()[0]
	w.service(w.west, demo.ServiceConfig{Name: "empty"}, 0)
	w.write("all.yaml", tunnelYAML("app", members("east/app=100"))+routeYAML("app", "app.example", []string{"app"})+
		tunnelYAML("empty", members("west/empty=100"))+routeYAML("empty", "empty.example", []string{"empty"}))
	w.start()

	got := w.get("app.example", "/served")
	require.Equal(t, http.StatusOK, got.status)
	assert.Equal(t, "east/default/"+pod.Name, got.header.Get("X-Podway-Pod"))
	require.Equal(t, http.StatusServiceUnavailable, w.get("empty.example", "/unserved").status)

	line := w.accessLog("/served")
	t.Logf("%v", line)
	for key, want := range map[string]any{
		"tunnel": "edge/app", "cluster": "east", "namespace": "default", "pod": pod.Name,
	} {
		assert.Equal(t, want, line[key], key)
	}
	line = w.accessLog("/unserved")
	assert.Equal(t, "edge/empty", line["tunnel"])
	assert.Nil(t, line["pod"])
}

// accessLog waits for the line of a path.
func (w *world) accessLog(path string) map[string]any {
	w.Helper()
	var line map[string]any
	eventually(w.T, "a line for "+path, func() bool {
		content, err := os.ReadFile(filepath.Join(w.logs, "stdout.log"))
		require.NoError(w, err)
		for text := range strings.Lines(string(content)) {
			if strings.HasSuffix(text, "\n") && strings.Contains(text, `"`+path+`"`) {
				line = nil
				require.NoError(w, json.Unmarshal([]byte(text), &line), text)
				return true
			}
		}
		return false
	})
	return line
}
