package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/podway/podway/demo"
)

// demoConfig is the command line of podway demo.
type demoConfig struct {
	Envoy     string
	Directory string
	Port      uint16
	Keep      bool
}

func newDemoCommand() *cobra.Command {
	var cfg demoConfig
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch two clusters, a tunnel and a real Envoy at work",
		Long: `Play two Kubernetes clusters with small HTTP servers as Pods, write a tunnel, a Gateway and a
route into a directory, run the control plane and a real Envoy, and send requests. Then
scale, change a weight and a selector, drain a cluster and replace Pods, while a client
goes on sending. For each step it shows how long it took to reach the Envoy, and every
Pod's share of the requests beside the share it is due.

All of it is on loopback addresses of this machine and is gone afterwards. It takes less
than a minute, and ends with exit code 1 where a request failed or a share is off.`,
		Example: `  podway demo

  # Stay up for playing, until Ctrl-C:
  podway demo --keep

  # With an Envoy that is not on PATH, and files where one wants them:
  podway demo --envoy /opt/envoy/bin/envoy --directory ./demo --keep`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Envoy, "envoy", "", "`PATH` of an Envoy binary (default $ENVOY, then envoy on PATH, then the one that make envoy fetched)")
	flags.StringVar(&cfg.Directory, "directory", "", "`DIR` to write the files to, new or empty (default a temporary one)")
	flags.Uint16Var(&cfg.Port, "port", 0, "`PORT` of the Gateway on 127.0.0.1 (default 8080, or another one where that is in use)")
	flags.BoolVar(&cfg.Keep, "keep", false, "stay up for playing until Ctrl-C, and keep the files")
	complete(cmd, "port")
	return cmd
}

// errInterrupted is what a demo ends with where a person ends it.
var errInterrupted = errors.New("interrupted")

// runDemo plays from the first act to the last, and cleans up whatever happens.
func runDemo(ctx context.Context, cfg demoConfig, out io.Writer) (err error) {
	begun := time.Now()
	stage, err := newStage(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = errInterrupted // whatever it was that did not work any more
		}
		err = errors.Join(err, stage.close())
	}()
	say := printer{out}
	say.line("Podway demo: two clusters, one tunnel, a real Envoy.")
	say.line("")
	if err := stage.open(); err != nil {
		return err
	}
	say.facts([][2]string{
		{"Files", stage.config},
		{"Control plane", "this process; xDS on " + stage.xdsAddress + ", admin on http://" + stage.adminAddress},
		{"Envoy", stage.envoyVersion + "; admin on http://" + stage.process.Admin().Address() + ", logs in " + stage.envoyDirectory},
		{"Gateway", stage.url("")},
	})
	if err := stage.play(say); err != nil {
		return err
	}
	say.line("")
	say.line("All in %.1f s: every share is within %d standard deviations of what its weights say, and none of %s requests failed.",
		time.Since(begun).Seconds(), demo.MaximumDeviation, thousands(stage.requests))
	if cfg.Keep {
		return stage.keep(ctx, say)
	}
	say.line("To play with it: podway demo --keep")
	return nil
}
