package placement

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/loop"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// BenchmarkPlan looks at 10,000 replicas of 500 services on 500 nodes: at rest, and
// with one replica missing, which is what a crash or a step of a deployment asks.
func BenchmarkPlan(b *testing.B) {
	const nodes, services, each = 500, 500, 20
	s := coordinatortest.NewState(b)
	for i := range nodes {
		s.Must(b, coordinatortest.RegisterNode(fmt.Sprintf("n%d", i)))
	}
	spec := coordinatortest.Spec()
	spec.Scale.Max = 2 * each
	for w := range services {
		name := fmt.Sprintf("w%d", w)
		id := "d" + name
		s.Must(b, coordinatortest.Deploy(id, name, spec, each))
		var replicas []*runwayv1.Replica
		for i := range each {
			n := w*each + i
			r := coordinatortest.Replica(fmt.Sprintf("r%d", n), name, 1, fmt.Sprintf("n%d", n%nodes), uint32(20000+n/nodes))
			r.Deployment = id
			replicas = append(replicas, r)
		}
		s.Must(b, coordinatortest.Assign(replicas...))
		s.Must(b, &runwayv1.SetDeploymentStatus{Deployment: id, ModifiedIndex: s.View().Deployment(id).GetMeta().GetModifiedIndex(),
			Status: &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED}})
	}
	p := &planner{guard: loop.NewGuard("placement", slog.New(slog.DiscardHandler)), newID: func() string { return "fresh" }}
	look := func(b *testing.B, want int) {
		b.ReportAllocs()
		for b.Loop() {
			if got := len(p.plan(s.View(), time.Now())); got != want {
				b.Fatalf("%d commands, want %d", got, want)
			}
		}
	}
	b.Run("at rest", func(b *testing.B) { look(b, 0) })
	s.Must(b, &runwayv1.SetWanted{Workload: coordinatortest.Key("w7"), Region: "local", Count: each + 1})
	b.Run("one missing", func(b *testing.B) { look(b, 1) })
}
