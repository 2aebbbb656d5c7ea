package coordinatortest_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	. "github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// A change that the state machine refuses is written past it, so that the checker is
// seen to notice.
func TestCheckChange_NoticesWhatMustNotHappen(t *testing.T) {
	for _, row := range []struct {
		name, words string
		write       func(*state.Tx)
	}{
		{"nothing", "", func(*state.Tx) {}},
		{"another node", `was node:"n1"`, func(tx *state.Tx) { changed(tx, func(r *runwayv1.Replica) { r.Plan.Node = "n2" }) }},
		{"another epoch", "was node", func(tx *state.Tx) { changed(tx, func(r *runwayv1.Replica) { r.Plan.NodeEpoch++ }) }},
		{"another deployment", `is node`, func(tx *state.Tx) { changed(tx, func(r *runwayv1.Replica) { r.Deployment = "d2" }) }},
		{"goal goes back", "goes back", func(tx *state.Tx) { changed(tx, func(r *runwayv1.Replica) { r.Plan.Goal = runwayv1.Goal_GOAL_SERVE }) }},
		{"end taken back", "had ended", func(tx *state.Tx) {
			d := proto.CloneOf(tx.Deployment("d0"))
			d.Status.Phase = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING
			tx.PutDeployment(d)
		}},
		{"epoch falls", "goes from epoch", func(tx *state.Tx) {
			n := proto.CloneOf(tx.Node("n1"))
			n.Status.Epoch = 0
			tx.PutNode(n)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := NewState(t, RegisterNode("n1"), Deploy("d0", "web", Spec(), 1), Deploy("d1", "web", Spec(), 1), Assign(Replica("r1", "web", 1, "n1", 20000)),
				&runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: "r1", Goal: runwayv1.Goal_GOAL_DRAIN}}})
			before := s.View()
			if err := s.Update(before.Index()+1, Epoch, func(tx *state.Tx) error { row.write(tx); return nil }); err != nil {
				t.Fatal(err)
			}
			err := CheckChange(before, s.View())
			if (err != nil) != (row.words != "") || err != nil && !strings.Contains(strings.ReplaceAll(err.Error(), "  ", " "), row.words) {
				t.Errorf("got %v, want %q", err, row.words)
			}
		})
	}
}

func changed(tx *state.Tx, change func(*runwayv1.Replica)) {
	r := proto.CloneOf(tx.Replica("r1"))
	change(r)
	tx.PutReplica(r)
}
