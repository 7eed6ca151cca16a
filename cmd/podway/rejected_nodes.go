package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/translator"
	"github.com/podway/podway/xds"
)

// The limits of what a Problem names.
const (
	maxNamedNodes  = 5
	maxNamedOwners = 5
)

// rejectingNodes are the Envoys that refused one content. Once there are more than a message names, no more are remembered: podway envoys
// lists them all.
type rejectingNodes []string

// with returns the nodes with one more, and whether that changes what is said of them.
func (n rejectingNodes) with(node string) (rejectingNodes, bool) {
	if node == "" || len(n) > maxNamedNodes || slices.Contains(n, node) {
		return n, false
	}
	return append(slices.Clone(n), node), true
}

// without are the nodes but for some.
func (n rejectingNodes) without(nodes map[string]bool) rejectingNodes {
	return slices.DeleteFunc(slices.Clone(n), func(node string) bool { return nodes[node] })
}

// countedNodes is "12 Envoys of the Gateway edge/front (envoy-1, envoy-2 and 10 more)", where all of them are known.
func countedNodes(nodes []string, view string) string {
	if len(nodes) <= maxNamedNodes {
		return rejectingNodes(nodes).of(view)
	}
	return fmt.Sprintf("%d Envoys of the Gateway %s (%s and %d more)", len(nodes), view, strings.Join(nodes[:maxNamedNodes], ", "), len(nodes)-maxNamedNodes)
}

// of is "an Envoy of the Gateway edge/front (envoy-1)".
func (n rejectingNodes) of(view string) string {
	named := slices.Sorted(slices.Values(n[:min(len(n), maxNamedNodes)]))
	switch {
	case len(n) == 0:
		return "an Envoy of the Gateway " + view
	case len(n) == 1:
		return fmt.Sprintf("an Envoy of the Gateway %s (%s)", view, named[0])
	case len(n) > maxNamedNodes:
		return fmt.Sprintf("Envoys of the Gateway %s (%s and others)", view, strings.Join(named, ", "))
	}
	return fmt.Sprintf("%d Envoys of the Gateway %s (%s)", len(n), view, strings.Join(named, ", "))
}

// rejectionProblem tells of a rejected resource, of the nodes that rejected it.
func rejectionProblem(rejection xds.Rejection, resource *api.Resource, nodes rejectingNodes, cfg *snapshot.Config) api.Problem {
	// The generations are those that were rejected, which need not be those that are served by now.
	blamed, field := translator.Blame(&api.Resource{ResourceKey: rejection.Key, Message: resource.Message, Wire: resource.Wire, Owners: rejection.Owners}, rejection.Message, cfg)
	message := strings.TrimRight(rejection.Message, ".\n ")
	problem := api.Problem{
		Code: codeRejectedByEnvoy, Severity: api.Error, Object: blamed.ObjectRef, Generation: blamed.Generation, Field: field,
		Message: fmt.Sprintf("%s %s %s: %s", nodes.of(api.GatewayOf(rejection.View)), verb(len(nodes)), rejection.Key.Name, message),
		Remedy: "change what the message names or, if only these of the Gateway's Envoys reject it, see what is different about them; " +
			"until then they keep the last version that they accepted",
	}
	if owners := rejection.Owners; len(owners) > 1 && blamed == owners[0] {
		problem.Message += "; it is also made of " + ownerList(owners[1:])
	}
	return problem
}

func verb(nodes int) string {
	if nodes > 1 {
		return "reject"
	}
	return "rejects"
}

func ownerList(owners []api.Owner) string {
	var names []string
	for _, owner := range owners[:min(len(owners), maxNamedOwners)] {
		names = append(names, owner.ObjectRef.String())
	}
	if more := len(owners) - len(names); more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), more)
	}
	return strings.Join(names, ", ")
}
