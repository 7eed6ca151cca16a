package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/podway/podway/api"
	"github.com/podway/podway/demo"
	"github.com/podway/podway/test/locked"
	"github.com/podway/podway/xds"
)

// TestEnvoysTellsOfARealEnvoy has a real Envoy reject one listener.
func TestEnvoysTellsOfARealEnvoy(t *testing.T) {
	w := newWorld(t)
	w.service(w.east, demo.ServiceConfig{Name: "app"}, 2)
	w.write("app.yaml", tunnelYAML("a", members("east/app=50"))+routeYAML("app", "app.example", []string{"a"}))
	w.start()
	w.awaitStatus("app.example", "/", 200)
	podway := func(args ...string) (string, int) {
		var out, stderr bytes.Buffer
		code := run(t.Context(), append(args, "--admin-address", w.adminAddress), nil, &out, &stderr)
		return out.String() + stderr.String(), code
	}
	var out string
	eventually(t, "the Envoy being current", func() bool {
		var code int
		out, code = podway("envoys")
		return code == exitOK && strings.Contains(out, "all current")
	})
	assert.Regexp(t, `^NODE +GATEWAY +ENVOY +CONNECTED +SDS +CDS +EDS +LDS +RDS +REJECTED
test +edge/front +1\.40\.0 +20\S+Z +- +current +current +current +current +0
1 Envoy, all current
$`, out)

	watched, endWatch := &locked.Buffer{}, make(chan int, 1)
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		endWatch <- run(watching, []string{"envoys", "--watch", "--admin-address", w.adminAddress}, nil, watched, watched)
	}()
	eventually(t, "the first picture", func() bool { return strings.Contains(watched.String(), "all current") })

	taken, err := net.Listen("tcp", net.JoinHostPort(w.http.Addr().String(), "0"))
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	w.write("gateway.yaml", w.gatewayYAML("  - {name: taken, protocol: HTTP, port: "+port+"}\n"))
	name := "gateway/edge/front/" + port
	eventually(t, "the rejection, and what is to blame", func() bool {
		var code int
		out, code = podway("envoys", "test")
		return code == exitFailed && strings.Contains(out, "rejected lds") && strings.Contains(out, "spec.listeners")
	})
	assert.Regexp(t, `(?s)^node +test
Gateway +edge/front
Envoy +1\.40\.0, delta
address +127\.0\.0\.1:\d+
connected +\S+Z +\S+

TYPE +WANTED +CURRENT +BEHIND +REMOVALS +REJECTED +HELD +BEHIND SINCE +FOR +LAST ACK
cds .*
lds +2 +1 +0 +0 +1 +0 .*
rejected lds `+name+`, version [\w-]{10}, at \S+Z: Gateway edge/front spec\.listeners: Error adding/updating listener.*[Aa]ddress already in use
$`, out)
	eventually(t, "the Problem of what is to blame", func() bool {
		out, _ = podway("problems")
		return strings.Contains(out, "spec.listeners")
	})
	assert.Regexp(t, `gateway\.yaml:\d+: error RejectedByEnvoy: Gateway edge/front spec\.listeners: an Envoy of the Gateway edge/front \(test\) rejects `+name+`: .*; change what the message names`, out)
	eventually(t, "the second picture", func() bool { return strings.Contains(watched.String(), "1 Envoy, 1 with rejections") })
	stop()
	assert.Equal(t, exitOK, <-endWatch)
	assert.Equal(t, 1, strings.Count(watched.String(), "all current"), "nothing is printed where nothing changed:\n%s", watched)

	assert.Equal(t, map[string]string{
		"Cluster tunnel/edge/a": "SYNCED", "ClusterLoadAssignment tunnel/edge/a": "SYNCED", "Listener " + name: "ERROR",
		"Listener gateway/edge/front/" + portOf(w.http): "SYNCED", "RouteConfiguration gateway/edge/front/" + portOf(w.http): "SYNCED",
	}, statusOf(t, w.xdsAddress))
	w.awaitStatus("app.example", "/", 200)
}

// statusOf asks the xDS port itself.
func statusOf(t *testing.T, address string) map[string]string {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	response, err := statusv3.NewClientStatusDiscoveryServiceClient(conn).FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{})
	require.NoError(t, err)
	require.Len(t, response.GetConfig(), 1)
	require.Equal(t, "test", response.GetConfig()[0].GetNode().GetId())
	all := map[string]string{}
	for _, c := range response.GetConfig()[0].GetGenericXdsConfigs() {
		kind := c.GetTypeUrl()[strings.LastIndex(c.GetTypeUrl(), ".")+1:]
		all[kind+" "+c.GetName()] = c.GetConfigStatus().String()
	}
	return all
}

// someEnvoys are so many that are current, after one of each kind of trouble.
func someEnvoys(quiet int, now time.Time) []xds.StreamStatus {
	current := xds.TypeStatus{Type: resource.ClusterType, Wanted: 2, Current: 2, LastACK: now.Add(-time.Minute)}
	envoy := func(node string, types ...xds.TypeStatus) xds.StreamStatus {
		return xds.StreamStatus{Node: node, Gateway: "edge/front", Known: true, Version: "1.40.0", Variant: "delta", Address: "192.0.2.7:41000", Connected: now.Add(-2 * time.Hour), Types: types}
	}
	var all []xds.StreamStatus
	for i := range quiet {
		all = append(all, envoy(fmt.Sprintf("a%04d", i), current))
	}
	lost := envoy("lost\x1b[2J", xds.TypeStatus{Type: resource.ListenerType})
	lost.Gateway, lost.Known, lost.Version = "edge/none", false, ""
	return append(all,
		envoy("late", current, xds.TypeStatus{Type: resource.EndpointType, Wanted: 5, Current: 1, Behind: 2, Withheld: 2, Leaving: 1, BehindSince: now.Add(-41 * time.Second)}),
		envoy("busy", xds.TypeStatus{Type: resource.EndpointType, Wanted: 5, Current: 4, Behind: 1, BehindSince: now.Add(-time.Second)}),
		envoy("picky", xds.TypeStatus{Type: resource.RouteType, Wanted: 3, Declined: 3, Rejected: []xds.RejectedStatus{
			{Name: "r1", Version: "v1", Message: "bad\nthing", At: now, Object: api.ObjectRef{Kind: "HTTPRoute", Namespace: "edge", Name: "x"}, Field: "spec.rules[1]"},
			{Name: "r2", Version: "v2"},
		}}),
		lost,
	)
}

