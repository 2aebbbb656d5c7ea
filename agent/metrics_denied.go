package agent

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// deniedTimeout bounds reading the counters of the packet rules for one scrape.
const deniedTimeout = 2 * time.Second

// packetRules count what they drop, by reason.
type packetRules interface {
	Denied(ctx context.Context) (map[string]uint64, error)
}

// denied reads the counters when it is scraped: the kernel counts, nobody else needs to.
type denied struct {
	rules packetRules
	desc  *prometheus.Desc
}

var _ prometheus.Collector = denied{}

// RegisterDenied registers the packets that the node's rules dropped.
func RegisterDenied(registry prometheus.Registerer, rules packetRules) error {
	return registry.Register(denied{rules: rules, desc: prometheus.NewDesc("runway_agent_denied_packets_total",
		"Packets that the rules of the node's network dropped since they were loaded, by reason.", []string{"reason"}, nil)})
}

// prometheus.Collector

// Describe sends the one description.
func (d denied) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- d.desc }

// Collect leaves out what cannot be read: the other measurements must not go with it.
func (d denied) Collect(metrics chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), deniedTimeout)
	defer cancel()
	counts, err := d.rules.Denied(ctx)
	if err != nil {
		return
	}
	for reason, count := range counts {
		metrics <- prometheus.MustNewConstMetric(d.desc, prometheus.CounterValue, float64(count), reason)
	}
}
