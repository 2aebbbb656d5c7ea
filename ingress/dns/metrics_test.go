package dns

import (
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/runway-platform/runway/ingress/route"
)

func TestMetrics_Lint(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	m.observe(zonePublic, dns.TypeA, dns.RcodeSuccess, time.Millisecond)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestMetrics_OneServerPerRegistry(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	if _, err := newMetrics(registry); err != nil {
		t.Fatal(err)
	}
	if _, err := newMetrics(registry); err == nil {
		t.Error("a second server shares the registry silently")
	}
}

func TestMetrics_CountsWhatWasSaid(t *testing.T) {
	t.Parallel()
	h := newTestHandler(t, route.Public, newSource(example()), nil)
	ask(t, h, "", question("hello.default.runway.localhost.", dns.TypeA))
	ask(t, h, "", question("x.default.runway.localhost.", dns.TypeAAAA))
	ask(t, h, "", question("example.com.", dns.TypeMX))
	for _, labels := range [][]string{{zonePublic, "NOERROR", "A"}, {zonePublic, "NXDOMAIN", "AAAA"}, {zoneOther, "REFUSED", "MX"}} {
		if got := testutil.ToFloat64(h.metrics.requests.WithLabelValues(labels...)); got != 1 {
			t.Errorf("%v: got %v, want 1", labels, got)
		}
	}
}

// Whoever asks cannot make series.
func TestMetrics_LabelsAreBounded(t *testing.T) {
	t.Parallel()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1 << 16 {
		m.observe(zoneOther, uint16(n), n, 0)
	}
	if got, most := testutil.CollectAndCount(m.requests), len(typeLabels)+len(dns.RcodeToString)+1; got > most {
		t.Errorf("got %d series, want at most %d", got, most)
	}
}
