package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
)

// tunnelRows makes a row for each cluster of each tunnel.
func tunnelRows(reports []tunnelReport) [][]string {
	rows := [][]string{{"TUNNEL", "CLUSTER", "SERVICES", "PODS", "WEIGHT", "SHARE", "PROBLEMS", "TAGS"}}
	for _, report := range reports {
		name := report.Namespace + "/" + report.Name
		first := []string{strconv.Itoa(len(report.Problems)), "-"}
		if len(report.Tags) > 0 {
			first[1] = labels.FormatLabels(report.Tags)
		}
		for _, cluster := range clustersOf(report) {
			rows = append(rows, append([]string{name}, append(clusterCells(report, cluster), first...)...))
			name, first = "", []string{"", ""}
		}
	}
	return rows
}

// clustersOf returns the clusters of a tunnel, sorted, with "" for plain addresses at the end. There is at least one.
func clustersOf(report tunnelReport) []string {
	var clusters []string
	plain := false
	for _, service := range report.Services {
		clusters = append(clusters, service.Cluster)
	}
	for _, endpoint := range report.Endpoints {
		if endpoint.Cluster == "" {
			plain = true
		}
	}
	slices.Sort(clusters)
	clusters = slices.Compact(clusters)
	if plain || len(clusters) == 0 {
		clusters = append(clusters, "")
	}
	return clusters
}

func clusterCells(report tunnelReport, cluster string) []string {
	var services []string
	for _, service := range report.Services {
		if service.Cluster == cluster {
			services = append(services, fmt.Sprintf("%s/%s:%s", service.Namespace, service.Name, service.Port))
		}
	}
	slices.Sort(services)
	services = slices.Compact(services)
	pods, weights, sum := 0, []string{}, 0.0
	var weight float64
	for _, endpoint := range report.Endpoints {
		sum += float64(endpoint.Weight)
		if endpoint.Cluster != cluster {
			continue
		}
		pods++
		weight += float64(endpoint.Weight)
		weights = append(weights, strconv.FormatUint(uint64(endpoint.Weight), 10))
	}
	share := fmt.Sprintf("%.2f%%", percent(weight, sum))
	if !report.InForce {
		share = "refused"
	}
	name := cluster
	if name == "" {
		name = "(addresses)"
	}
	return []string{name, dash(strings.Join(services, ",")), strconv.Itoa(pods), dash(weightRange(weights)), share}
}

// weightRange says the weights of Pods: one number where all are equal, else all different ones.
func weightRange(weights []string) string {
	slices.SortFunc(weights, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(b, a)
	})
	return joinLimited(slices.Compact(weights), 4)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// joinLimited joins the first of items with commas, and says how many more there are.
func joinLimited(items []string, limit int) string {
	if len(items) <= limit {
		return strings.Join(items, ",")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:limit], ","), len(items)-limit)
}
