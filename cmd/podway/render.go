package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/redact"
	"github.com/podway/podway/envoy"
	"github.com/podway/podway/watcher/files"
)

// The types of resources, as --type and the output call them.
const (
	typeClusters  = "clusters"
	typeEndpoints = "endpoints"
	typeListeners = "listeners"
	typeRoutes    = "routes"
	typeSecrets   = "secrets"
)

var renderTypes = []string{typeClusters, typeEndpoints, typeListeners, typeRoutes, typeSecrets}

// renderOptions are the flags of podway render.
type renderOptions struct {
	directory, gateway, kind, selector string
	bootstrap                          bool
	output                             outputFormat
	envoy                              envoy.BootstrapConfig
	limits                             *files.Options
}

func newRenderCommand() *cobra.Command {
	options := renderOptions{output: outputYAML}
	cmd := &cobra.Command{
		Use:   "render --config DIR --gateway NAMESPACE/NAME",
		Short: "Print the Envoy resources that a Gateway's Envoys would get",
		Long: `Print the Envoy resources of a Gateway by type, as podway serve would send them. Private keys
and the like are left out.

With --bootstrap, print one static configuration instead, with everything in it, that an
Envoy runs without a control plane. It contains the private keys of HTTPS listeners and
client certificates: keep the file as you keep those.

Problems do not stop it: what is in force is printed. podway validate prints the Problems.`,
		Example: `  podway render --config ./config --gateway edge/front
  podway render --config ./config --gateway edge/front --type endpoints -l team=payments

  # An Envoy without a control plane:
  (umask 077; podway render --config ./config --gateway edge/front --bootstrap > static.yaml)
  envoy --mode validate -c static.yaml`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runRender(cmd, &options) },
	}
	addBootstrapFlags(cmd, &options.gateway, &options.envoy)
	flags := cmd.Flags()
	flags.StringVar(&options.directory, "config", "", "`DIR` of YAML to read (required)")
	flags.StringVar(&options.kind, "type", "", "only resources of this `TYPE`: "+strings.Join(renderTypes, ", "))
	flags.StringVarP(&options.selector, "selector", "l", "", "only clusters, endpoints and secrets of tunnels whose tags match this label `SELECTOR`")
	flags.BoolVar(&options.bootstrap, "bootstrap", false, "print one static configuration with everything in it, private keys too")
	flags.VarP(&options.output, "output", "o", "`FORMAT` to print: yaml or json")
	complete(cmd, "type", renderTypes...)
	complete(cmd, "output", "yaml", "json")
	completeDirectory(cmd)
	options.limits = addLimitFlags(cmd)
	return cmd
}

func runRender(cmd *cobra.Command, options *renderOptions) error {
	if err := options.check(cmd); err != nil {
		return err
	}
	gateway, err := parseGateway(options.gateway)
	if err != nil {
		return err
	}
	selector, err := parseSelector(options.selector)
	if err != nil {
		return err
	}
	loaded, err := load([]string{options.directory}, *options.limits)
	if err != nil {
		return err
	}
	resources, err := loaded.resources(gateway)
	if err != nil {
		return err
	}
	if options.bootstrap {
		return printStatic(cmd, options, gateway, resources)
	}
	if options.selector != "" {
		resources = ofTunnels(resources, loaded.tunnels(selector))
	}
	return printResources(cmd, options, resources)
}

func (o *renderOptions) check(cmd *cobra.Command) error {
	if err := requireFlags(cmd, "config", "gateway"); err != nil {
		return err
	}
	if o.kind != "" && !slices.Contains(renderTypes, o.kind) {
		return usagef("--type %q: must be one of %s", o.kind, strings.Join(renderTypes, ", "))
	}
	if o.bootstrap && (o.kind != "" || o.selector != "") {
		return usagef("--bootstrap prints everything: leave out --type and --selector")
	}
	if o.output == outputTable {
		return usagef("-o table: podway render prints yaml or json")
	}
	return nil
}

// printStatic prints the configuration of an Envoy without a control plane.
func printStatic(cmd *cobra.Command, options *renderOptions, gateway types.NamespacedName, resources []*api.Resource) error {
	options.envoy.Gateway = gateway
	static, err := envoy.Static(options.envoy, resources)
	if err != nil {
		return fmt.Errorf("writing a static configuration for %s: %w", gateway, err)
	}
	if hasSecrets(resources) {
		cmd.PrintErrln("podway: warning: the output contains private keys; keep it where only Envoy reads it")
	}
	if options.output == outputJSON {
		value, err := toJSON(static)
		if err != nil {
			return err
		}
		return printData(cmd.OutOrStdout(), outputJSON, value)
	}
	data, err := envoy.MarshalYAML(static)
	if err != nil {
		return err
	}
	return write(cmd.OutOrStdout(), data)
}

// printResources prints resources by type, each type sorted by name, without their secrets.
func printResources(cmd *cobra.Command, options *renderOptions, resources []*api.Resource) error {
	byType := map[string][]json.RawMessage{}
	for _, kind := range renderTypes {
		if options.kind == "" || options.kind == kind {
			byType[kind] = []json.RawMessage{}
		}
	}
	sorted := slices.Clone(resources)
	slices.SortFunc(sorted, func(a, b *api.Resource) int { return strings.Compare(a.Name, b.Name) })
	for _, resource := range sorted {
		kind := typeOf(resource)
		if options.kind != "" && options.kind != kind {
			continue
		}
		message, err := redact.Message(resource.Message)
		if err != nil {
			return fmt.Errorf("%s: %w", resource.Name, err)
		}
		value, err := toJSON(message)
		if err != nil {
			return fmt.Errorf("%s: %w", resource.Name, err)
		}
		byType[kind] = append(byType[kind], value)
	}
	return printData(cmd.OutOrStdout(), options.output, byType)
}

// toJSON writes a message with the names that Envoy's documentation uses.
func toJSON(message proto.Message) (json.RawMessage, error) {
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	return data, nil
}

func typeOf(resource *api.Resource) string {
	switch resource.Type {
	case resourcev3.ClusterType:
		return typeClusters
	case resourcev3.EndpointType:
		return typeEndpoints
	case resourcev3.ListenerType:
		return typeListeners
	case resourcev3.RouteType:
		return typeRoutes
	case resourcev3.SecretType:
		return typeSecrets
	}
	return resource.Type
}

func hasSecrets(resources []*api.Resource) bool {
	return slices.ContainsFunc(resources, func(r *api.Resource) bool {
		secret, ok := r.Message.(*tlsv3.Secret)
		return ok && secret.GetValidationContext() == nil
	})
}

// ofTunnels keeps the clusters and endpoints of tunnels, and the secrets that those clusters need.
func ofTunnels(resources []*api.Resource, tunnels []types.NamespacedName) []*api.Resource {
	names := map[string]bool{}
	for _, tunnel := range tunnels {
		names["tunnel/"+tunnel.String()] = true
	}
	needed := map[api.ResourceKey]bool{}
	for _, resource := range resources {
		if names[resource.Name] {
			needed[resource.ResourceKey] = true
			for _, need := range resource.Needs {
				needed[need] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(resources), func(r *api.Resource) bool { return !needed[r.ResourceKey] })
}
