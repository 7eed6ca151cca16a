// Package metric registers Prometheus metrics. It knows none of them.
package metric

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Register adds a metric, or finds the one that is there already, so that two of what counts may share a registry. With any other error of the
// registry the metric counts for nobody: that is no reason to stop.
func Register[C prometheus.Collector](registerer prometheus.Registerer, collector C) C {
	var there prometheus.AlreadyRegisteredError
	if errors.As(registerer.Register(collector), &there) {
		if existing, ok := there.ExistingCollector.(C); ok {
			return existing
		}
	}
	return collector
}
