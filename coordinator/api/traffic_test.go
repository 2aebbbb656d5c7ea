package api

import (
	"testing"
	"time"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// healthyWeb is own/web with one replica that serves.
func healthyWeb(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterNode("n1"), coordinatortest.RegisterIngress("i1"))
	d := b.deploy("own", "web").GetDeployment()
	r := coordinatortest.Replica("r1", "web", 1, "n1", 20000)
	r.Workload, r.Deployment = key("own", "web"), d.GetId()
	b.state.Must(t, coordinatortest.Assign(r), coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING), &runwayv1.ConfirmRoutes{Serving: []string{"r1"}})
	b.succeed(d)
	return b
}

// served makes an ingress tell of answers within a bound: those of a revision, 0 for its own.
func (b *bench) served(workload *runwayv1.WorkloadKey, revision, good, bad uint64, within time.Duration) {
	latency := make([]uint64, len(runwayv1.LatencyBounds())+1)
	for i, bound := range runwayv1.LatencyBounds() {
		if bound == within {
			latency[i] = good + bad
		}
	}
	b.presence.Record("i1", &runwayv1.IngressStats{Workloads: []*runwayv1.WorkloadStats{{
		Workload: workload, Revision: revision, Responses: []uint64{0, good, 0, 0, bad}, Latency: latency,
	}}})
}

func TestListTraffic(t *testing.T) {
	t.Parallel()
	b := healthyWeb(t)
	b.served(key("own", "web"), 1, 90, 5, 5*time.Millisecond)
	b.served(key("own", "web"), 0, 0, 5, 2*time.Second)
	services := runwayv1.NewServicesClient(b.as(viewer))
	answer, err := services.ListTraffic(testContext(t), &runwayv1.ListTrafficRequest{Space: "own"})
	if err != nil || len(answer.GetServices()) != 1 {
		t.Fatalf("got %v, %v, want one service", answer, err)
	}
	got := answer.GetServices()[0]
	if got.GetWorkload().GetService() != "web" || got.GetRequests() != 100 || got.GetFailed() != 5 || got.GetUnserved() != 5 ||
		got.GetP50().AsDuration() != 5*time.Millisecond || got.GetP99().AsDuration() != 2*time.Second || got.GetCovers().AsDuration() <= 0 {
		t.Errorf("got %v", got)
	}
	other, err := services.ListTraffic(testContext(t), &runwayv1.ListTrafficRequest{Space: "own", Environment: "staging"})
	if err != nil || len(other.GetServices()) != 0 {
		t.Errorf("of another environment: %v, %v", other, err)
	}
	_, err = services.ListTraffic(testContext(t), &runwayv1.ListTrafficRequest{Space: "nowhere"})
	wantCode(t, err, code.SpaceNotFound)
}
