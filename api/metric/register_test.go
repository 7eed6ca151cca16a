package metric

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestTheOneThatIsThereIsFound(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := func() prometheus.Counter {
		return Register(registry, prometheus.NewCounter(prometheus.CounterOpts{Name: "things_total", Help: "Things."}))
	}
	first := counter()
	require.Same(t, first, counter())
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "things_total", Help: "Other things."}, []string{"kind"})
	require.Same(t, gauge, Register(registry, gauge), "one that clashes counts for nobody")
}
