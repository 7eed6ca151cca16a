package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK = 0
	// exitFailed means that the command could not do, or did not find well, what it was asked for.
	exitFailed = 1
	// exitUsage means that the command line itself is wrong.
	exitUsage = 2
)

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errProblems ends a command that has said everything already with exit code 1.
var errProblems = errors.New("there are problems")

// run executes the command line and returns the exit code. It says an error once, on stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errProblems):
		return exitFailed
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(stderr, "podway: %v\n", err)
		return exitUsage
	}
	_, _ = fmt.Fprintf(stderr, "podway: %v\n", err)
	return exitFailed
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "podway",
		Short: "An Envoy control plane for tunnels to the Pods of several clusters",
		Long: `Podway is an Envoy control plane for tunnels. A tunnel joins the Pods of Services in
several Kubernetes clusters into one weighted backend, and a fleet of Envoys sends
requests straight to those Pods: no load balancer, kube-proxy or NodePort between.`,
		Example: `  # See it work, with nothing but this binary and an Envoy:
  podway demo

  # Check a directory of YAML, then serve it to Envoys:
  podway validate ./config
  podway serve --config ./config

  # The configuration that an Envoy of the Gateway edge/front starts with:
  podway bootstrap --gateway edge/front > envoy.yaml`,
		Args:                       rootArgs,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SuggestionsMinimumDistance: 2,

		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w (see %s --help)", err, cmd.CommandPath())
	})
	root.AddCommand(
		newDemoCommand(),
		newServeCommand(),
		newValidateCommand(),
		newRenderCommand(),
		newTunnelsCommand(),
		newClustersCommand(),
		newProblemsCommand(),
		newEnvoysCommand(),
		newBootstrapCommand(),
		newCertsCommand(),
		newVersionCommand(),
	)
	return root
}

// rootArgs refuses what is no command, and suggests the nearest one.
func rootArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef("unknown command %q: did you mean %s? (see podway --help)", args[0], strings.Join(near, " or "))
	}
	return usagef("unknown command %q (see podway --help)", args[0])
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, but got %q (see %s --help)", cmd.CommandPath(), args[0], cmd.CommandPath())
	}
	return nil
}

// requireFlags refuses a command line without one of the flags. Cobra's own check would be no usage error.
func requireFlags(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if flag := cmd.Flags().Lookup(name); flag.Value.String() == "" {
			return usagef("--%s %s is required (see %s --help)", name, flagMeta(cmd, name), cmd.CommandPath())
		}
	}
	return nil
}

// flagMeta is the word that stands for the flag's value in its help.
func flagMeta(cmd *cobra.Command, name string) string {
	for i, part := range strings.Split(cmd.Flags().Lookup(name).Usage, "`") {
		if i == 1 {
			return part
		}
	}
	return "VALUE"
}
