package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"
	"k8s.io/klog/v2"

	"github.com/podway/podway/api/garbage"
	"github.com/podway/podway/cmd/podway/controlplane"
	"github.com/podway/podway/envoy"
	"github.com/podway/podway/watcher/brake"
)

// defaultAdminAddress is where podway serve answers people and scrapers.
const defaultAdminAddress = "127.0.0.1:19000"

// serveConfig is what the command line says of a control plane. podway demo runs one too.
type serveConfig struct {
	controlplane.Config
	// InsecureXDS allows plain text on an address that is not loopback.
	InsecureXDS bool
	// XDS says who may connect there; the zero value is plain text with the default limits.
	XDS xdsOptions
}

// serve runs the control plane until the context ends, which is no error.
func serve(ctx context.Context, cfg serveConfig) error {
	access, err := cfg.XDS.openAccess(cfg.InsecureXDS)
	if err != nil {
		return err
	}
	if err := checkXDSAddress(cfg.XDSAddress, cfg.InsecureXDS || access != nil); err != nil {
		return err
	}
	if err := checkPaths([]string{cfg.Directory}); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if info, err := os.Stat(cfg.Directory); err == nil && !info.IsDir() {
		return fmt.Errorf("--config: %s is a file; name the directory that it is in", cfg.Directory)
	}
	cfg.Access, cfg.XDSLimits, cfg.ShutdownSpread, cfg.Version = access, cfg.XDS.Limits, cfg.XDS.ShutdownSpread, readVersion().Version
	return controlplane.Run(ctx, cfg.Config)
}

// checkBrake refuses what would be taken for a default, or never hold.
func checkBrake(settings brake.Settings) error {
	switch {
	case settings.Percent < 1 || settings.Percent > 100:
		return usagef("--brake-percent %d: want 1 to 100; 100 never holds", settings.Percent)
	case settings.MinPods < 1:
		return usagef("--brake-min-pods %d: want at least 1", settings.MinPods)
	case settings.Limit <= 0:
		return usagef("--brake-limit %s: want a time above 0", settings.Limit)
	}
	return nil
}

// serveAlone is serve in a process that does nothing else, and logs to w.
func serveAlone(ctx context.Context, cfg serveConfig, logs *logFlags, w io.Writer) error {
	logger, queue := logs.queued(w)
	go queue.run()
	defer queue.close()
	cfg.Logger, cfg.LostLogLines = logger, queue.Lost
	// What libraries have to say goes the same way: by themselves they would write to standard error, and wait for it.
	slog.SetDefault(logger)
	klog.SetSlogLogger(logger)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, queue))
	// A pipe whose reader has gone costs the log, not the control plane.
	signal.Ignore(syscall.SIGPIPE)
	boundConnections(ctx, &cfg.XDS.Limits, maxOpenFiles(), logger)

	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { garbage.Pace(ctx) })
	beside.Go(func() { answerHangups(ctx, logger) })
	defer beside.Wait()
	defer cancel()
	return serve(ctx, cfg)
}

// answerHangups has the process go on where it is asked to reload, as service managers ask others: it would end by that otherwise.
func answerHangups(ctx context.Context, logger *slog.Logger) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			logger.InfoContext(ctx, "Asked to reload: nothing to do, for every change of a file is followed by itself")
		}
	}
}

func newServeCommand() *cobra.Command {
	var cfg serveConfig
	cmd := &cobra.Command{
		Use:   "serve --config DIR",
		Short: "Run the control plane",
		Long: `Read every YAML file below a directory, follow its changes, and serve what it says to Envoys
over xDS. The xDS port opens once the configuration has been read whole. A mistake in a
file is a Problem: it is logged, listed at /problems of the admin interface, and costs
nothing but the object that it is in.

Clusters of type Kubeconfig are watched through their API servers, each on its own. With --state, a
restarted podway serves the last good Pods of a cluster that is away, the last accepted form of
what Envoys rejected, and the last good content of a file that is broken, unless it has a Secret.

The admin interface answers /healthz, /readyz, /problems, /clusters, /envoys and /metrics.

xDS carries the private keys of HTTPS listeners. On loopback it is plain text unless told
otherwise. With --xds-cert, --xds-key, --xds-client-ca and --trust-domain it is mTLS: the
one URI SAN of an Envoy's certificate, spiffe://DOMAIN/gateway/NAMESPACE/NAME, says which
Gateway it may be. The files are read again when they change.

Several podways may serve the same input: they send the same versions, so that an Envoy that
moves from one to another is sent nothing. SIGTERM makes podway not ready at once; it then lets
go of its Envoys one after the other, and keeps those current whose turn has not come. SIGHUP
changes nothing, for there is nothing to reload.

The log goes to standard error. Where nobody reads it, or it cannot be written, its lines are
lost, which it tells later, and podway goes on.`,
		Example: `  podway serve --config ./config
  podway serve --config ./config --log-format json --log-level debug

  # For Envoys on other hosts, with files that the command certs makes:
  podway serve --config ./config --xds-address 10.0.0.5:18000 --trust-domain podway.local --xds-cert certs/server.crt --xds-key certs/server.key --xds-client-ca certs/ca.crt

  # The same in plain text, on a network that is trusted:
  podway serve --config ./config --xds-address 10.0.0.5:18000 --insecure-xds`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&cfg.Directory, "config", "", "`DIR` of YAML to serve (required)")
	flags.StringVar(&cfg.XDSAddress, "xds-address", envoy.DefaultXDSAddress, "`HOST:PORT` to serve Envoys on")
	flags.StringVar(&cfg.AdminAddress, "admin-address", defaultAdminAddress, "`HOST:PORT` of the admin interface")
	flags.BoolVar(&cfg.InsecureXDS, "insecure-xds", false, "allow plain-text xDS on an address that is not loopback: whoever reaches it can read private keys")
	addXDSFlags(cmd, &cfg.XDS)
	flags.BoolVar(&cfg.Pprof, "pprof", false, "serve /debug/pprof on the admin interface")
	flags.StringVar(&cfg.State, "state", "", "`DIR` to keep in, for a restart, the last good Pods of each cluster, what stands in for what Envoys rejected, and the files of the configuration without Secrets (default none)")
	flags.IntVar(&cfg.Brake.Percent, "brake-percent", brake.Defaults.Percent,
		"hold Pods that lose readiness within 10 s if they are more than this `SHARE` of a tunnel's Pods in a cluster, in percent; 100 never holds")
	flags.IntVar(&cfg.Brake.MinPods, "brake-min-pods", brake.Defaults.MinPods, "hold only if at least this `NUMBER` of Pods lost readiness")
	flags.DurationVar(&cfg.Brake.Limit, "brake-limit", brake.Defaults.Limit, "end a hold after this `TIME`")
	completeDirectory(cmd)
	if err := cmd.MarkFlagDirname("state"); err != nil {
		panic(err) // only for a flag that is not there
	}
	complete(cmd, "brake-percent")
	complete(cmd, "brake-min-pods")
	complete(cmd, "brake-limit")
	complete(cmd, "xds-address")
	complete(cmd, "admin-address")
	limits := addLimitFlags(cmd)
	logs := addLogFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := requireFlags(cmd, "config"); err != nil {
			return err
		}
		if err := checkBrake(cfg.Brake); err != nil {
			return err
		}
		cfg.Files = *limits
		return serveAlone(cmd.Context(), cfg, logs, cmd.ErrOrStderr())
	}
	return cmd
}
