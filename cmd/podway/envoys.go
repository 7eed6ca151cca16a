package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/podway/podway/cmd/podway/controlplane"
	"github.com/podway/podway/xds"
)

// defaultEnvoyRows is how many Envoys, or rejected resources of one, are printed in a table.
const defaultEnvoyRows = 100

// envoysOptions are what podway envoys is asked for.
type envoysOptions struct {
	address *string
	format  *outputFormat
	node    string
	watch   bool
	rows    int
}

func newEnvoysCommand() *cobra.Command {
	var options envoysOptions
	cmd := &cobra.Command{
		Use:   "envoys [NODE]",
		Short: "Print which Envoys are connected to a running podway serve, and what they have",
		Long: `Print the Envoys that are connected to a running podway serve: node, Gateway, version, since
when, and for each type of resource (secrets, clusters, endpoints, listeners, routes) whether
the Envoy has acknowledged the current ones, or how many it has not, and for how long. "held"
are those that podway keeps back because nothing is known yet of one of their clusters, and
the Envoy has more. With a NODE, print that one in full, with each rejected resource, also where
podway holds back the object to blame and the Envoy has acknowledged what stands in for it.

Of many Envoys those with something to tell come first. The exit code is 1 if one has rejected
something, names a Gateway that is not served, or has not acknowledged something for 30 s.`,
		Example: `  podway envoys
  podway envoys envoy-1
  podway envoys --watch

  # What each Envoy has not acknowledged, for a script:
  podway envoys -o json`,
		Args:              atMostOneNode,
		ValidArgsFunction: completeNodes,
	}
	flags := cmd.Flags()
	options.address = addAdminAddressFlag(cmd)
	options.format = addOutputFlag(cmd)
	flags.BoolVarP(&options.watch, "watch", "w", false, "print again whenever something changes, until interrupted; a terminal is redrawn every second")
	flags.IntVar(&options.rows, "rows", defaultEnvoyRows, "most `ROWS` of a table; 0 for all")
	complete(cmd, "rows")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if options.rows < 0 {
			return usagef("--rows %d: want 0 or more", options.rows)
		}
		if len(args) > 0 {
			options.node = args[0]
		}
		if options.watch {
			return watchEnvoys(cmd.Context(), options, cmd.OutOrStdout(), cmd.ErrOrStderr())
		}
		envoys, err := options.fetch(cmd.Context())
		if err != nil {
			return err
		}
		if options.node != "" && len(envoys) == 0 {
			return fmt.Errorf("no Envoy with the node.id %q is connected; podway envoys lists those that are", options.node)
		}
		now := time.Now()
		text, err := options.render(envoys, ages(now))
		if err != nil {
			return err
		}
		if err := write(cmd.OutOrStdout(), text); err != nil {
			return err
		}
		if countTroubled(envoys, now) > 0 {
			return errProblems
		}
		return nil
	}
	return cmd
}

func atMostOneNode(cmd *cobra.Command, args []string) error {
	if len(args) > 1 || len(args) == 1 && args[0] == "" {
		return usagef("%s takes one NODE or none, but got %q (see %s --help)", cmd.CommandPath(), args, cmd.CommandPath())
	}
	return nil
}

// completeNodes offers the connected Envoys.
func completeNodes(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp
	address, err := cmd.Flags().GetString("admin-address")
	if err != nil || len(args) > 0 {
		return nil, directive
	}
	envoys, err := envoysOptions{address: &address}.fetch(cmd.Context())
	if err != nil {
		return nil, directive
	}
	var nodes []cobra.Completion
	for _, envoy := range envoys {
		if strings.HasPrefix(envoy.Node, prefix) {
			nodes = append(nodes, envoy.Node)
		}
	}
	return nodes, directive
}

func (o envoysOptions) fetch(ctx context.Context) ([]xds.StreamStatus, error) {
	path := "/envoys"
	if o.node != "" {
		path += "?node=" + url.QueryEscape(o.node)
	}
	return fetchAdmin[[]xds.StreamStatus](ctx, *o.address, path, "a list of Envoys")
}

// countTroubled is how many Envoys there is something to do about.
func countTroubled(envoys []xds.StreamStatus, now time.Time) int {
	troubled := 0
	for i := range envoys {
		if isTroubled(&envoys[i], now) {
			troubled++
		}
	}
	return troubled
}

func isTroubled(envoy *xds.StreamStatus, now time.Time) bool {
	if !envoy.Known {
		return true
	}
	for i := range envoy.Types {
		of := &envoy.Types[i]
		if of.IsRejecting() || of.IsBehind() && !of.BehindSince.IsZero() && now.Sub(of.BehindSince) >= controlplane.BehindBound {
			return true
		}
	}
	return false
}
