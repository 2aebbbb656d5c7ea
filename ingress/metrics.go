package ingress

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runway-platform/runway/ingress/stats"
	"github.com/runway-platform/runway/ingress/verify"
)

// metrics exports the state of an Ingress when it is asked for. Labels name
// workloads and their revisions, never replicas; a revision's series end once it
// has no route and nothing in flight.
type metrics struct {
	ingress *Ingress

	requests, latency, inFlight                                       *prometheus.Desc
	routes, generation, age, up, refused, withheld, held, certificate *prometheus.Desc
	unsaved, failed, checks                                           *prometheus.Desc
}

func newMetrics(i *Ingress) *metrics {
	name := func(s string) string { return "runway_ingress_" + s }
	workload := []string{"space", "service", "environment", "revision"}
	desc := func(s, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name(s), help, labels, nil)
	}
	return &metrics{
		ingress:     i,
		requests:    desc("requests_total", "Requests answered, by class of the answer; revision 0 is answers of the ingress itself.", append(workload, "code_class")...),
		latency:     desc("request_duration_seconds", "Time from the request's headers to the end of its answer.", workload...),
		inFlight:    desc("requests_in_flight", "Requests that are not answered yet.", workload...),
		routes:      desc("routes", "Workloads in the routing table."),
		generation:  desc("route_generation", "Generation of the routing table."),
		age:         desc("route_age_seconds", "How old the routes may be: 0 while a session follows them; absent before the first."),
		up:          desc("session_up", "1 while the session with the coordinator is open."),
		refused:     desc("route_sets_refused_total", "Sets of routes that were refused as a whole."),
		withheld:    desc("route_set_withheld", "1 while a set is refused because more than half of the routes would go with it."),
		unsaved:     desc("routes_unsaved", "1 while the routes in use are not on disk: a restart would begin with older ones."),
		failed:      desc("route_saves_failed_total", "Writes of the routes to disk that failed; each is tried again."),
		held:        desc("replicas_held", "Replicas without a route that still have requests in flight."),
		certificate: desc("certificates_missing", "Public names without a certificate."),
		checks:      desc("identity_checks_total", "Connections to replicas that were checked at the node, as the routes may be old.", "result"),
	}
}

// prometheus.Collector

// Describe sends the description of every metric.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.requests, m.latency, m.inFlight, m.routes, m.generation, m.age, m.up, m.refused, m.withheld, m.held, m.certificate, m.unsaved, m.failed, m.checks,
	} {
		to <- d
	}
}

// Collect sends the present values.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	i := m.ingress
	gauge := func(d *prometheus.Desc, v float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	table := i.live.Table()
	gauge(m.routes, float64(table.Len()))
	gauge(m.generation, float64(table.Generation()))
	gauge(m.held, float64(len(i.live.Held())))
	gauge(m.certificate, float64(len(i.certs.Missing())))
	gauge(m.up, map[bool]float64{true: 1}[i.session.up.Load()])
	gauge(m.withheld, map[bool]float64{true: 1}[i.session.withheld.Load()])
	gauge(m.unsaved, map[bool]float64{true: 1}[i.book.unsaved()])
	if age, known := i.session.fresh.age(time.Now()); known {
		gauge(m.age, age.Seconds())
	}
	to <- prometheus.MustNewConstMetric(m.failed, prometheus.CounterValue, float64(i.book.failed.Load()))
	to <- prometheus.MustNewConstMetric(m.refused, prometheus.CounterValue, float64(i.session.refused.Load()))
	for result, word := range verify.Verdicts {
		to <- prometheus.MustNewConstMetric(m.checks, prometheus.CounterValue, float64(i.verifier.Checks(verify.Verdict(result))), word)
	}
	bounds := i.stats.Bounds()
	for _, c := range i.stats.Snapshot() {
		m.collectWorkload(to, c, bounds)
	}
}

func (m *metrics) collectWorkload(to chan<- prometheus.Metric, c stats.Counts, bounds []time.Duration) {
	labels := []string{c.Space, c.Service, c.Environment, strconv.FormatUint(c.Revision, 10)}
	for class, n := range c.Responses {
		if n > 0 {
			to <- prometheus.MustNewConstMetric(m.requests, prometheus.CounterValue, float64(n),
				append(labels[:4:4], strconv.Itoa(class+1)+"xx")...)
		}
	}
	to <- prometheus.MustNewConstMetric(m.inFlight, prometheus.GaugeValue, float64(c.InFlight), labels...)
	buckets := make(map[float64]uint64, len(bounds))
	var below uint64
	for i, bound := range bounds {
		below += c.Latency[i]
		buckets[bound.Seconds()] = below
	}
	to <- prometheus.MustNewConstHistogram(m.latency, below+c.Latency[len(bounds)], c.LatencySum.Seconds(), buckets, labels...)
}
