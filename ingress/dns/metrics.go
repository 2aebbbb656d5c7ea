package dns

import (
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// Values of the label zone.
const (
	zonePublic   = "public"
	zoneInternal = "internal"
	zoneOther    = "other"
)

// labelOther stands for every type or code that has no label of its own.
const labelOther = "other"

// typeLabels are the types that are counted by name; whoever asks must not decide
// how many series there are.
var typeLabels = map[uint16]string{
	dns.TypeA: "A", dns.TypeAAAA: "AAAA", dns.TypeSRV: "SRV", dns.TypeTXT: "TXT", dns.TypeSOA: "SOA",
	dns.TypeNS: "NS", dns.TypeANY: "ANY", dns.TypePTR: "PTR", dns.TypeCNAME: "CNAME", dns.TypeMX: "MX",
	dns.TypeHTTPS: "HTTPS", dns.TypeSVCB: "SVCB", dns.TypeAXFR: "AXFR", dns.TypeIXFR: "IXFR",
}

type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// newMetrics registers the metrics. Only one Server can use a registerer.
func newMetrics(to prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "runway_dns_requests_total",
			Help: "Questions answered, by zone, code of the answer and type asked for.",
		}, []string{"zone", "rcode", "type"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "runway_dns_request_seconds",
			Help:    "Time from a parsed question to its answer.",
			Buckets: []float64{.00001, .0001, .001, .01, .1, 1, 5},
		}, []string{"zone"}),
	}
	shed, err := shedDrops()
	if err != nil {
		return nil, err
	}
	for _, c := range []prometheus.Collector{m.requests, m.duration, shed} {
		if err := to.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) observe(zone string, qtype uint16, rcode int, took time.Duration) {
	m.requests.WithLabelValues(zone, rcodeLabel(rcode), typeLabel(qtype)).Inc()
	m.duration.WithLabelValues(zone).Observe(took.Seconds())
}

func typeLabel(qtype uint16) string {
	if label, ok := typeLabels[qtype]; ok {
		return label
	}
	return labelOther
}

func rcodeLabel(rcode int) string {
	if label, ok := dns.RcodeToString[rcode]; ok {
		return label
	}
	return labelOther
}

// shedDrops returns the counter of CoreDNS's shed plugin. The plugin keeps it to
// itself and registers it in the registry of the process; what that registry says
// when the name is registered again is the only way to it.
func shedDrops() (prometheus.Collector, error) {
	err := prometheus.Register(prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "coredns_shed_dropped_total",
		Help: "Counter of queries and responses dropped, per server, by reason.",
	}, []string{"server", "reason"}))
	var taken prometheus.AlreadyRegisteredError
	if !errors.As(err, &taken) {
		return nil, fmt.Errorf("find the counter of dropped questions: %w", err)
	}
	return taken.ExistingCollector, nil
}
