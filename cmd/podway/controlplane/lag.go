package controlplane

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podway/podway/api"
	"github.com/podway/podway/xds"
)

// lag measures how late what is published is.
type lag struct {
	triggered, read prometheus.Histogram
}

// lagBuckets (seconds) are fine where podway itself is at work, and reach to where a person is called.
var lagBuckets = []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}

func newLag(registerer prometheus.Registerer) *lag {
	l := &lag{
		triggered: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "podway_endpoints_trigger_to_publish_seconds",
			Help: "Time from the change of a Pod or Service that its EndpointSlice names, by the member cluster's clock, until the " +
				"endpoints are handed to the streams.",
			Buckets: lagBuckets,
		}),
		read: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "podway_endpoints_event_to_publish_seconds",
			Help:    "Time from the watch event until the endpoints are handed to the streams.",
			Buckets: lagBuckets,
		}),
	}
	registerer.MustRegister(l.triggered, l.read)
	return l
}

// published notes that endpoints have been handed on; seen says of some, by name, when what led to them was first seen. A nil lag measures
// nothing.
func (l *lag) published(endpoints []*api.Resource, seen map[string]xds.Seen, now time.Time) {
	if l == nil {
		return
	}
	for _, resource := range endpoints {
		of := seen[resource.Name]
		if !of.Triggered.IsZero() {
			l.triggered.Observe(now.Sub(of.Triggered).Seconds())
		}
		if !of.Read.IsZero() {
			l.read.Observe(now.Sub(of.Read).Seconds())
		}
	}
}
