package endpoint

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runway-platform/runway/coordinator/presence"
)

// Metrics shows how far the ingresses follow, while this coordinator leads: a leader
// knows, and nobody else. It is made with NewMetrics.
type Metrics struct {
	controller                           *Controller
	generation, confirmed, owes, refuses *prometheus.Desc
}

// NewMetrics returns the metrics of the routes, to be registered.
func NewMetrics(c *Controller) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("runway_routes_"+name, help, labels, nil)
	}
	return &Metrics{
		controller: c,
		generation: desc("generation", "Generation of the present routes."),
		confirmed:  desc("ingress_generation", "Generation that an ingress has confirmed; 0 for none in its session.", "ingress"),
		owes:       desc("ingress_lag_seconds", "Time that an ingress has owed the confirmation of a generation; above 10 s someone must look.", "ingress"),
		refuses:    desc("ingress_refuses", "1 while an ingress refuses the routes because too many would go without a reason: someone must look.", "ingress"),
	}
}

// prometheus.Collector

// Describe sends the description of every metric.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.generation, m.confirmed, m.owes, m.refuses} {
		to <- d
	}
}

// Collect sends the present values. Names are those of registered ingresses; where
// two have the same one, the worse values are shown.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	m.controller.mu.Lock()
	current, standings := m.controller.current, m.controller.standings
	m.controller.mu.Unlock()
	if current == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(m.generation, float64(current.GetGeneration()))
	for name, s := range byName(standings) {
		owes := time.Duration(0)
		if !s.Since.IsZero() {
			owes = time.Since(s.Since)
		}
		gauge(m.confirmed, float64(s.Generation), name)
		gauge(m.owes, owes.Seconds(), name)
		gauge(m.refuses, map[bool]float64{true: 1}[s.Refuses], name)
	}
}

func byName(standings map[string]presence.Standing) map[string]presence.Standing {
	worst := map[string]presence.Standing{}
	for _, s := range standings {
		other, taken := worst[s.Name]
		if taken {
			s.Generation = min(s.Generation, other.Generation)
			s.Refuses = s.Refuses || other.Refuses
			if s.Since.IsZero() || !other.Since.IsZero() && other.Since.Before(s.Since) {
				s.Since = other.Since
			}
		}
		worst[s.Name] = s
	}
	return worst
}
