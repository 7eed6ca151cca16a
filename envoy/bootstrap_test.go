package envoy

import (
	"os"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

var edge = types.NamespacedName{Namespace: "edge", Name: "public"}

func TestBootstrapIsAcceptedByEnvoyWithoutAWarning(t *testing.T) {
	for name, cfg := range map[string]BootstrapConfig{
		"defaults":   {Gateway: edge},
		"a name":     {Gateway: edge, XDSAddress: "podway.edge.svc:18000"},
		"IPv6":       {Gateway: edge, XDSAddress: "[::1]:18000", AdminAddress: "[::1]:9901"},
		"everything": {Gateway: edge, NodeID: "envoy-0", XDSAddress: "127.0.0.2:1", AdminAddress: "127.0.0.1:0", MaxHeapBytes: 1 << 28, MaxConnections: 10},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := Bootstrap(cfg)
			require.NoError(t, err)
			require.NoError(t, b.ValidateAll())
			said, err := validate(t.Context(), "", b)
			require.NoError(t, err)
			require.Empty(t, said)
		})
	}
}

func TestBootstrapNamesNodeAfterHostAndGateway(t *testing.T) {
	b, err := Bootstrap(BootstrapConfig{Gateway: edge})
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, host, b.Node.Id)
	require.Equal(t, "edge/public", b.Node.Cluster)

	b, err = Bootstrap(BootstrapConfig{Gateway: edge, NodeID: "envoy-7"})
	require.NoError(t, err)
	require.Equal(t, "envoy-7", b.Node.Id)
}

func TestBootstrapRefusesWhatEnvoyCouldNotUse(t *testing.T) {
	for want, cfg := range map[string]BootstrapConfig{
		`gateway "/public": want NAMESPACE/NAME`:                                      {Gateway: types.NamespacedName{Name: "public"}},
		`admin address "localhost:9901": want IP:PORT`:                                {Gateway: edge, AdminAddress: "localhost:9901"},
		`xDS address "podway": want HOST:PORT`:                                        {Gateway: edge, XDSAddress: "podway"},
		`xDS address ":18000": the host is missing; an Envoy must know whom to ask`:   {Gateway: edge, XDSAddress: ":18000"},
		`xDS address "podway:xds": the port must be a number from 1 to 65535`:         {Gateway: edge, XDSAddress: "podway:xds"},
		`xDS address "podway:0": the port must be a number from 1 to 65535`:           {Gateway: edge, XDSAddress: "podway:0"},
		`xDS address "::1:18000": put an IPv6 address in brackets, as in [::1]:18000`: {Gateway: edge, XDSAddress: "::1:18000"},
		`xDS address "127.0.0.1:65536": the port must be a number from 1 to 65535`:    {Gateway: edge, XDSAddress: "127.0.0.1:65536"},
	} {
		_, err := Bootstrap(cfg)
		require.ErrorContains(t, err, want)
	}
}

func TestYAMLReadsBackAsTheSameMessageAndIsTheSameEachTime(t *testing.T) {
	b, err := Bootstrap(BootstrapConfig{Gateway: edge, NodeID: "envoy-0"})
	require.NoError(t, err)
	first, err := MarshalYAML(b)
	require.NoError(t, err)
	require.Contains(t, string(first), "set_node_on_first_message_only: true")
	require.Contains(t, string(first), `'@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions`)

	for range 20 {
		again, err := MarshalYAML(b)
		require.NoError(t, err)
		require.Equal(t, string(first), string(again))
	}

	json, err := yaml.YAMLToJSON(first)
	require.NoError(t, err)
	read := &bootstrapv3.Bootstrap{}
	require.NoError(t, protojson.Unmarshal(json, read))
	require.True(t, proto.Equal(b, read))
}
