package xds

import (
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// TestTheOldestChangeThatAnEnvoyLacksIsMeasured publishes a change, and before it is acknowledged two more, of which the last says nothing.
func TestTheOldestChangeThatAnEnvoyLacksIsMeasured(t *testing.T) {
	config, registry := quick(), prometheus.NewRegistry()
	config.Registerer = registry
	w := newWorld(t, config, endpoints("a", 1))
	c := w.delta()
	c.subscribe(endpointType, "a")
	c.want(endpointType, "a")
	ago := func(d time.Duration) map[string]Seen {
		return map[string]Seen{"a": {Triggered: time.Now().Add(-d), Read: time.Now()}}
	}
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 2)}, nil)
	first := c.see(endpointType, "a")
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 3)}, ago(time.Hour))
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 4)}, ago(time.Minute))
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 5)}, nil)
	c.ack(first)
	c.want(endpointType, "a")
	eventually(t, func() bool { return histogram(t, registry, "podway_endpoints_trigger_to_ack_seconds").count == 1 }, "the acknowledgement is counted")
	require.Greater(t, histogram(t, registry, "podway_endpoints_trigger_to_ack_seconds").sum, time.Hour.Seconds())
	require.Equal(t, 1, histogram(t, registry, "podway_endpoints_event_to_ack_seconds").count)
}

// TestEndpointsThatWereReplacedAreLetGo: the log remembers thousands of changes and when they were seen, but of endpoints no more than the version.
func TestEndpointsThatWereReplacedAreLetGo(t *testing.T) {
	w := newWorld(t, quick(), endpoints("a", 1))
	var replaced []weak.Pointer[api.Resource]
	for port := range 100 {
		next := endpoints("a", port+2)
		replaced = append(replaced, weak.Make(next))
		w.server.SetEndpoints([]*api.Resource{next}, map[string]Seen{"a": {Triggered: time.Now(), Read: time.Now()}})
	}
	w.server.SetEndpoints([]*api.Resource{endpoints("a", 1)}, nil)
	eventually(t, func() bool {
		runtime.GC()
		return !slices.ContainsFunc(replaced, func(p weak.Pointer[api.Resource]) bool { return p.Value() != nil })
	}, "none is kept")
}

type counted struct {
	count int
	sum   float64
}

func histogram(t *testing.T, registry *prometheus.Registry, name string) counted {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			h := family.GetMetric()[0].GetHistogram()
			return counted{count: int(h.GetSampleCount()), sum: h.GetSampleSum()}
		}
	}
	require.Fail(t, "there is no metric "+name)
	return counted{}
}
