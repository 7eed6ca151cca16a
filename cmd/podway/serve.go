package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/podway/podway/envoy"
	"github.com/podway/podway/watcher/files"
	"github.com/podway/podway/xds"
)

// defaultAdminAddress is where podway serve answers people and scrapers.
const defaultAdminAddress = "127.0.0.1:19000"

// serveConfig is what a running control plane needs. podway demo runs one too.
type serveConfig struct {
	Directory    string
	XDSAddress   string
	AdminAddress string
	// InsecureXDS allows plain text on an address that is not loopback.
	InsecureXDS bool
	// XDS says who may connect there; the zero value is plain text with the default limits.
	XDS xdsOptions
	// access is what XDS says, once its files have been read.
	access *xds.Access
	Pprof  bool
	Log    *slog.Logger
	// Limits of what is read; the zero value has the defaults.
	Limits files.Options
	// OnReady, if not nil, is called once, when the first complete state is served, with the addresses that the ports are open on.
	OnReady func(xds, admin string)
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

The admin interface answers /healthz, /readyz, /problems and /metrics.

xDS carries the private keys of HTTPS listeners. On loopback it is plain text unless told
otherwise. With --xds-cert, --xds-key, --xds-client-ca and --trust-domain it is mTLS: the
one URI SAN of an Envoy's certificate, spiffe://DOMAIN/gateway/NAMESPACE/NAME, says which
Gateway it may be. The files are read again when they change.`,
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
	completeDirectory(cmd)
	complete(cmd, "xds-address")
	complete(cmd, "admin-address")
	limits := addLimitFlags(cmd)
	logs := addLogFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := requireFlags(cmd, "config"); err != nil {
			return err
		}
		cfg.Limits = *limits
		cfg.Log = logs.logger(cmd.ErrOrStderr())
		return serve(cmd.Context(), cfg)
	}
	return cmd
}
