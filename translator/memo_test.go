package translator

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api/pki"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// next is a later picture: the same objects in maps of its own.
func next(cfg *snapshot.Config) *snapshot.Config {
	later := *cfg
	later.Tunnels, later.MemberClusters = maps.Clone(cfg.Tunnels), maps.Clone(cfg.MemberClusters)
	later.Services, later.Synced = maps.Clone(cfg.Services), maps.Clone(cfg.Synced)
	later.Secrets, later.ConfigMaps = maps.Clone(cfg.Secrets), maps.Clone(cfg.ConfigMaps)
	later.ReferenceGrants = maps.Clone(cfg.ReferenceGrants)
	return &later
}

func edge(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "edge", Name: name}
}

// TestOnlyTheTunnelsConcernedAreMadeAgain changes one thing at a time of the good configuration of the property test.
func TestOnlyTheTunnelsConcernedAreMadeAgain(t *testing.T) {
	docs, _ := parsedDocs(t)
	p, err := newPicture(encoded(t, docs))
	require.NoError(t, err)
	first := Translate(p.cfg, nil)
	service := pods.ServiceKey{Cluster: "m-1", Namespace: "default", Name: "httpbin"}
	trust := types.NamespacedName{Namespace: "trust-1", Name: "authority"}
	for name, test := range map[string]struct {
		change func(*snapshot.Config)
		made   []string
		// code is that of a Problem of the tunnel afterwards.
		code string
	}{
		"nothing":      {change: func(*snapshot.Config) {}},
		"the tunnel":   {change: func(c *snapshot.Config) { c.Tunnels[edge("t-1")] = c.Tunnels[edge("t-1")].DeepCopy() }, made: []string{"t-1"}},
		"its cluster":  {change: func(c *snapshot.Config) { delete(c.MemberClusters, "m-1") }, made: []string{"t-1"}, code: codeMissingCluster},
		"its Service":  {change: func(c *snapshot.Config) { delete(c.Services, service) }, made: []string{"t-1"}, code: codeMissingService},
		"its grant":    {change: func(c *snapshot.Config) { clear(c.ReferenceGrants) }, made: []string{"t-0", "t-1", "t-2", "t-3"}, code: codeReferenceNotGranted},
		"one grant":    {change: func(c *snapshot.Config) { delete(c.ReferenceGrants, trust) }, made: []string{"t-1"}, code: codeReferenceNotGranted},
		"other grants": {change: func(c *snapshot.Config) { c.ReferenceGrants[edge("new")] = &gatewayv1.ReferenceGrant{} }},
		"its Secret":   {change: func(c *snapshot.Config) { delete(c.Secrets, edge("pair-1")) }, made: []string{"t-1"}, code: codeMissingSecret},
		"its authority": {
			change: func(c *snapshot.Config) { c.ConfigMaps[trust] = &corev1.ConfigMap{} }, made: []string{"t-1"}, code: pki.CodeMissingKey,
		},
		"another Secret": {change: func(c *snapshot.Config) { c.Secrets[edge("new")] = &corev1.Secret{} }},
		"a day":          {change: func(c *snapshot.Config) { c.Now = c.Now.AddDate(0, 0, 1) }},
		"ten years": {
			change: func(c *snapshot.Config) { c.Now = c.Now.AddDate(10, 0, 0) },
			made:   []string{"t-0", "t-1", "t-2", "t-3"}, code: codeCertificateExpired,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := next(p.cfg)
			test.change(cfg)
			plan := Translate(cfg, first)
			var made []string
			for i := range households {
				name := fmt.Sprintf("t-%d", i)
				if plan.tunnels[edge(name)] != first.tunnels[edge(name)] {
					made = append(made, name)
				}
			}
			require.Equal(t, test.made, made)
			if test.code != "" {
				require.Equal(t, test.code, plan.tunnels[edge("t-1")].problems[0].Code)
			}
			// And the memory changes nothing in the outcome.
			require.Equal(t, parts(p, Translate(cfg, nil)), parts(p, plan))
			require.Equal(t, Translate(cfg, nil).Problems(), plan.Problems())
		})
	}
}

