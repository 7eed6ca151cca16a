package xds

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podway/podway/api/metric"
)

// metrics have bounded labels: type is one of five short names, or "other"; reason is one of those in denial.go.
type metrics struct {
	streams prometheus.Gauge
	unknown prometheus.Gauge
	refused *prometheus.CounterVec
	// refusedConnections are those of mTLS.
	refusedConnections *prometheus.CounterVec
	endedConnections   *prometheus.CounterVec

	pushes     *prometheus.CounterVec
	bytes      *prometheus.CounterVec
	rejections *prometheus.CounterVec
	current    *prometheus.HistogramVec
	// triggered and read are from a Pod's change, and from podway's first sight of it, to an Envoy's acknowledgement.
	triggered prometheus.Histogram
	read      prometheus.Histogram
	// byType are *typeMetrics by their label.
	byType sync.Map
}

// lagBuckets (seconds) are fine where podway itself is at work, and reach to where a person is called.
var lagBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func newMetrics(registerer prometheus.Registerer) *metrics {
	byType, byReason := []string{"type"}, []string{"reason"}
	return &metrics{
		streams: metric.Register(registerer, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "podway_xds_streams", Help: "Open xDS streams.",
		})),
		unknown: metric.Register(registerer, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "podway_xds_unknown_gateway_streams", Help: "Open xDS streams whose node.cluster names no Gateway that is served.",
		})),
		refused: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_xds_refused_streams_total", Help: "xDS streams that were refused, at a limit or because of who asked, by reason.",
		}, byReason)),
		refusedConnections: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_xds_refused_connections_total", Help: "Connections to the xDS port that were refused: at a limit, in the TLS handshake, or because they are not of HTTP/2, by reason.",
		}, byReason)),
		endedConnections: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_xds_ended_connections_total",
			Help: "Connections to the xDS port that were closed because their client's certificate is no longer good, or because of its requests, by reason.",
		}, byReason)),
		pushes: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_xds_responses_total", Help: "Responses sent, by resource type.",
		}, byType)),
		bytes: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_xds_response_bytes_total", Help: "Bytes of resources sent, by resource type.",
		}, byType)),
		rejections: metric.Register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "podway_xds_rejected_responses_total", Help: "Responses that an Envoy rejected, by resource type.",
		}, byType)),
		current: metric.Register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "podway_xds_publish_to_ack_seconds",
			Help:    "Time from a change of a resource to its acknowledgement by an Envoy, by resource type.",
			Buckets: lagBuckets,
		}, byType)),
		triggered: metric.Register(registerer, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "podway_endpoints_trigger_to_ack_seconds",
			Help: "Time from the change of a Pod or Service that its EndpointSlice names, by the member cluster's clock, to the " +
				"acknowledgement of the endpoints by an Envoy.",
			Buckets: lagBuckets,
		})),
		read: metric.Register(registerer, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "podway_endpoints_event_to_ack_seconds",
			Help:    "Time from the watch event to the acknowledgement of the endpoints by an Envoy.",
			Buckets: lagBuckets,
		})),
	}
}

// typeMetrics are those of one type, so that they need not be looked for each time.
type typeMetrics struct {
	pushes, bytes prometheus.Counter
	current       prometheus.Observer
}

func (m *metrics) of(typeURL string) *typeMetrics {
	short := shortType(typeURL)
	if found, ok := m.byType.Load(short); ok {
		return found.(*typeMetrics)
	}
	found := &typeMetrics{pushes: m.pushes.WithLabelValues(short), bytes: m.bytes.WithLabelValues(short), current: m.current.WithLabelValues(short)}
	m.byType.Store(short, found)
	return found
}

func (m *metrics) sent(typeURL string, bytes int) {
	of := m.of(typeURL)
	of.pushes.Inc()
	of.bytes.Add(float64(bytes))
}

// acked notes that an Envoy has acknowledged a change.
func (m *metrics) acked(typeURL string, since *origin) {
	now := time.Now()
	m.of(typeURL).current.Observe(now.Sub(since.at).Seconds())
	if since.seen == nil {
		return
	}
	if !since.seen.Triggered.IsZero() {
		m.triggered.Observe(now.Sub(since.seen.Triggered).Seconds())
	}
	if !since.seen.Read.IsZero() {
		m.read.Observe(now.Sub(since.seen.Read).Seconds())
	}
}
