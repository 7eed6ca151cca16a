package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/access"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/files"
)

func newCheckCommand() *cobra.Command {
	var directory string
	cmd := &cobra.Command{
		Use:   "check NAME --config DIR",
		Short: "Try what podway does with a member cluster",
		Long: `Connect to a member cluster as podway serve would, and try all that it does there: list and
watch what its allowedTunnels need, see which cluster it is, renew the token. For each it says
whether it works, and what to do where it does not. It changes nothing. The exit code is 1 if
something failed that podway needs.`,
		Example: `  podway clusters check east --config ./config
  podway clusters check east --config ./config -o json`,
		Args:              oneCluster,
		ValidArgsFunction: completeClusters,
	}
	cmd.Flags().StringVar(&directory, "config", "", "`DIR` of the configuration (required)")
	completeDirectory(cmd)
	format := addOutputFlag(cmd)
	limits := addLimitFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := requireFlags(cmd, "config"); err != nil {
			return err
		}
		subject, err := checkedCluster(directory, args[0], *limits)
		if err != nil {
			return err
		}
		report := access.Check(cmd.Context(), *subject)
		if err := printReport(cmd.OutOrStdout(), *format, report); err != nil {
			return err
		}
		if report.Failed() {
			return errProblems
		}
		return nil
	}
	return cmd
}

// checkedCluster is what there is to check of a MemberCluster.
func checkedCluster(directory, name string, limits files.Options) (*access.Subject, error) {
	if err := checkDirectory(directory); err != nil {
		return nil, err
	}
	loaded, err := load([]string{directory}, limits)
	if err != nil {
		return nil, err
	}
	cfg := loaded.cfg
	cluster := cfg.MemberClusters[name]
	if cluster == nil {
		if len(cfg.MemberClusters) == 0 {
			return nil, fmt.Errorf("%s has no MemberCluster in force; podway validate %s says why", directory, directory)
		}
		return nil, fmt.Errorf("%s has no MemberCluster %q in force; these are: %s", directory, name, joinLimited(slices.Sorted(maps.Keys(cfg.MemberClusters)), 10))
	}
	if cluster.Spec.Source.Type != v1alpha1.ClusterSourceKubeconfig {
		return nil, fmt.Errorf("MemberCluster %s is of type %s, which has no API server; podway validate %s checks its files", name, cluster.Spec.Source.Type, directory)
	}
	subject := &access.Subject{Cluster: name, Scope: access.ScopeOf(cluster), Pods: selectedPods(cfg, name), ClusterUID: cluster.Spec.ClusterUID}
	subject.Credential, subject.Problems = credential.Load(cluster, directory, cfg.Secrets)
	if subject.Credential != nil {
		subject.Config = subject.Credential.RESTConfig()
		subject.Config.UserAgent = userAgent()
	}
	return subject, nil
}

// selectedPods are the namespaces of a cluster where tunnels select Pods by label.
func selectedPods(cfg *snapshot.Config, cluster string) *snapshot.Scope {
	found := map[string]bool{}
	for _, tunnel := range cfg.Tunnels {
		for _, service := range tunnel.Spec.Services {
			if service.Cluster == cluster && service.PodSelector != nil {
				found[service.Namespace] = true
			}
		}
	}
	return &snapshot.Scope{Namespaces: slices.Sorted(maps.Keys(found))}
}

func printReport(w io.Writer, format outputFormat, report access.Report) error {
	if format != outputTable {
		return printData(w, format, report)
	}
	rows := [][]string{{"STATUS", "WHAT", "DETAIL"}}
	for _, line := range report.Lines {
		detail := line.Detail
		if line.Remedy != "" {
			detail += "; " + line.Remedy
		}
		rows = append(rows, []string{string(line.Status), line.What, detail})
	}
	return printTable(w, rows)
}

// completeClusters offers the member clusters of the directory that --config names.
func completeClusters(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp
	directory, err := cmd.Flags().GetString("config")
	if err != nil || directory == "" || len(args) > 0 {
		return nil, directive
	}
	loaded, err := load([]string{directory}, files.Options{})
	if err != nil {
		return nil, directive
	}
	return slices.Sorted(maps.Keys(loaded.cfg.MemberClusters)), directive
}
