package demo

import (
	"bytes"
	"embed"
	"fmt"
	"net/netip"
	"path/filepath"
	"text/template"
	"time"
)

// The names in the scenario.
const (
	ScenarioNamespace = "edge"
	ScenarioGateway   = "front"
	ScenarioTunnel    = "httpbin"
	ScenarioService   = "httpbin"
)

//go:embed scenario/*.yaml
var scenarioFiles embed.FS

var scenarioTemplates = template.Must(template.ParseFS(scenarioFiles, "scenario/*.yaml"))

// Scenario is a configuration of podway: a Gateway, and a tunnel to the Service httpbin of some clusters.
type Scenario struct {
	// Address and Port are what the Gateway listens on.
	Address  netip.Addr
	Port     uint16
	Clusters []*ScenarioCluster
}

// ScenarioCluster is a MemberCluster, and its entry in the tunnel.
type ScenarioCluster struct {
	Name    string
	Service *Service
	// PodWeight of each of its Pods, 0 to 100.
	PodWeight int
	// Version, where set, is that of the only Pods that the tunnel takes.
	Version string
	Drained bool
}

// The files of a scenario, beside those of its clusters.
const (
	FileClusters = "clusters.yaml"
	FileGateway  = "gateway.yaml"
	FileTunnel   = "tunnel.yaml"
)

// Write writes one of the files into a directory, as it is now.
func (s *Scenario) Write(directory, file string) (time.Time, error) {
	var out bytes.Buffer
	if err := scenarioTemplates.ExecuteTemplate(&out, file, s); err != nil {
		return time.Time{}, fmt.Errorf("writing %s: %w", file, err)
	}
	return WriteFile(filepath.Join(directory, file), out.Bytes())
}

// DuePod is a Pod that is due a share of the requests.
type DuePod struct {
	*Pod
	Cluster string
	Weight  int
}

// Pods are those that take traffic, by cluster and in the order in which they were started.
func (s *Scenario) Pods() []DuePod {
	var due []DuePod
	for _, cluster := range s.Clusters {
		if cluster.Drained || cluster.PodWeight == 0 {
			continue
		}
		for _, pod := range cluster.Service.Pods() {
			if cluster.Version == "" || cluster.Version == pod.Version() {
				due = append(due, DuePod{Pod: pod, Cluster: cluster.Name, Weight: cluster.PodWeight})
			}
		}
	}
	return due
}

// Weights are those of Pods, by CLUSTER/NAMESPACE/NAME.
func Weights(pods []DuePod) map[string]int {
	weights := make(map[string]int, len(pods))
	for _, pod := range pods {
		weights[pod.ID()] = pod.Weight
	}
	return weights
}