// TestDrainingAClusterChangesNoCluster and neither do its Pods: only the endpoints differ.
func TestDrainingAClusterChangesNoCluster(t *testing.T) {
	docs, _ := parsedDocs(t)
	p, err := newPicture(encoded(t, docs))
	require.NoError(t, err)
	first := Translate(p.cfg, nil)
	cfg := next(p.cfg)
	drained := cfg.MemberClusters["m-1"].DeepCopy()
	drained.Spec.TrafficPolicy = v1alpha1.TrafficPolicyDrained
	cfg.MemberClusters["m-1"] = drained
	plan := Translate(cfg, first)
	require.Same(t, first.tunnels[edge("t-1")].cluster, plan.tunnels[edge("t-1")].cluster)
	require.NotEqual(t, first.Endpoints(edge("t-1"), p.live).Resource.Wire, plan.Endpoints(edge("t-1"), p.live).Resource.Wire)
	require.Contains(t, plan.Services(), pods.ServiceKey{Cluster: "m-1", Namespace: "default", Name: "httpbin"}, "its Pods are still known")
}

func TestUsersAreTheTunnelsOfAService(t *testing.T) {
	p := mustPicture(t, goldens(t)["tunnel-weights"])
	plan := Translate(p.cfg, nil)
	east := pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "httpbin"}
	require.Equal(t, []types.NamespacedName{edge("equal"), edge("far-apart"), edge("sum")}, plan.Users(east))
	require.Equal(t, []types.NamespacedName{edge("sum")}, plan.Users(pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "also-httpbin"}))
	require.Empty(t, plan.Users(pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "other"}))
	require.Equal(t, map[pods.ServiceKey]Need{
		east: {}, {Cluster: "west", Namespace: "default", Name: "httpbin"}: {}, {Cluster: "east", Namespace: "default", Name: "also-httpbin"}: {},
	}, plan.Services())
	require.True(t, Translate(mustPicture(t, goldens(t)["tunnel-pod-selector"]).cfg, nil).Services()[east].Labels)
}

// TestUsesAreThePodsThatAreTaken leaves out those of weight 0, of drained clusters and of clusters that are not known.
func TestUsesAreThePodsThatAreTaken(t *testing.T) {
	east := pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "httpbin"}
	for _, test := range []struct {
		picture, tunnel string
		// want is each Service with the selector after it, in the tunnel's order.
		want []string
	}{
		{"tunnel-weights", "equal", []string{"east:default/httpbin"}},
		{"tunnel-weights", "sum", []string{"east:default/httpbin", "east:default/also-httpbin"}},
		{"tunnel-drained", "half", []string{"east:default/httpbin"}},
		{"tunnel-drained", "all", nil},
		{"tunnel-unknown", "half", []string{"east:default/httpbin"}},
		{"tunnel-tls-problems", "missing-key", nil},
		{"tunnel-weights", "never-heard-of", nil},
	} {
		var got []string
		for _, use := range Translate(mustPicture(t, goldens(t)[test.picture]).cfg, nil).Uses(edge(test.tunnel)) {
			got = append(got, use.Service.String())
			require.Nil(t, use.Selector)
		}
		require.Equal(t, test.want, got, test)
	}
	split := Translate(mustPicture(t, goldens(t)["tunnel-pod-selector"]).cfg, nil).Uses(edge("split"))
	require.Len(t, split, 2)
	require.Equal(t, []pods.ServiceKey{east, east}, []pods.ServiceKey{split[0].Service, split[1].Service})
	require.Equal(t, "version=v1 version=v2", split[0].Selector.String()+" "+split[1].Selector.String())
}

func TestEndpointsOfATunnelThatIsNotInForce(t *testing.T) {
	p := mustPicture(t, goldens(t)["tunnel-tls-problems"])
	plan := Translate(p.cfg, nil)
	require.Equal(t, Endpoints{}, plan.Endpoints(edge("missing-key"), p.live))
	require.Equal(t, Endpoints{}, plan.Endpoints(edge("never-heard-of"), p.live))
	require.NotContains(t, plan.AllTunnels(), edge("missing-key"))
}
