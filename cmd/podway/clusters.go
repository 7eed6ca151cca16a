package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func newClustersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clusters",
		Short: "Print the member clusters of a running podway serve, and connect new ones",
		Long: `Print the member clusters that a running podway serve follows: their state, since when, when
anything was last heard of them, how many Services and Pods are known, when the credential
ends, and why a cluster is not Live. The subcommands make what podway may do in a member
cluster, try it, and take it back; docs/clusters.md tells what is made there and why.`,
		Example: `  podway clusters
  podway clusters -o json

  podway clusters authorize east --kubeconfig admin.kubeconfig --namespaces shop --config ./config
  podway clusters check east --config ./config`,
		Args:              clustersArgs,
		ValidArgsFunction: cobra.NoFileCompletions,

		SuggestionsMinimumDistance: 2,
	}
	address := addAdminAddressFlag(cmd)
	format := addOutputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return listClusters(cmd, *address, *format) }
	cmd.AddCommand(newAuthorizeCommand(), newRevokeCommand(), newCheckCommand(), newReleaseCommand())
	return cmd
}

// clustersArgs refuses what is no subcommand, and suggests the nearest one.
func clustersArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %q: did you mean %s? (see %s --help)", args[0], strings.Join(near, " or "), cmd.CommandPath())
	}
	return usagef("unknown command %q (see %s --help)", args[0], cmd.CommandPath())
}

// oneCluster wants the name of one MemberCluster.
func oneCluster(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s takes the NAME of one MemberCluster, but got %d (see %s --help)", cmd.CommandPath(), len(args), cmd.CommandPath())
	}
	return nil
}
