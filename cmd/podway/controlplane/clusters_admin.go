package controlplane

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/watcher/fleet"
)

// ClusterReport is one member cluster, as the admin interface and podway clusters tell it.
type ClusterReport struct {
	fleet.Status
	// Source is Kubeconfig or Objects.
	Source v1alpha1.ClusterSourceType `json:"source,omitempty"`
	// Drained is true where trafficPolicy keeps its Pods out of all tunnels.
	Drained bool `json:"drained,omitempty"`
	// Holds are the tunnels in which Pods of this cluster are held that lost readiness.
	Holds []HoldReport `json:"holds,omitempty"`
}

// HoldReport is a tunnel in which Pods of a cluster are held.
type HoldReport struct {
	Tunnel string `json:"tunnel"`
	// Held are the Pods that are held, Total they and those that are ready.
	Held  int       `json:"held"`
	Total int       `json:"total"`
	Since time.Time `json:"since"`
	// Until is when the hold ends at the latest.
	Until time.Time `json:"until"`
}

// clusterBoard tells of all member clusters.
type clusterBoard struct {
	fleet *fleet.Fleet
	brake *brake.Brake
	live  pods.Live
	// config is the one that was applied last.
	config *atomic.Pointer[snapshot.Config]
	begun  time.Time
}

// all are the clusters by name: those with an API server, and those whose objects are files.
func (b *clusterBoard) all() []ClusterReport {
	out := []ClusterReport{}
	for _, status := range b.fleet.Clusters() {
		out = append(out, ClusterReport{Status: status, Source: v1alpha1.ClusterSourceKubeconfig})
	}
	if cfg := b.config.Load(); cfg != nil {
		out = append(out, b.files(cfg)...)
		for i := range out {
			cluster := cfg.MemberClusters[out[i].Name]
			out[i].Drained = cluster != nil && cluster.Spec.TrafficPolicy == v1alpha1.TrafficPolicyDrained
		}
	}
	holds := map[string][]HoldReport{}
	for _, hold := range b.brake.Holds() {
		holds[hold.Cluster] = append(holds[hold.Cluster], HoldReport{
			Tunnel: hold.Tunnel.String(), Held: hold.Held, Total: hold.Total, Since: hold.Since, Until: hold.Until,
		})
	}
	for i := range out {
		out[i].Holds = holds[out[i].Name]
	}
	slices.SortFunc(out, func(a, b ClusterReport) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// files are the clusters whose objects are files.
func (b *clusterBoard) files(cfg *snapshot.Config) []ClusterReport {
	reports := map[string]*ClusterReport{}
	for name, cluster := range cfg.MemberClusters {
		if cluster.Spec.Source.Type != v1alpha1.ClusterSourceObjects {
			continue
		}
		report := &ClusterReport{Source: cluster.Spec.Source.Type, Status: fleet.Status{Name: name, State: fleet.Live, Since: b.begun}}
		if cfg.Synced[name].IsEmpty() {
			report.State, report.Reason = fleet.Unknown, "its directory has not been read yet"
		}
		reports[name] = report
	}
	for key := range cfg.Services {
		report := reports[key.Cluster]
		if report == nil {
			continue
		}
		report.Services++
		if set := b.live(key); set != nil {
			report.Pods += len(set.Pods)
		}
	}
	out := make([]ClusterReport, 0, len(reports))
	for _, report := range reports {
		out = append(out, *report)
	}
	return out
}

// write answers GET /clusters.
func (b *clusterBoard) write(w http.ResponseWriter, _ *http.Request) {
	data, err := json.MarshalIndent(b.all(), "", "  ")
	writeJSON(w, "the clusters", data, err)
}

// Released is the answer to a release.
type Released struct {
	// Pods is how many were let go.
	Pods int `json:"pods"`
}

// release answers POST /clusters/{name}/release. A page in a browser must not do this for whoever looks at it.
func (b *clusterBoard) release(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		writeError(w, http.StatusForbidden, "not for browsers: use podway clusters release")
		return
	}
	name := r.PathValue("name")
	if !slices.ContainsFunc(b.all(), func(report ClusterReport) bool { return report.Name == name && report.State != fleet.Removed }) {
		writeError(w, http.StatusNotFound, "there is no MemberCluster "+strconv.Quote(name))
		return
	}
	data, err := json.Marshal(Released{Pods: b.brake.Release(name)})
	writeJSON(w, "the number of Pods", data, err)
}
