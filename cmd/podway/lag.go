package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podway/podway/watcher"
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

// published notes that a batch has been handed on. A nil lag measures nothing.
func (l *lag) published(batch watcher.Batch, now time.Time) {
	if l == nil {
		return
	}
	for _, stamp := range batch.Stamps {
		if !stamp.Triggered.IsZero() {
			l.triggered.Observe(now.Sub(stamp.Triggered).Seconds())
		}
		if !stamp.Read.IsZero() {
			l.read.Observe(now.Sub(stamp.Read).Seconds())
		}
	}
}
