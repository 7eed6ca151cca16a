package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/podway/podway/api"
	"github.com/podway/podway/cmd/podway/controlplane"
	"github.com/podway/podway/watcher/fleet"
)

// listClusters prints the member clusters of a running serve.
func listClusters(cmd *cobra.Command, address string, format outputFormat) error {
	reports, err := fetchAdmin[[]controlplane.ClusterReport](cmd.Context(), address, "/clusters", "a list of clusters")
	if err != nil {
		return err
	}
	switch {
	case format != outputTable:
		return printData(cmd.OutOrStdout(), format, reports)
	case len(reports) == 0:
		return write(cmd.OutOrStdout(), []byte("no clusters\n"))
	}
	return printTable(cmd.OutOrStdout(), clusterRows(reports, time.Now()))
}

// clusterRows makes a row for each cluster.
func clusterRows(reports []controlplane.ClusterReport, now time.Time) [][]string {
	rows := [][]string{{"CLUSTER", "STATE", "SINCE", "LAST EVENT", "SERVICES", "PODS", "CREDENTIAL ENDS", "REMARKS"}}
	for _, report := range reports {
		rows = append(rows, []string{
			report.Name, string(report.State), ago(report.Since, now), ago(report.LastEvent, now),
			strconv.Itoa(report.Services), strconv.Itoa(report.Pods), ends(report, now), remarks(report),
		})
	}
	return rows
}

// ago says how long ago something was, to two units.
func ago(at, now time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return span(now.Sub(at)) + " ago"
}

func ends(report controlplane.ClusterReport, now time.Time) string {
	switch {
	case report.CredentialExpires.IsZero() && report.Server == "":
		return "-"
	case report.CredentialExpires.IsZero():
		return "never"
	case !report.CredentialExpires.After(now):
		return "ended " + ago(report.CredentialExpires, now)
	}
	return "in " + span(report.CredentialExpires.Sub(now))
}

// span is a duration in its two largest units.
func span(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	units := []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for i, unit := range units {
		if d < unit.size && unit.size > time.Second {
			continue
		}
		text := fmt.Sprintf("%d%s", d/unit.size, unit.name)
		if i+1 < len(units) {
			if rest := d % unit.size / units[i+1].size; rest > 0 {
				text += fmt.Sprintf("%d%s", rest, units[i+1].name)
			}
		}
		return text
	}
	return "0s"
}

// remarks are what a person should know of a cluster beside its state.
func remarks(report controlplane.ClusterReport) string {
	var parts []string
	if report.Reason != "" && report.State != fleet.Live {
		parts = append(parts, report.Reason)
	}
	if !report.Remembered.IsZero() {
		parts = append(parts, "as remembered at "+report.Remembered.UTC().Format(time.RFC3339))
	}
	if report.Candidate != "" {
		parts = append(parts, "a changed credential or scope is not in force: "+report.Candidate)
	}
	if report.Drained {
		parts = append(parts, "drained: no tunnel takes its Pods")
	}
	parts = append(parts, held(report.Holds)...)
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, "; ")
}

// held says in which tunnels Pods are held; where these are many, in how many: a zone that is cut off may have thousands, and a line is to be read.
func held(holds []controlplane.HoldReport) []string {
	const most = 3
	all, parts := 0, make([]string, 0, len(holds))
	for _, hold := range holds {
		all += hold.Held
		parts = append(parts, fmt.Sprintf("%s held in tunnel %s", api.Count(hold.Held, "Pod"), hold.Tunnel))
	}
	if len(holds) > most {
		return []string{fmt.Sprintf("%s held in %s: see podway problems", api.Count(all, "Pod"), api.Count(len(holds), "tunnel"))}
	}
	return parts
}
