package simulation

import (
	"testing"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Between a look and its write somebody may take a replica. A fault is nobody's
// decision; what another controller told to go is.
func TestCapacity_TellsFaultsFromDecisionsBetweenLookAndWrite(t *testing.T) {
	for _, row := range []struct {
		name      string
		meanwhile func(*World, *runwayv1.Replica)
		stays     float64
	}{
		{"nothing", func(*World, *runwayv1.Replica) {}, 1},
		{"its node is removed", func(w *World, r *runwayv1.Replica) {
			w.must(&runwayv1.RemoveNode{Node: r.GetPlan().GetNode()})
		}, 1},
		{"it is told to go", func(w *World, r *runwayv1.Replica) {
			w.must(&runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: r.GetId(), Goal: runwayv1.Goal_GOAL_DRAIN}}})
		}, 0.5},
	} {
		t.Run(row.name, func(t *testing.T) {
			inWorld(t, Config{Nodes: 2, Ingresses: 1}, func(w *World) {
				w.Deploy("d1", Spec(64*mebibyte), 2)
				w.Await("d1", time.Minute)
				looked := w.View()
				row.meanwhile(w, looked.Replicas()[0])
				taken, left := w.checker.without(looked, change{before: w.View()}, keyID, nil)
				if taken != 0 || left != row.stays {
					t.Errorf("got %d taken and %v of the work left, want 0 and %v", taken, left, row.stays)
				}
			})
		})
	}
}
