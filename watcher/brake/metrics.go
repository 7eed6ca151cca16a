package brake

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/podway/podway/api/metric"
)

// reason is why a hold ended.
type reason string

const (
	// reasonReady and reasonDeleted are what became of the last Pod that was held.
	reasonReady   reason = "ready"
	reasonDeleted reason = "deleted"
	reasonLimit   reason = "limit"
	reasonHand    reason = "hand"
	// reasonUnused: the tunnel does not take these Pods any more.
	reasonUnused reason = "unused"
	// reasonOff: the brake was switched off.
	reasonOff reason = "off"
)

// metrics have the label cluster, a MemberCluster's name: those of clusters that are gone go too.
type metrics struct {
	holds *prometheus.GaugeVec
	held  *prometheus.GaugeVec
	begun *prometheus.CounterVec
	ended *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	byCluster := []string{"cluster"}
	return &metrics{
		holds: metric.Register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "podway_brake_holds", Help: "Tunnels that hold Pods which lost readiness, by member cluster.",
		}, byCluster)),
		held: metric.Register(registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "podway_brake_held_pods", Help: "Pods that are not ready and held in a tunnel, once for each tunnel, by member cluster.",
		}, byCluster)),
		begun: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_brake_holds_begun_total", Help: "Times that a tunnel began to hold Pods, by member cluster.",
		}, byCluster)),
		ended: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_brake_holds_ended_total", Help: "Times that a tunnel ended to hold Pods, by member cluster and reason.",
		}, []string{"cluster", "reason"})),
	}
}

func (m *metrics) begin(cluster string) {
	m.begun.WithLabelValues(cluster).Inc()
}

func (m *metrics) holding(cluster string, more int) {
	m.holds.WithLabelValues(cluster).Add(float64(more))
}

func (m *metrics) end(cluster string, why reason) {
	m.ended.WithLabelValues(cluster, string(why)).Inc()
}

func (m *metrics) pods(cluster string, more int) { m.held.WithLabelValues(cluster).Add(float64(more)) }

// forget removes what is labeled with a cluster that is gone.
func (m *metrics) forget(cluster string) {
	label := prometheus.Labels{"cluster": cluster}
	m.holds.DeletePartialMatch(label)
	m.held.DeletePartialMatch(label)
	m.begun.DeletePartialMatch(label)
	m.ended.DeletePartialMatch(label)
}
