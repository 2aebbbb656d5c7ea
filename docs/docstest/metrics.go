package docstest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics is a registerer that remembers what is registered, also what has no value
// yet. It gathers nothing. Safe for concurrent use.
type Metrics struct {
	mu   sync.Mutex
	rows map[string][]string
}

// NewMetrics returns one that knows of nothing.
func NewMetrics() *Metrics { return &Metrics{rows: map[string][]string{}} }

// prometheus.Registerer

// Register remembers the metrics of a collector.
func (m *Metrics) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc)
	go func() {
		defer close(all)
		c.Describe(all)
	}()
	var descs []*prometheus.Desc
	for desc := range all { // to the end, so that Describe has one
		descs = append(descs, desc)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, desc := range descs {
		name, row, err := read(desc, c)
		if err != nil {
			return err
		}
		m.rows[name] = row
	}
	return nil
}

// MustRegister remembers the metrics of all.
func (m *Metrics) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := m.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister forgets nothing: a part that stops has shown them.
func (m *Metrics) Unregister(prometheus.Collector) bool { return true }

// Table lists the metrics by name.
func (m *Metrics) Table() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(m.rows)) {
		rows = append(rows, m.rows[name])
	}
	return Table([]string{"metric", "type", "labels", "meaning"}, rows)
}

// described is how a description prints itself, which is the only way to read it.
var described = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*").*, constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// read is the name of a metric and its row.
func read(desc *prometheus.Desc, c prometheus.Collector) (string, []string, error) {
	found := described.FindStringSubmatch(desc.String())
	if found == nil {
		return "", nil, fmt.Errorf("read description %s: it has another form", desc)
	}
	name, err := strconv.Unquote(found[1])
	if err != nil {
		return "", nil, err
	}
	help, err := strconv.Unquote(found[2])
	if err != nil {
		return "", nil, err
	}
	var labels []string
	for part := range strings.SplitSeq(found[3]+","+found[4], ",") {
		if label, _, _ := strings.Cut(part, "="); label != "" {
			labels = append(labels, label)
		}
	}
	return name, []string{code(name), kindOf(name, c), strings.Join(labels, ", "), help}, nil
}

// kindOf is the type that a scrape shows. Collectors that make their values when they
// are asked do not tell it, so it is read from the name: totals are counters, and
// durations histograms.
func kindOf(name string, c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	case *prometheus.GaugeVec, prometheus.Gauge:
		return "gauge"
	case *prometheus.CounterVec, prometheus.Counter:
		return "counter"
	}
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_duration_seconds"):
		return "histogram"
	default:
		return "gauge"
	}
}
