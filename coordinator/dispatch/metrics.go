package dispatch

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the sessions.
type Metrics struct {
	sessions      *prometheus.GaugeVec
	batch         prometheus.Histogram
	refused       prometheus.Counter
	implausible   prometheus.Counter
	routesRefused prometheus.Counter
	silent        prometheus.Counter
	ahead         prometheus.Counter
	unconfirmed   prometheus.GaugeFunc
	// count is what unconfirmed asks; nil before there is a dispatcher.
	count atomic.Pointer[func() float64]
}

// NewMetrics registers the metrics of this package.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := newMetrics()
	var problems error
	for _, c := range []prometheus.Collector{m.sessions, m.batch, m.refused, m.implausible, m.routesRefused, m.silent, m.ahead, m.unconfirmed} {
		problems = errors.Join(problems, registerer.Register(c))
	}
	if problems != nil {
		return nil, fmt.Errorf("register dispatch metrics: %w", problems)
	}
	return m, nil
}

func newMetrics() *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "runway_coordinator_" + name, Help: help})
	}
	m := &Metrics{
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "runway_coordinator_sessions", Help: "Open sessions of agents and ingresses.",
		}, []string{"kind"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "runway_coordinator_batch_reports", Help: "Replica reports written by one batch.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		}),
		refused:       counter("reports_refused_total", "Replica reports that the state refused."),
		implausible:   counter("samples_refused_total", "Traffic samples of ingresses that cannot be true."),
		routesRefused: counter("routes_refused_total", "Names and entries of routes that an ingress newly said it does not serve."),
		silent:        counter("ingresses_silent_total", "Ingress sessions cut because a generation was not confirmed."),
		ahead:         counter("agents_ahead_total", "Agents that had assignments of a later time than this leader's log."),
	}
	m.unconfirmed = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "runway_coordinator_agents_unconfirmed", Help: "Connected agents that do not have their newest assignments on disk.",
	}, func() float64 {
		if count := m.count.Load(); count != nil {
			return (*count)()
		}
		return 0
	})
	return m
}
