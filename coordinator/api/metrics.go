package api

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

// Metrics of the calls.
type Metrics struct {
	calls *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

// NewMetrics registers the metrics of this package.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := newMetrics()
	if err := errors.Join(registerer.Register(m.calls), registerer.Register(m.took)); err != nil {
		return nil, fmt.Errorf("register api metrics: %w", err)
	}
	return m, nil
}

func newMetrics() *Metrics {
	return &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "runway_coordinator_calls_total", Help: "Calls by method and answer.",
		}, []string{"method", "answer"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "runway_coordinator_call_duration_seconds", Help: "Duration of calls; streams last as long as they are open.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 7),
		}, []string{"method"}),
	}
}

// observe counts a call. Methods come from the table of rights, so that the number
// of labels is bounded.
func (m *Metrics) observe(c *call, answer codes.Code) {
	method := c.method
	if _, known := rights[method]; !known {
		method = "unknown"
	}
	m.calls.WithLabelValues(method, answer.String()).Inc()
	m.took.WithLabelValues(method).Observe(time.Since(c.began).Seconds())
}
