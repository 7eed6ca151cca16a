package translator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// TestPlanAfterPlanIsThatOfTheWhole changes one thing after the other at random, in pictures that share the maps in which nothing changed.
func TestPlanAfterPlanIsThatOfTheWhole(t *testing.T) {
	docs, _ := parsedDocs(t)
	for seed := range uint64(3) {
		random := rand.New(rand.NewPCG(seed, 3))
		p, err := newPicture(encoded(t, docs))
		require.NoError(t, err)
		original := p.cfg
		cfg, plan := p.cfg, Translate(p.cfg, nil)
		for step := range 60 {
			next := *cfg
			what := changeAtRandom(original, &next, random)
			cfg, plan = &next, Translate(&next, plan)
			p.cfg = cfg
			want := Translate(cfg, nil)
			at := fmt.Sprintf("seed %d, step %d: %s", seed, step, what)
			require.Equal(t, want.Problems(), plan.Problems(), at)
			require.Equal(t, parts(p, want), parts(p, plan), at)
			require.Equal(t, want.AllTunnels(), plan.AllTunnels(), at)
			require.Equal(t, want.Services(), plan.Services(), at)
			for _, gateway := range want.Gateways() {
				require.Equal(t, want.Tunnels(gateway), plan.Tunnels(gateway), at)
				require.Equal(t, want.AttachedRoutes(gateway), plan.AttachedRoutes(gateway), at)
				sameSources(t, want.Resources(gateway), plan.Resources(gateway), at)
			}
		}
	}
}

func sameSources(t *testing.T, want, got []*api.Resource, at string) {
	t.Helper()
	require.Len(t, got, len(want), at)
	for i := range want {
		require.True(t, want[i].Equal(got[i]), at+": "+want[i].Name)
		require.Equal(t, want[i].Sources, got[i].Sources, at+": "+want[i].Name)
	}
}

// changeAtRandom changes one object of one of the households, or brings back what it was.
func changeAtRandom(original, cfg *snapshot.Config, random *rand.Rand) string {
	i := random.IntN(households)
	tunnel, route, member := edge(fmt.Sprintf("t-%d", i)), edge(fmt.Sprintf("r-%d", i)), fmt.Sprintf("m-%d", i)
	changed := cfg.Tunnels[tunnel]
	if changed == nil {
		changed = original.Tunnels[tunnel]
	}
	changed = changed.DeepCopy()
	what := random.IntN(12)
	switch what {
	case 0, 1:
		weight := int32(random.IntN(101))
		changed.Spec.Services[0].PodWeight = &weight
	case 2:
		changed.Spec.HostHeader = [...]string{"", "other.internal"}[random.IntN(2)]
	case 3:
		changed.Spec.Network = [...]string{"vpc", "", "another"}[random.IntN(3)]
	case 4:
		changed.Spec.Services[0].Cluster = fmt.Sprintf("m-%d", random.IntN(households+1))
	case 5:
		changed.Spec.TLS = nil
	case 6:
		cfg.Tunnels = without(cfg.Tunnels, tunnel)
	case 7:
		cfg.HTTPRoutes = maps.Clone(cfg.HTTPRoutes)
		later := original.HTTPRoutes[route].DeepCopy()
		later.Spec.Rules = later.Spec.Rules[random.IntN(3):]
		cfg.HTTPRoutes[route] = later
	case 8:
		cfg.HTTPRoutes = without(cfg.HTTPRoutes, route)
	case 9:
		cfg.MemberClusters = maps.Clone(cfg.MemberClusters)
		if delete(cfg.MemberClusters, member); random.IntN(2) == 0 {
			cfg.MemberClusters[member] = original.MemberClusters[member]
		}
	case 10:
		name := types.NamespacedName{Namespace: fmt.Sprintf("trust-%d", i), Name: "authority"}
		cfg.ReferenceGrants = without(cfg.ReferenceGrants, name)
	case 11:
		now := cfg.Now
		*cfg = *original
		cfg.Now = now.AddDate(random.IntN(3), 0, 0)
	}
	if what < 6 {
		cfg.Tunnels = maps.Clone(cfg.Tunnels)
		cfg.Tunnels[tunnel] = changed
	}
	return fmt.Sprintf("change %d of household %d", what, i)
}

func without[V any](objects map[types.NamespacedName]V, name types.NamespacedName) map[types.NamespacedName]V {
	objects = maps.Clone(objects)
	delete(objects, name)
	return objects
}
