package holdback

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRejectingNodesAreNamedUpToALimit(t *testing.T) {
	var nodes rejectingNodes
	var said []string
	for _, node := range []string{"e", "e", "d", "c", "b", "a", "f", "g"} {
		var changed bool
		if nodes, changed = nodes.with(node); changed {
			said = append(said, nodes.of("edge/front"))
		}
	}
	assert.Equal(t, []string{
		"an Envoy of the Gateway edge/front (e)",
		"2 Envoys of the Gateway edge/front (d, e)",
		"3 Envoys of the Gateway edge/front (c, d, e)",
		"4 Envoys of the Gateway edge/front (b, c, d, e)",
		"5 Envoys of the Gateway edge/front (a, b, c, d, e)",
		"Envoys of the Gateway edge/front (a, b, c, d, e and others)",
	}, said)
}
