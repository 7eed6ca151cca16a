package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/podway/podway/api"
)

func newValidateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Find every Problem of a set of files",
		Long: `Read files and directories of YAML as podway serve would, and print every Problem of them in
one run: file, line, object, field, what is wrong and what to do. It needs no network, no
cluster and no Envoy. The exit code is 1 if there are any Problems, warnings included.`,
		Example: `  podway validate ./config
  podway validate tunnels.yaml clusters/ gateway.yaml

  # For a program:
  podway validate ./config -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name at least one file or directory (see %s --help)", cmd.CommandPath())
			}
			if slices.Contains(args, "") {
				return usagef("a PATH is empty; name a file or a directory (see %s --help)", cmd.CommandPath())
			}
			return nil
		},
	}
	format := addOutputFlag(cmd)
	limits := addLimitFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		loaded, err := load(args, *limits)
		if err != nil {
			return err
		}
		none := api.Count(loaded.cfg.Objects(), "object") + ", no problems\n"
		return printProblems(cmd.OutOrStdout(), *format, loaded.problems(), none)
	}
	return cmd
}
