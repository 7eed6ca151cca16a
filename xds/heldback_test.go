package xds

import (
	"testing"
	"time"

	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// TestWhatIsHeldBackIsToldOfTheEnvoysThatRejectedIt though they have acknowledged what stands in for it.
func TestWhatIsHeldBackIsToldOfTheEnvoysThatRejectedIt(t *testing.T) {
	w := newWorld(t, quick(), cluster("a", 1))
	one, two := w.deltaNode("envoy-1"), w.deltaNode("envoy-2")
	for _, c := range []*deltaClient{one, two} {
		c.subscribe(clusterType)
		c.want(clusterType, "a")
		c.quiet()
	}
	tunnel := api.ObjectRef{Kind: "Tunnel", Namespace: "edge", Name: "a"}
	at := time.Now()
	back := api.HeldBack{Key: cluster("a", 2).ResourceKey, Version: "bad", Message: "no good", At: at, Object: tunnel, Field: "spec.tls", Nodes: []string{"envoy-1"}}
	gone := api.HeldBack{Key: cluster("gone", 2).ResourceKey, Version: "worse", Message: "no", At: at, Nodes: []string{"envoy-1"}}
	w.server.SetHeldBack(map[string][]api.HeldBack{gateway: {back, gone}, "edge/other": {back}})

	streams := w.server.Streams()
	of := streams[0].Types[0]
	require.True(t, of.IsRejecting())
	require.Equal(t, []int{1, 1, 0, 0, 2}, []int{of.Wanted, of.Current, of.Behind, of.Declined, of.HeldBack})
	require.Equal(t, []RejectedStatus{
		{Name: "a", Version: "bad", HeldBack: true, Message: "no good", At: at, Object: tunnel, Field: "spec.tls"},
		{Name: "gone", Version: "worse", HeldBack: true, Message: "no", At: at},
	}, of.Rejected)
	require.False(t, streams[1].Types[0].IsRejecting())

	clients := inspect(t, w.csds(), &statusv3.ClientStatusRequest{})
	require.Equal(t, []string{"cds a ERROR", "cds gone ERROR"}, told(clients[0]))
	require.Equal(t, []string{"cds a SYNCED"}, told(clients[1]))
	config := configOf(t, clients[0], "a")
	require.Equal(t, versionOfResource(t, cluster("a", 1)), config.GetVersionInfo())
	require.NotNil(t, config.GetXdsConfig())
	require.Equal(t, "bad", config.GetErrorState().GetVersionInfo())
	require.Equal(t, "no good", config.GetErrorState().GetDetails())
	require.True(t, at.Equal(config.GetErrorState().GetLastUpdateAttempt().AsTime()))
	require.Nil(t, configOf(t, clients[1], "a").GetErrorState())

	w.both([]*api.Resource{cluster("a", 1)}, []*api.Resource{cluster("a", 1)})
	w.members("envoy-1")
	require.False(t, w.server.Streams()[0].Types[0].IsRejecting(), "it is held back in a view that is not the Envoy's any more")
	require.Equal(t, []string{"cds a SYNCED"}, told(inspect(t, w.csds(), &statusv3.ClientStatusRequest{})[0]))
	w.server.SetHeldBack(map[string][]api.HeldBack{few: {back}})
	require.Equal(t, 1, w.server.Streams()[0].Types[0].HeldBack)
	require.Equal(t, []string{"cds a ERROR"}, told(inspect(t, w.csds(), &statusv3.ClientStatusRequest{})[0]))

	w.server.SetHeldBack(nil)
	require.False(t, w.server.Streams()[0].Types[0].IsRejecting())
	require.Equal(t, []string{"cds a SYNCED"}, told(inspect(t, w.csds(), &statusv3.ClientStatusRequest{})[0]))
}
