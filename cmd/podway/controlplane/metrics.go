package controlplane

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/podway/podway/api/metric"
)

// The metrics of podway itself. Their labels are bounded by the code: no object's name is among them.
var (
	descProblems = prometheus.NewDesc("podway_problems",
		"Problems in force, by code and severity.", []string{"code", "severity"}, nil)
	descGeneration = prometheus.NewDesc("podway_config_generation",
		"Configurations that have been applied since the start.", nil, nil)
	descApplied = prometheus.NewDesc("podway_config_last_applied_timestamp_seconds",
		"Unix time at which the configuration was last applied.", nil, nil)
	descGateways = prometheus.NewDesc("podway_gateways", "Gateways that are served.", nil, nil)
	descTunnels  = prometheus.NewDesc("podway_tunnels", "Tunnels in force.", nil, nil)
	descEndpoint = prometheus.NewDesc("podway_endpoints",
		"Pods and addresses in force, summed over all tunnels.", nil, nil)
	descUnsynced = prometheus.NewDesc("podway_member_clusters_unsynced",
		"Member clusters of which nothing is known yet.", nil, nil)
	descReady = prometheus.NewDesc("podway_ready", "1 where /readyz answers 200, else 0.", nil, nil)
)

// stateCollector reads the metrics off the published state, so that none of it has to be counted along.
type stateCollector struct {
	ready *readiness
	board *problemBoard
}

// newRegistry returns a registry with podway's, Go's and the process's metrics.
func newRegistry(ready *readiness, board *problemBoard) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		stateCollector{ready: ready, board: board},
	)
	return registry
}

// registerLostLogLines adds what the log itself cannot tell while nobody reads it. A nil count is not there.
func registerLostLogLines(registerer prometheus.Registerer, count func() uint64) {
	if count == nil {
		return
	}
	metric.Register(registerer, prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: "podway_log_lost_lines_total", Help: "Lines of the log that could not be written, or that nobody read in time."},
		func() float64 { return float64(count()) },
	))
}

// Describe is for prometheus.
func (c stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		descProblems, descGeneration, descApplied, descGateways, descTunnels, descEndpoint, descUnsynced, descReady,
	} {
		out <- desc
	}
}

// Collect is for prometheus.
func (c stateCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	ready := 0.0
	if len(c.ready.reasons()) == 0 {
		ready = 1
	}
	gauge(descReady, ready)
	counts := map[[2]string]int{}
	for _, problem := range c.board.all() {
		counts[[2]string{problem.Code, string(problem.Severity)}]++
	}
	for labels, count := range counts { // the registry sorts
		gauge(descProblems, float64(count), labels[0], labels[1])
	}
	var state pipelineState
	if published := c.ready.pipeline.state.Load(); published != nil {
		state = *published
		gauge(descApplied, float64(state.Applied.UnixMilli())/1000)
	}
	out <- prometheus.MustNewConstMetric(descGeneration, prometheus.CounterValue, float64(state.Generation))
	gauge(descGateways, float64(state.Gateways))
	gauge(descTunnels, float64(state.Tunnels))
	gauge(descEndpoint, float64(state.Endpoints))
	gauge(descUnsynced, float64(len(state.Unsynced)))
}
