package controlplane

import (
	"fmt"

	"github.com/podway/podway/xds"
)

// codeSharedNodeID is a node.id that Envoys of several hosts have.
const codeSharedNodeID = "SharedNodeID"

// newSharedWatch tells of Gateways with Envoys that cannot be told apart. look is xds.Server.SharedNodes.
func newSharedWatch(look func() []xds.SharedNode) *gatewayWatch {
	return &gatewayWatch{
		code: codeSharedNodeID, others: "of which several have one node.id",
		look: func() []found {
			var all []found
			for _, node := range look() {
				all = append(all, found{gateway: node.Gateway, what: node.Node})
			}
			return all
		},
		words: func(nodes []string, named string) (message, remedy string) {
			return fmt.Sprintf("several Envoys have one node.id (%s): what they accept and reject counts as one voice, and of which of them a Problem tells cannot be said", named),
				fmt.Sprintf("give each a node.id of its own (envoy --service-node); podway envoys %s says from where they connect", nodes[0])
		},
	}
}
