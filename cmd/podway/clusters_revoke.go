package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/podway/podway/watcher/access"
)

func newRevokeCommand() *cobra.Command {
	var directory string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "revoke NAME --kubeconfig ADMIN",
		Short: "Take back what podway may do in a member cluster",
		Long: `Remove, from a member cluster, all that podway clusters authorize made there for the
MemberCluster of that name, in whatever namespaces, and say what it was. The ServiceAccount
goes first: without it, its tokens are worth nothing. With --config, remove the MemberCluster
and the kubeconfig that were written, unless somebody has changed them: the cluster's Pods
then leave all tunnels. Nothing is done where ADMIN leads to another cluster than the
MemberCluster is pinned to.`,
		Example: `  podway clusters revoke east --kubeconfig admin.kubeconfig --dry-run
  podway clusters revoke east --kubeconfig admin.kubeconfig --config ./config`,
		Args:              oneCluster,
		ValidArgsFunction: completeClusters,
	}
	f := addAdminFlags(cmd)
	cmd.Flags().StringVar(&directory, "config", "", "`DIR` of the configuration, to remove the cluster's files from it (default keep them)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed, and do nothing else")
	completeDirectory(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.options.Cluster = args[0]
		if _, err := access.Manifests(f.options); err != nil {
			return usageError{err}
		}
		if err := requireFlags(cmd, "kubeconfig"); err != nil {
			return err
		}
		return revoke(cmd, f, directory, dryRun)
	}
	return cmd
}

func revoke(cmd *cobra.Command, f *adminFlags, directory string, dryRun bool) error {
	var files *memberFiles
	if directory != "" {
		var err error
		if files, err = lookForMemberFiles(directory, f.options); err != nil {
			return err
		}
		// The files are the key to what is left in the right cluster.
		f.options.ClusterUID = files.pinned()
	}
	admin, err := f.config()
	if err != nil {
		return err
	}
	changes, err := access.Revoke(cmd.Context(), admin, f.options, dryRun)
	said := changeLines(changes, dryRun)
	if len(said) == 0 && err == nil {
		said = []string{fmt.Sprintf("the cluster has nothing of ServiceAccount %s", f.options.Account())}
	}
	if err == nil && files != nil {
		var removed []string
		removed, err = files.remove(dryRun)
		said = append(said, removed...)
	}
	if len(said) > 0 {
		if err := write(cmd.OutOrStdout(), []byte(strings.Join(said, "\n")+"\n")); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("revoking %s: %w", f.options.Cluster, err)
	}
	return nil
}
