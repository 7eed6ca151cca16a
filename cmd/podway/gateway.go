package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podway/podway/translator"
	"github.com/podway/podway/watcher/files"
)

// parseGateway reads the value of --gateway.
func parseGateway(value string) (types.NamespacedName, error) {
	namespace, name, found := strings.Cut(value, "/")
	if !found || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return types.NamespacedName{}, usagef("--gateway %q: want NAMESPACE/NAME, such as edge/front", value)
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, nil
}

// completeGateways offers the Gateways of the directory that --config names.
func completeGateways(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp
	directory, err := cmd.Flags().GetString("config")
	if err != nil || directory == "" {
		return nil, directive
	}
	loaded, err := load([]string{directory}, files.Options{})
	if err != nil {
		return nil, directive
	}
	var names []cobra.Completion
	for _, name := range gatewayNames(loaded.plan) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, directive
}

// gatewayNames returns the Gateways that the plan serves, sorted.
func gatewayNames(plan *translator.Plan) []string {
	var names []string
	for _, gateway := range plan.Gateways() {
		names = append(names, gateway.String())
	}
	slices.Sort(names)
	return names
}
