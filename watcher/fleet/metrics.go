package fleet

import "github.com/prometheus/client_golang/prometheus"

// metrics are counted; what can be read off the clusters is collected. The label cluster is bounded by the configuration.
type metrics struct {
	transitions *prometheus.CounterVec
	renewals    *prometheus.CounterVec
	changes     *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	m := &metrics{
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_cluster_transitions_total", Help: "Times that a member cluster came into a state.",
		}, []string{"cluster", "state"}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_cluster_token_renewals_total", Help: "Times that the token of a member cluster was renewed.",
		}, []string{"cluster"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_cluster_service_changes_total", Help: "Times that the Pods of a Service of a member cluster changed.",
		}, []string{"cluster"}),
	}
	registerer.MustRegister(m.transitions, m.renewals, m.changes)
	return m
}

// forget removes what is labeled with a cluster that is gone: clusters come and go under new names.
func (m *metrics) forget(cluster string) {
	for _, counter := range []*prometheus.CounterVec{m.transitions, m.renewals, m.changes} {
		counter.DeletePartialMatch(prometheus.Labels{"cluster": cluster})
	}
}

// The metrics that are read off the clusters.
var (
	descState = prometheus.NewDesc("podway_cluster_state",
		"1 for the state that a member cluster is in: Unknown, Live, Stale or Refused.", []string{"cluster", "state"}, nil)
	descServices  = prometheus.NewDesc("podway_cluster_services", "Services that are known of a member cluster.", []string{"cluster"}, nil)
	descPods      = prometheus.NewDesc("podway_cluster_pods", "Pods behind the Services of a member cluster.", []string{"cluster"}, nil)
	descLastEvent = prometheus.NewDesc("podway_cluster_last_event_timestamp_seconds",
		"Unix time at which anything was last heard of a member cluster's objects.", []string{"cluster"}, nil)
	descExpires = prometheus.NewDesc("podway_cluster_credential_expiry_timestamp_seconds",
		"Unix time at which the credential of a member cluster ends, where it says.", []string{"cluster"}, nil)
	descRelists = prometheus.NewDesc("podway_cluster_relists_total",
		"Complete lists of a resource of a member cluster after the first, with the credential in use.", []string{"cluster"}, nil)
)

// collector reads the metrics off the clusters.
type collector struct{ fleet *Fleet }

// Describe is for prometheus.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{descState, descServices, descPods, descLastEvent, descExpires, descRelists} {
		out <- desc
	}
}

// Collect is for prometheus.
func (c collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	for _, status := range c.fleet.Clusters() {
		if status.State == Removed {
			continue
		}
		for _, state := range []State{Unknown, Live, Stale, Refused} {
			value := 0.0
			if state == status.State {
				value = 1
			}
			gauge(descState, value, status.Name, string(state))
		}
		gauge(descServices, float64(status.Services), status.Name)
		gauge(descPods, float64(status.Pods), status.Name)
		if !status.LastEvent.IsZero() {
			gauge(descLastEvent, float64(status.LastEvent.UnixMilli())/1000, status.Name)
		}
		if !status.CredentialExpires.IsZero() {
			gauge(descExpires, float64(status.CredentialExpires.Unix()), status.Name)
		}
		out <- prometheus.MustNewConstMetric(descRelists, prometheus.CounterValue, float64(status.Relists), status.Name)
	}
}
