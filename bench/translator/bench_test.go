package translator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
)

// BenchmarkFirstState goes from a directory of YAML to all resources of a
// Gateway, its ClusterLoadAssignments too, encoded.
func BenchmarkFirstState(b *testing.B) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("tunnels=%d", size), func(b *testing.B) {
			directory := writeFleet(b, size)
			total := 0
			for b.Loop() {
				f := load(b, directory)
				total = 0
				for _, resource := range f.plan.Resources(public) {
					total += len(encode(b, resource))
				}
				names := f.plan.Tunnels(public)
				require.Len(b, names, size)
				for _, name := range names {
					total += len(encode(b, f.plan.Endpoints(name, f.live).Resource))
				}
			}
			b.ReportMetric(float64(total), "encoded-bytes")
		})
	}
}

// BenchmarkChangedPod goes from a Pod that is no longer ready to the encoded
// ClusterLoadAssignment of its tunnel. All sizes take turns, so that whatever
// else the machine does costs each the same; largest/smallest must stay about 1.
func BenchmarkChangedPod(b *testing.B) {
	changes := make([]*podChange, len(sizes))
	for i, size := range sizes {
		changes[i] = newPodChange(b, size)
	}
	taken := make([]time.Duration, len(sizes))
	for b.Loop() {
		for i, change := range changes {
			start := time.Now()
			change.apply(b)
			taken[i] += time.Since(start)
		}
	}
	b.ReportMetric(0, "ns/op") // of all sizes together: of no use
	for i, size := range sizes {
		b.ReportMetric(float64(taken[i])/float64(b.N), fmt.Sprintf("ns/tunnels=%d", size))
	}
	b.ReportMetric(float64(taken[len(sizes)-1])/float64(taken[0]), "largest/smallest")
}

// TestWorkForAChangedPodDoesNotGrowWithTheTunnels counts allocations, which do not depend on how busy the machine is.
func TestWorkForAChangedPodDoesNotGrowWithTheTunnels(t *testing.T) {
	few, many := newPodChange(t, 10), newPodChange(t, 200)
	want := testing.AllocsPerRun(20, func() { few.apply(t) })
	got := testing.AllocsPerRun(20, func() { many.apply(t) })
	t.Logf("%.0f allocations with 10 tunnels, %.0f with 200", want, got)
	// Memory that is used again may have been let go of in between. One allocation for each tunnel would be 190 more.
	require.InDelta(t, want, got, 10)
}

// podChange makes a Pod ready and not ready by turns.
type podChange struct {
	fleet *fleet
	key   pods.ServiceKey
	sets  [2]*pods.Set
	turn  int
}

func newPodChange(tb testing.TB, tunnels int) *podChange {
	tb.Helper()
	f := load(tb, writeFleet(tb, tunnels))

	c := &podChange{fleet: f, key: pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "service-7"}}
	c.sets[0] = f.pods[c.key]
	require.Len(tb, c.sets[0].Pods, podsOfATunnel/2)
	changed := slices.Clone(c.sets[0].Pods)
	changed[podsOfATunnel/4].Ready = false
	c.sets[1] = &pods.Set{Key: c.key, Pods: changed}
	return c
}

func (c *podChange) apply(tb testing.TB) {
	c.turn = 1 - c.turn
	c.fleet.pods[c.key] = c.sets[c.turn]
	for _, name := range c.fleet.plan.Users(c.key) {
		if len(encode(tb, c.fleet.plan.Endpoints(name, c.fleet.live).Resource)) == 0 {
			tb.Fatal("nothing was encoded")
		}
	}
}

// encode does what the server does once for a resource.
func encode(tb testing.TB, resource *api.Resource) []byte {
	if resource.Wire != nil {
		return resource.Wire
	}
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(resource.Message)
	if err != nil {
		tb.Fatal(err)
	}
	return bytes
}
