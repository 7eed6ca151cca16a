package controlplane

import (
	"testing"

	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

func TestRejectionNamesTheHTTPRouteAndTheNodes(t *testing.T) {
	b := newBench(t)
	made := b.resource("edge/front", resourcev3.RouteType, "gateway/edge/front/8080")
	for _, node := range []string{"two", "one"} {
		b.pipeline.rejected.Add(api.Rejection{
			Node: node, View: "edge/front", Key: made.ResourceKey, Version: "v", Owners: made.Owners,
			Message: "Proto constraint validation failed (RouteConfigurationValidationError.VirtualHosts[0]: embedded message failed validation | " +
				"caused by VirtualHostValidationError.Routes[0]: embedded message failed validation | caused by RouteValidationError.Match: value is required)",
		})
	}
	problems := b.board.all()
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].String(), "testdata/base/gateway.yaml:")
	assert.Contains(t, problems[0].String(), "error RejectedByEnvoy: HTTPRoute edge/hello spec.rules[0].matches[0]: 2 Envoys of the Gateway edge/front (one, two) reject gateway/edge/front/8080: Proto")
	b.pipeline.rejected.Add(api.Rejection{Node: "one", View: "edge/front", Key: made.ResourceKey, Version: "w", Owners: made.Owners, Message: "no clue about a domain"})
	problems = b.board.all()
	require.Len(t, problems, 1)
	assert.Contains(t, problems[0].String(), "Gateway edge/front: an Envoy of the Gateway edge/front (one) rejects gateway/edge/front/8080: no clue about a domain; it is also made of HTTPRoute edge/hello; change")
	object, field, known := b.pipeline.rejected.Origin("edge/front", made.ResourceKey)
	assert.Equal(t, []any{"Gateway edge/front", "", true}, []any{object.String(), field, known})
}
