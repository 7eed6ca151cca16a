package controlplane

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/xds"
)

func TestEnvoysOfOneNodeIDAreTold(t *testing.T) {
	var nodes []xds.SharedNode
	told := toldBy(newSharedWatch(func() []xds.SharedNode { return nodes }), partShared)
	check := func(now ...xds.SharedNode) []string {
		nodes = now
		return told()
	}
	of := func(node string) xds.SharedNode { return xds.SharedNode{Gateway: "edge/front", Node: node} }
	require.Empty(t, check())
	require.Equal(t, []string{"gateway.yaml: warning SharedNodeID: Gateway edge/front: several Envoys have one node.id (a): what they accept and reject counts as one " +
		"voice, and of which of them a Problem tells cannot be said; give each a node.id of its own (envoy --service-node); podway envoys a says from where they connect"}, check(of("a")))
	require.Contains(t, check(of("a"), of("b"), of("c"), of("d"), of("e"))[0], "several Envoys have one node.id (a, b, c, 2 more): ")
	require.Empty(t, check())

	var many []xds.SharedNode
	for i := range maxGatewaysTold + 2 {
		many = append(many, xds.SharedNode{Gateway: fmt.Sprintf("edge/gateway-%03d", i), Node: "a"})
	}
	all := check(many...)
	require.Len(t, all, maxGatewaysTold+1)
	require.Contains(t, all, "warning SharedNodeID: 2 Gateways besides have Envoys of which several have one node.id; see podway envoys")
}
