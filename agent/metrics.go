package agent

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/runway-platform/runway/agent/logs"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// stepBuckets go from a netlink call to a slow pull, in seconds.
var stepBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60, 300}

// reportedPhases are the phases that a replica can have on a node.
var reportedPhases = map[runwayv1.ReplicaPhase]string{
	runwayv1.ReplicaPhase_REPLICA_PHASE_PULLING:  "pulling",
	runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING: "starting",
	runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING:  "running",
	runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPING: "stopping",
	runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED:  "stopped",
	runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED:   "failed",
}

// Metrics are the agent's measurements. Labels are bounded: by constants, or by the workloads that have replicas on the node.
type Metrics struct {
	replicas     *prometheus.GaugeVec
	steps        *prometheus.HistogramVec
	stepFailures *prometheus.CounterVec
	restarts     *prometheus.CounterVec
	failures     *prometheus.CounterVec
	ooms         prometheus.Counter
	probes       *prometheus.CounterVec
	drift        *prometheus.CounterVec
	session      prometheus.Gauge
	unacked      prometheus.Gauge
	cores        *prometheus.GaugeVec
	memory       *prometheus.GaugeVec
}

// NewMetrics registers the agent's measurements, and those of the log collector, on registry. It panics when they are
// registered there already.
func NewMetrics(registry prometheus.Registerer, collector *logs.Collector) *Metrics {
	workload := []string{"space", "service", "environment"}
	m := &Metrics{
		replicas:     gauges("replicas", "Replicas on this node by phase.", "phase"),
		steps:        prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "runway_agent_step_duration_seconds", Help: "Time that one life-cycle step of a replica took.", Buckets: stepBuckets}, []string{"step"}),
		stepFailures: counters("step_failures_total", "Life-cycle steps that failed and were tried again.", "step"),
		restarts:     counters("restarts_total", "Restarts in place by cause.", "code"),
		failures:     counters("replica_failures_total", "Replicas that were given up by cause.", "code"),
		ooms:         prometheus.NewCounter(prometheus.CounterOpts{Name: "runway_agent_oom_kills_total", Help: "Times that the kernel was seen to have killed processes of a replica at its memory limit."}),
		probes:       counters("probes_total", "Probes by kind and result.", "kind", "result"),
		drift:        counters("drift_repaired_total", "Things that somebody else had changed and the agent repaired.", "part"),
		session:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "runway_agent_session_connected", Help: "1 while a coordinator has welcomed this node."}),
		unacked:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "runway_agent_reports_unacknowledged", Help: "Reports that the coordinator has not committed yet."}),
		cores:        gauges("workload_cpu_cores", "Processor cores that a workload's replicas on this node use.", workload...),
		memory:       gauges("workload_memory_bytes", "Working set of a workload's replicas on this node.", workload...),
	}
	registry.MustRegister(m.replicas, m.steps, m.stepFailures, m.restarts, m.failures, m.ooms, m.probes, m.drift, m.session, m.unacked, m.cores, m.memory)
	registerLogs(registry, collector)
	return m
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "runway_agent_" + name, Help: help}, labels)
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "runway_agent_" + name, Help: help}, labels)
}

func registerLogs(registry prometheus.Registerer, collector *logs.Collector) {
	for _, one := range []struct {
		name, help string
		read       func(logs.Counts) uint64
	}{
		{"runway_agent_log_lines_total", "Log lines kept.", func(c logs.Counts) uint64 { return c.Lines }},
		{"runway_agent_log_bytes_total", "Output of replicas kept.", func(c logs.Counts) uint64 { return c.Bytes }},
		{"runway_agent_log_dropped_bytes_total", "Output that was written faster than it could be kept.", func(c logs.Counts) uint64 { return c.DroppedBytes }},
	} {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: one.name, Help: one.help},
			func() float64 { return float64(one.read(collector.Counts())) }))
	}
}

// observe counts the replicas of a round.
func (m *Metrics) observe(replicas map[string]*replica, reports *reporter) {
	counts := map[runwayv1.ReplicaPhase]int{}
	for _, r := range replicas {
		counts[r.phase()]++
	}
	for phase, name := range reportedPhases {
		m.replicas.WithLabelValues(name).Set(float64(counts[phase]))
	}
	m.unacked.Set(float64(reports.unacked()))
}

func (m *Metrics) stepped(out result) {
	m.steps.WithLabelValues(string(out.do)).Observe(out.took.Seconds())
	if out.err != nil {
		m.stepFailures.WithLabelValues(string(out.do)).Inc()
	}
}

func (m *Metrics) probed(kind probe.Kind, answer probe.Result) {
	result := "failed"
	if answer.Passed {
		result = "passed"
	}
	m.probes.WithLabelValues(string(kind), result).Inc()
}

func (m *Metrics) connected(is bool) {
	m.session.Set(0)
	if is {
		m.session.Set(1)
	}
}

func (m *Metrics) restarted(c code.Code) { m.restarts.WithLabelValues(string(c)).Inc() }
func (m *Metrics) failed(c code.Code)    { m.failures.WithLabelValues(string(c)).Inc() }
func (m *Metrics) drifted(part string)   { m.drift.WithLabelValues(part).Inc() }
func (m *Metrics) oomKilled()            { m.ooms.Inc() }
