package coordinator

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/coordinator/tokens"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// contents shows what the state holds, at the moment of the question. Every member
// shows it: one that is behind shows that, too.
type contents struct {
	views func() *state.View

	workloads, unplaced, deploying, replicas, nodes, ingresses, adminToken *prometheus.Desc
}

func newContents(views func() *state.View) *contents {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("runway_coordinator_"+name, help, labels, nil)
	}
	return &contents{
		views:      views,
		workloads:  desc("workloads", "Workloads that are not being deleted."),
		unplaced:   desc("unplaced_replicas", "Replicas that are wanted and fit nowhere."),
		deploying:  desc("deployments_active", "Deployments in progress."),
		replicas:   desc("replicas", "Replicas by phase.", "phase"),
		nodes:      desc("nodes", "Nodes by phase.", "phase"),
		ingresses:  desc("ingresses", "Ingresses by phase.", "phase"),
		adminToken: desc("admin_token_expiry_timestamp_seconds", "When the last token of a cluster admin ends, in seconds since 1970; absent while one never does."),
	}
}

// prometheus.Collector

func (c *contents) Describe(all chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.workloads, c.unplaced, c.deploying, c.replicas, c.nodes, c.ingresses, c.adminToken} {
		all <- desc
	}
}

func (c *contents) Collect(all chan<- prometheus.Metric) {
	view := c.views()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	workloads, unplaced, deploying := 0, uint32(0), 0
	for _, w := range view.Workloads() {
		if w.GetDelete() {
			continue
		}
		workloads++
		if fleet.Active(view, w) != nil {
			deploying++
		}
		for _, wanted := range view.WantedOf(state.IDOf(w.GetKey())) {
			unplaced += wanted.GetUnplacedCount()
		}
	}
	gauge(c.workloads, float64(workloads))
	gauge(c.unplaced, float64(unplaced))
	gauge(c.deploying, float64(deploying))
	for phase, n := range count(runwayv1.ReplicaPhase_name, view.Replicas(), func(r *runwayv1.Replica) int32 { return int32(r.GetStatus().GetPhase()) }) {
		gauge(c.replicas, n, word(phase, "REPLICA_PHASE_"))
	}
	for phase, n := range count(runwayv1.NodePhase_name, view.Nodes(), func(n *runwayv1.Node) int32 { return int32(n.GetStatus().GetPhase()) }) {
		gauge(c.nodes, n, word(phase, "NODE_PHASE_"))
	}
	for phase, n := range count(runwayv1.IngressPhase_name, view.Ingresses(), func(i *runwayv1.Ingress) int32 { return int32(i.GetStatus().GetPhase()) }) {
		gauge(c.ingresses, n, word(phase, "INGRESS_PHASE_"))
	}
	if at, ends := tokens.LastAdmin(view); ends {
		gauge(c.adminToken, float64(at.Unix()))
	}
}

// count returns how many objects there are of each phase that has a name, 0 too, so
// that a series does not vanish when it is over.
func count[T any](names map[int32]string, objects []T, phase func(T) int32) map[string]float64 {
	counts := map[string]float64{}
	for number, name := range names {
		if number != 0 {
			counts[name] = 0
		}
	}
	for _, o := range objects {
		if name := names[phase(o)]; phase(o) != 0 && name != "" {
			counts[name]++
		}
	}
	return counts
}

func word(name, prefix string) string { return strings.ToLower(strings.TrimPrefix(name, prefix)) }

// outcomes counts how deployments end: what this leader's controller wrote. Those that
// a newer one superseded end with its command, and are not counted.
type outcomes struct {
	loop.Applier
	ended *prometheus.CounterVec
}

func newOutcomes(applier loop.Applier) *outcomes {
	return &outcomes{Applier: applier, ended: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "runway_coordinator_deployments_ended_total", Help: "Deployments that ended while this coordinator led, by result; not those that were superseded.",
	}, []string{"result"})}
}

// loop.Applier

func (o *outcomes) Apply(ctx context.Context, payload proto.Message) (command.Result, error) {
	result, err := o.Applier.Apply(ctx, payload)
	written, ok := payload.(*runwayv1.SetDeploymentStatus)
	if phase := written.GetStatus().GetPhase(); err == nil && ok && state.Ended(phase) {
		o.ended.WithLabelValues(word(phase.String(), "DEPLOYMENT_PHASE_")).Inc()
	}
	return result, err
}