func rendered(t *testing.T, o envoysOptions, envoys []xds.StreamStatus, now time.Time) string {
	t.Helper()
	if o.format == nil {
		format := outputTable
		o.format = &format
	}
	text, err := o.render(envoys, ages(now))
	require.NoError(t, err)
	return string(text)
}

func TestEnvoysTableTellsTroubleFirstAndIsBounded(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	assert.Equal(t, `NODE       GATEWAY                  ENVOY    CONNECTED              SDS   CDS       EDS                    LDS       RDS          REJECTED
late       edge/front               1.40.0   2026-01-02T13:00:00Z   -     current   3 behind 41s, 2 held   -         -            0
busy       edge/front               1.40.0   2026-01-02T13:00:00Z   -     -         1 behind 1s            -         -            0
picky      edge/front               1.40.0   2026-01-02T13:00:00Z   -     -         -                      -         3 rejected   3
lost [2J   edge/none (not served)   -        2026-01-02T13:00:00Z   -     -         -                      current   -            0
a0000      edge/front               1.40.0   2026-01-02T13:00:00Z   -     current   -                      -         -            0
… and 999 more: --rows 0 prints all
1004 Envoys, 2 behind, 1 with rejections, 1 of a Gateway that is not served
`, rendered(t, envoysOptions{rows: 5}, someEnvoys(1000, now), now))
	assert.Equal(t, 1006, strings.Count(rendered(t, envoysOptions{}, someEnvoys(1000, now), now), "\n"))
	assert.Equal(t, 3, countTroubled(someEnvoys(1000, now), now), "an Envoy that is behind for a second is no trouble")
	assert.Equal(t, "no Envoys are connected\n", rendered(t, envoysOptions{}, nil, now))
}

func TestEnvoyWithAStreamForEachTypeIsOne(t *testing.T) {
	one := func(node, only string, behind int) xds.StreamStatus {
		return xds.StreamStatus{Node: node, Gateway: "edge/front", Known: true, Only: only, Types: []xds.TypeStatus{{Type: resource.ClusterType, Behind: behind}}}
	}
	all := []xds.StreamStatus{
		one("a", "", 0), one("b", resource.ClusterType, 0), one("b", resource.EndpointType, 0), one("c", resource.ClusterType, 1), one("c", resource.ListenerType, 1),
	}
	assert.Equal(t, "3 Envoys on 5 streams, 1 behind", envoySummary(all))
	assert.Equal(t, "2 Envoys on 3 streams, all current", envoySummary(all[:3]))
	assert.Equal(t, "2 Envoys, all current", envoySummary([]xds.StreamStatus{all[0], all[0]}), "that have one node.id")
}

func TestOneEnvoyIsTold(t *testing.T) {
	now := time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)
	all := someEnvoys(0, now)
	assert.Equal(t, `node        late
Gateway     edge/front
Envoy       1.40.0, delta
address     192.0.2.7:41000
connected   2026-01-02T13:00:00Z   120m

TYPE   WANTED   CURRENT   BEHIND   REMOVALS   REJECTED   HELD   BEHIND SINCE           FOR   LAST ACK
cds    2        2         0        0          0          0      -                      -     60s
eds    5        1         2        1          0          2      2026-01-02T14:59:19Z   41s   -
`, rendered(t, envoysOptions{node: "late"}, all[:1], now))
	text := rendered(t, envoysOptions{node: "picky", rows: 100}, all[2:3], now)
	assert.Contains(t, text, `
rejected rds r1, version v1, at 2026-01-02T15:00:00Z: HTTPRoute edge/x spec.rules[1]: bad thing
rejected rds r2, version v2: -
… and 1 more: --rows 0 prints all
`)
}

func TestWatchPrintsWhatChangedAndNotThatTimePassed(t *testing.T) {
	now := time.Now()
	for _, format := range []outputFormat{outputTable, outputJSON, outputYAML} {
		o := envoysOptions{format: &format}
		var out bytes.Buffer
		shown, err := o.show(&out, someEnvoys(1, now), nil, false)
		require.NoError(t, err)
		first := out.String()
		require.Contains(t, first, "picky")
		later := someEnvoys(1, now)
		later[0].Types[0].LastACK = now
		shown, err = o.show(&out, later, shown, false)
		require.NoError(t, err)
		require.Equal(t, first, out.String())
		_, err = o.show(&out, later[:2], shown, false)
		require.NoError(t, err)
		require.Contains(t, strings.TrimPrefix(out.String(), first), "late")
		require.NotContains(t, strings.TrimPrefix(out.String(), first), "picky")
	}
	var out bytes.Buffer
	format := outputTable
	o := envoysOptions{format: &format}
	shown, err := o.show(&out, nil, nil, true)
	require.NoError(t, err)
	_, err = o.show(&out, nil, shown, true)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat(redraw+"no Envoys are connected\n", 2), out.String())
}
