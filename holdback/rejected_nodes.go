package holdback

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podway/podway/api"
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
