package controlplane

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
	"github.com/podway/podway/test/locked"
	"github.com/podway/podway/xds"
)

// behindBench is a watch, and what it looks at and tells.
type behindBench struct {
	*testing.T
	watch    *behindWatch
	behind   []xds.Behind
	board    *problemBoard
	log      *locked.Buffer
	registry *prometheus.Registry
	begun    time.Time
}

func newBehindBench(t *testing.T) *behindBench {
	t.Helper()
	b := &behindBench{T: t, log: &locked.Buffer{}, registry: prometheus.NewRegistry(), begun: time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)}
	b.board = newProblemBoard(slog.New(slog.NewTextHandler(b.log, nil)))
	b.watch = newBehindWatch(func(longer time.Duration) []xds.Behind {
		require.Equal(t, 30*time.Second, longer)
		return b.behind
	}, func(problem api.Problem) api.Problem {
		problem.File = "gateway.yaml"
		return problem
	}, func(problems []api.Problem) { b.board.set(partBehind, problems) }, b.registry)
	return b
}

// check looks so long after the beginning, and returns what is told.
func (b *behindBench) check(after time.Duration) []string {
	b.Helper()
	b.watch.check(b.begun.Add(after))
	told := []string{}
	for _, problem := range b.board.all() {
		told = append(told, problem.String())
	}
	return told
}

func (b *behindBench) gauge() map[string]float64 {
	b.Helper()
	families, err := b.registry.Gather()
	require.NoError(b, err)
	require.Equal(b, "podway_xds_envoys_behind", families[0].GetName())
	values := map[string]float64{}
	for _, metric := range families[0].GetMetric() {
		values[metric.GetLabel()[0].GetValue()] = metric.GetGauge().GetValue()
	}
	return values
}

func (b *behindBench) one(node, typeURL string, count int) xds.Behind {
	return xds.Behind{Node: node, Gateway: "edge/front", Type: typeURL, Count: count, Since: b.begun}
}

func TestEnvoyThatIsBehindIsAProblemUntilItIsNot(t *testing.T) {
	b := newBehindBench(t)
	assert.Empty(t, b.check(0))
	assert.Equal(t, map[string]float64{"sds": 0, "cds": 0, "eds": 0, "lds": 0, "rds": 0}, b.gauge())
	b.behind = []xds.Behind{b.one("envoy-1", resource.ClusterType, 3)}
	want := []string{"gateway.yaml: warning EnvoyBehind: Gateway edge/front: the Envoy envoy-1 has not acknowledged 3 resources (cds) since 2026-01-02T15:00:00Z; " +
		"see podway envoys envoy-1, and that Envoy's log; one that is stuck has to be restarted"}
	assert.Equal(t, want, b.check(31*time.Second))
	assert.Equal(t, map[string]float64{"sds": 0, "cds": 1, "eds": 0, "lds": 0, "rds": 0}, b.gauge())
	for i := range 100 {
		b.behind = []xds.Behind{b.one("envoy-1", resource.ClusterType, 4+i)}
		assert.Equal(t, want, b.check(time.Hour), "what is told does not change")
	}
	b.behind = nil
	assert.Empty(t, b.check(2*time.Hour))
	assert.Equal(t, 0.0, b.gauge()["cds"])
	assert.Equal(t, []int{1, 1}, []int{strings.Count(b.log.String(), "Problem appeared"), strings.Count(b.log.String(), "Problem resolved")})
}

func TestManyEnvoysThatAreBehindAreOneProblemForEachGateway(t *testing.T) {
	b := newBehindBench(t)
	for i := range 1000 {
		b.behind = append(b.behind, b.one(fmt.Sprintf("envoy-%04d", i), resource.EndpointType, 1))
	}
	b.behind[7].Since = b.begun.Add(-time.Minute)
	b.behind = append(b.behind, b.one("envoy-0000", resource.ClusterType, 1))
	want := "Gateway edge/front: 1000 Envoys have not acknowledged what they were sent (cds: 1, eds: 1000), the first, envoy-0007, since 2026-01-02T14:59:00Z; see podway envoys; where all"
	told := b.check(0)
	require.Len(t, told, 1)
	assert.Contains(t, told[0], want)
	assert.Equal(t, 1000.0, b.gauge()["eds"])
	b.behind = b.behind[:500]
	assert.Contains(t, b.check(59 * time.Second)[0], want)
	assert.Contains(t, b.check(time.Minute)[0], "500 Envoys have not acknowledged what they were sent (eds: 500)")
	b.behind = b.behind[:10]
	assert.Len(t, b.check(time.Minute), 10)
}

func TestGatewaysWithEnvoysThatAreBehindAreBounded(t *testing.T) {
	b := newBehindBench(t)
	for i := range 200 {
		one := b.one("envoy", resource.RouteType, 1)
		one.Gateway = fmt.Sprintf("edge/g%03d", i)
		b.behind = append(b.behind, one)
	}
	told := b.check(0)
	require.Len(t, told, 51)
	assert.Contains(t, told[0], "warning EnvoyBehind: 150 Gateways besides have Envoys that have not acknowledged what they were sent; see podway envoys")
}
