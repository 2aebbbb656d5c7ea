package deployment

import (
	"testing"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// An old replica that some ingresses had taken back when it was told to go serves not,
// and still gets requests: success waits until all have given it up.
func TestSuccess_WaitsForWhoStillRoutesToAnOldReplica(t *testing.T) {
	r := newRig(t, 1)
	r.replica("r1", 20000)
	r.Must(t,
		coordinatortest.Assign(coordinatortest.Replica("old", "web", 1, "n1", 20001)),
		&runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: "old", Goal: runwayv1.Goal_GOAL_DRAIN}}},
		coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING),
		&runwayv1.ConfirmRoutes{Serving: []string{"r1"}},
	)
	if got := r.look().GetPhase(); got != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING {
		t.Errorf("got %v while an ingress may route to the old one, want rolling", got)
	}
	r.Must(t, &runwayv1.ConfirmRoutes{Unrouted: []string{"old"}})
	if got := r.look().GetPhase(); got != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
		t.Errorf("got %v after all have given the old one up, want succeeded", got)
	}
}
