package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// tunnelReport is one tunnel as podway tunnels prints it.
type tunnelReport struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Tags      map[string]string `json:"tags,omitempty"`
	// InForce is false where the tunnel as a whole is refused.
	InForce bool `json:"inForce"`
	// Incomplete is true where nothing is known yet of one of its clusters.
	Incomplete bool             `json:"incomplete,omitempty"`
	Services   []serviceReport  `json:"services,omitempty"`
	Endpoints  []endpointReport `json:"endpoints,omitempty"`
	Problems   []api.Problem    `json:"problems,omitempty"`
}

// serviceReport is one entry of spec.services.
type serviceReport struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Port      string `json:"port"`
	PodWeight int32  `json:"podWeight"`
}

// endpointReport is one Pod or address that takes traffic.
type endpointReport struct {
	// Cluster, Namespace and Pod are empty for a plain address.
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Address   string `json:"address"`
	Weight    uint32 `json:"weight"`
	// Share of the tunnel's requests that is due, in percent.
	Share float64 `json:"share"`
}

func newTunnelsCommand() *cobra.Command {
	var directory, tags string
	cmd := &cobra.Command{
		Use:   "tunnels --config DIR",
		Short: "Print the tunnels of a directory, their Pods and their shares",
		Long: `Print the tunnels of a directory: their clusters and services, the Pods in force with their
weights, and the share of the requests that each cluster is due. A tunnel's tags are its
labels. With -o json or yaml, each Pod and each Problem is listed.`,
		Example: `  podway tunnels --config ./config
  podway tunnels --config ./config -l team=payments,tier!=test
  podway tunnels --config ./config -o yaml`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&directory, "config", "", "`DIR` of YAML to read (required)")
	cmd.Flags().StringVarP(&tags, "selector", "l", "", "only tunnels whose tags match this label `SELECTOR`")
	completeDirectory(cmd)
	limits := addLimitFlags(cmd)
	format := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := requireFlags(cmd, "config"); err != nil {
			return err
		}
		selector, err := parseSelector(tags)
		if err != nil {
			return err
		}
		loaded, err := load([]string{directory}, *limits)
		if err != nil {
			return err
		}
		reports := loaded.reports(selector)
		if *format != outputTable {
			return printData(cmd.OutOrStdout(), *format, reports)
		}
		return printTable(cmd.OutOrStdout(), tunnelRows(reports))
	}
	return cmd
}

func completeDirectory(cmd *cobra.Command) {
	if err := cmd.MarkFlagDirname("config"); err != nil {
		panic(err) // only for a flag that is not there
	}
}

func parseSelector(value string) (labels.Selector, error) {
	selector, err := labels.Parse(value)
	if err != nil {
		return nil, usagef("--selector %q: %w", value, err)
	}
	return selector, nil
}

// tunnels returns the tunnels, in force or not, whose tags match, sorted.
func (l *loaded) tunnels(selector labels.Selector) []types.NamespacedName {
	var names []types.NamespacedName
	for name, tunnel := range l.cfg.Tunnels {
		if selector.Matches(labels.Set(tunnel.Labels)) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, api.CompareNames)
	return names
}

// reports describes the tunnels whose tags match.
func (l *loaded) reports(selector labels.Selector) []tunnelReport {
	problems := map[types.NamespacedName][]api.Problem{}
	for _, problem := range l.problems() {
		if problem.Object.Kind == v1alpha1.KindTunnel && problem.Object.Cluster == "" {
			name := types.NamespacedName{Namespace: problem.Object.Namespace, Name: problem.Object.Name}
			problems[name] = append(problems[name], problem)
		}
	}
	reports := []tunnelReport{}
	for _, name := range l.tunnels(selector) {
		tunnel := l.cfg.Tunnels[name]
		report := tunnelReport{Namespace: name.Namespace, Name: name.Name, Tags: tunnel.Labels, Problems: problems[name]}
		for _, service := range tunnel.Spec.Services {
			report.Services = append(report.Services, reportService(service))
		}
		if endpoints, ok := l.endpoints[name]; ok && endpoints.Resource != nil {
			report.InForce = true
			report.Incomplete = endpoints.Resource.Partial
			report.Endpoints = reportEndpoints(endpoints.Resource)
		}
		reports = append(reports, report)
	}
	return reports
}

func reportService(service v1alpha1.TunnelService) serviceReport {
	report := serviceReport{
		Cluster: service.Cluster, Namespace: service.Namespace, Name: service.Name, Port: service.Port.String(), PodWeight: 100,
	}
	if service.PodWeight != nil {
		report.PodWeight = *service.PodWeight
	}
	return report
}

// reportEndpoints reads a ClusterLoadAssignment: what is printed is what Envoys get.
func reportEndpoints(resource *api.Resource) []endpointReport {
	assignment, ok := resource.Message.(*endpointv3.ClusterLoadAssignment)
	if !ok {
		return nil
	}
	var reports []endpointReport
	var sum float64
	for _, locality := range assignment.GetEndpoints() {
		for _, endpoint := range locality.GetLbEndpoints() {
			metadata := endpoint.GetMetadata().GetFilterMetadata()["podway"].GetFields()
			address := endpoint.GetEndpoint().GetAddress().GetSocketAddress()
			weight := uint32(1) // Envoy's default
			if endpoint.GetLoadBalancingWeight() != nil {
				weight = endpoint.GetLoadBalancingWeight().GetValue()
			}
			sum += float64(weight)
			reports = append(reports, endpointReport{
				Cluster: metadata["cluster"].GetStringValue(), Namespace: metadata["namespace"].GetStringValue(),
				Pod:     metadata["pod"].GetStringValue(),
				Address: net.JoinHostPort(address.GetAddress(), strconv.FormatUint(uint64(address.GetPortValue()), 10)), Weight: weight,
			})
		}
	}
	for i := range reports {
		reports[i].Share = percent(float64(reports[i].Weight), sum)
	}
	return reports
}

// percent returns part of sum with two digits after the point; 0 where there is nothing.
func percent(part, sum float64) float64 {
	if sum == 0 {
		return 0
	}
	value, _ := strconv.ParseFloat(fmt.Sprintf("%.2f", 100*part/sum), 64)
	return value
}
