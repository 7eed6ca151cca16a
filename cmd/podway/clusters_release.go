package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/podway/podway/api"
	"github.com/podway/podway/cmd/podway/controlplane"
)

func newReleaseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release NAME",
		Short: "Let go of the Pods of a cluster that are held in tunnels",
		Long: `Let go of the Pods of a member cluster that lost readiness together and are held in their
tunnels for it. Those that are not ready leave the tunnels at once, and come back once they
are ready. It asks a running podway serve.`,
		Example:           `  podway clusters release east`,
		Args:              oneCluster,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	address := addAdminAddressFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path := "/clusters/" + url.PathEscape(args[0]) + "/release"
		answer, err := askAdmin[controlplane.Released](cmd.Context(), http.MethodPost, *address, path, "the number of Pods released")
		if err != nil {
			return err
		}
		return write(cmd.OutOrStdout(), fmt.Appendf(nil, "%s of cluster %s let go\n", api.Count(answer.Pods, "Pod"), args[0]))
	}
	return cmd
}
