package main

import (
	"github.com/spf13/cobra"

	"github.com/podway/podway/envoy"
)

func newBootstrapCommand() *cobra.Command {
	var gateway string
	var cfg envoy.BootstrapConfig
	var secure *bootstrapTLS
	cmd := &cobra.Command{
		Use:   "bootstrap --gateway NAMESPACE/NAME",
		Short: "Print the configuration that a Gateway's Envoys start with",
		Long: `Print, as YAML, the configuration with which an Envoy asks podway for all the rest over one
delta ADS stream. Its node's cluster is the Gateway; its node's id is the name of the host
that this command runs on, so run it where the Envoy will run, or give the Envoy
--service-node. The limits on heap and connections are those that Envoy's guide to edge
proxies asks for: set them to what the machine or container can bear.

Where podway serve asks for certificates, --xds-ca, --xds-client-cert and --xds-client-key
name the files with which the Envoy answers, and --dir the directory that envoy.yaml and
the two files for Envoy's secrets are written to. Envoy takes a new certificate into use
when it is moved into its directory.`,
		Example: `  podway bootstrap --gateway edge/front > envoy.yaml
  envoy -c envoy.yaml

  # A control plane elsewhere, a fleet that shares one file:
  podway bootstrap --gateway edge/front --xds-address podway.internal:18000 > envoy.yaml
  envoy -c envoy.yaml --service-node "$(hostname)"

  # With mTLS, the files of which the command certs makes:
  podway bootstrap --gateway edge/front --xds-ca certs/ca.crt --xds-client-cert certs/edge_front.crt --xds-client-key certs/edge_front.key --dir envoy
  envoy -c envoy/envoy.yaml`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := requireFlags(cmd, "gateway", "xds-address"); err != nil {
				return err
			}
			name, err := parseGateway(gateway)
			if err != nil {
				return err
			}
			cfg.Gateway = name
			if cfg.TLS, err = secure.config(); err != nil {
				return err
			}
			bootstrap, err := envoy.Bootstrap(cfg)
			if err != nil {
				return usageError{err}
			}
			data, err := envoy.MarshalYAML(bootstrap)
			if err != nil {
				return err
			}
			if secure.directory != "" {
				return secure.write(cmd, cfg.TLS, data)
			}
			return write(cmd.OutOrStdout(), data)
		},
	}
	addBootstrapFlags(cmd, &gateway, &cfg)
	secure = addBootstrapTLSFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&cfg.XDSAddress, "xds-address", envoy.DefaultXDSAddress, "`HOST:PORT` where the Envoys reach podway serve")
	flags.String("config", "", "`DIR` of YAML, only to complete --gateway in a shell")
	complete(cmd, "xds-address")
	return cmd
}

// addBootstrapFlags adds the flags that every bootstrap configuration has, with and without a control plane.
func addBootstrapFlags(cmd *cobra.Command, gateway *string, cfg *envoy.BootstrapConfig) {
	flags := cmd.Flags()
	flags.StringVar(gateway, "gateway", "", "`NAMESPACE/NAME` of the Gateway that the Envoys belong to (required)")
	flags.StringVar(&cfg.AdminAddress, "admin-address", envoy.DefaultAdminAddress, "`IP:PORT` of the Envoys' own admin interface; keep it on loopback")
	flags.StringVar(&cfg.NodeID, "node-id", "", "`ID` that tells the Envoys of a Gateway apart (default the name of this host)")
	flags.Uint64Var(&cfg.MaxHeapBytes, "max-heap-bytes", envoy.DefaultMaxHeapBytes, "`BYTES` of heap at which an Envoy protects itself; below the limit of its container")
	flags.Uint32Var(&cfg.MaxConnections, "max-connections", envoy.DefaultMaxConnections, "`COUNT` of client connections that an Envoy holds at a time")
	completeWith(cmd, "gateway", completeGateways)
	for _, name := range []string{"admin-address", "node-id", "max-heap-bytes", "max-connections"} {
		complete(cmd, name)
	}
}
