package consensus

import (
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// writeBuckets span an fsync on a good disk to the write deadline.
var writeBuckets = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5}

// metrics is what a member tells about itself.
type metrics struct {
	commit   *prometheus.HistogramVec
	applies  *prometheus.CounterVec
	apply    prometheus.Histogram
	logWrite prometheus.Histogram
	failures *prometheus.CounterVec
	leader   prometheus.GaugeFunc
	index    prometheus.GaugeFunc
	log      prometheus.GaugeFunc

	registered []prometheus.Collector
	member     memberPointer
}

func newMetrics(registerer prometheus.Registerer, store *state.Store) *metrics {
	m := &metrics{
		commit: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "runway_coordinator_raft_commit_seconds", Help: "Time from a command to its result on the leader.", Buckets: writeBuckets,
		}, []string{"result"}),
		applies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "runway_coordinator_commands_applied_total", Help: "Commands applied by the state machine.",
		}, []string{"kind", "result"}),
		apply: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "runway_coordinator_command_apply_seconds", Help: "Time to apply one committed command.", Buckets: prometheus.ExponentialBuckets(1e-5, 4, 9),
		}),
		logWrite: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "runway_coordinator_log_store_write_seconds", Help: "Time to write to the Raft log, with fsync.", Buckets: writeBuckets,
		}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "runway_coordinator_member_failures_total", Help: "Errors after which this member gave up: an unreadable log, or a disk that is slow, full or broken.",
		}, []string{"code"}),
	}
	m.leader = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "runway_coordinator_raft_leader", Help: "1 while this member leads.",
	}, m.member.leads)
	m.log = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "runway_coordinator_raft_last_index", Help: "Index of the last entry in the log.",
	}, m.member.lastIndex)
	m.index = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "runway_coordinator_state_index", Help: "Index of the last command in the state.",
	}, func() float64 { return float64(store.View().Index()) })
	m.register(registerer)
	return m
}

// register panics when the names are taken: two members on one registerer are a
// defect of the caller.
func (m *metrics) register(registerer prometheus.Registerer) {
	m.registered = []prometheus.Collector{m.commit, m.applies, m.apply, m.logWrite, m.failures, m.leader, m.log, m.index}
	registerer.MustRegister(m.registered...)
}

func (m *metrics) unregister(registerer prometheus.Registerer) {
	for _, collector := range m.registered {
		registerer.Unregister(collector)
	}
}

// watch makes the gauges follow a member.
func (m *metrics) watch(member *raft.Raft) { m.member.Store(member) }

// stop makes the gauges 0.
func (m *metrics) stop() { m.member.Store(nil) }

// applied counts a command by kind. Kinds are a closed list, so that the label is
// bounded even for a damaged entry.
func (m *metrics) applied(kind runwayv1.CommandKind, err error, took time.Duration) {
	word := "unreadable"
	if kind != runwayv1.CommandKind_COMMAND_KIND_UNSPECIFIED {
		word = strings.ToLower(strings.TrimPrefix(kind.String(), "COMMAND_KIND_"))
	}
	m.applies.WithLabelValues(word, resultOf(err)).Inc()
	m.apply.Observe(took.Seconds())
}

func (m *metrics) committed(err error, took time.Duration) {
	m.commit.WithLabelValues(resultOf(err)).Observe(took.Seconds())
}

func resultOf(err error) string {
	var rejection *command.Rejection
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &rejection):
		return "rejected"
	default:
		return "failed"
	}
}
