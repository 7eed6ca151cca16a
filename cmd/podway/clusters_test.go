package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/cmd/podway/controlplane"
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

func TestHoldsOfManyTunnelsAreOneRemark(t *testing.T) {
	report := controlplane.ClusterReport{}
	for _, tunnel := range []string{"edge/a", "edge/b", "edge/c"} {
		report.Holds = append(report.Holds, controlplane.HoldReport{Tunnel: tunnel, Held: 20})
	}
	require.Equal(t, "20 Pods held in tunnel edge/a; 20 Pods held in tunnel edge/b; 20 Pods held in tunnel edge/c", remarks(report))
	report.Holds = append(report.Holds, controlplane.HoldReport{Tunnel: "edge/d", Held: 10})
	require.Equal(t, "70 Pods held in 4 tunnels: see podway problems", remarks(report))
}

func TestClustersTable(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	rows := clusterRows([]controlplane.ClusterReport{
		{Status: fleet.Status{
			Name: "east", State: fleet.Live, Since: now.Add(-time.Hour), LastEvent: now.Add(-3 * time.Second), Services: 12, Pods: 120,
			Server: "https://east.example", CredentialExpires: now.Add(36 * time.Hour),
		}, Holds: []controlplane.HoldReport{{Tunnel: "edge/web", Held: 20}}},
		{Status: fleet.Status{
			Name: "west", State: fleet.Stale, Since: now.Add(-90 * time.Second), Reason: "connection refused", Server: "https://west.example",
			Remembered: now.Add(-2 * time.Hour), Candidate: "no answer in time",
		}},
		{Status: fleet.Status{Name: "files", State: fleet.Live, Since: now}, Drained: true},
	}, now)
	require.Equal(t, [][]string{
		{"CLUSTER", "STATE", "SINCE", "LAST EVENT", "SERVICES", "PODS", "CREDENTIAL ENDS", "REMARKS"},
		{"east", "Live", "1h ago", "3s ago", "12", "120", "in 1d12h", "20 Pods held in tunnel edge/web"},
		{"west", "Stale", "1m30s ago", "-", "0", "0", "never", "connection refused; as remembered at 2026-05-01T10:00:00Z; " +
			"a changed credential or scope is not in force: no answer in time"},
		{"files", "Live", "0s ago", "-", "0", "0", "-", "drained: no tunnel takes its Pods"},
	}, rows)
}
