package simulation

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// What is taken must be made up for at the look of who decides, and when it is taken.
func TestCapacity_IsHeldAgainstTheLookAndTheWrite(t *testing.T) {
	drain := func(r *runwayv1.Replica) *runwayv1.SetReplicaGoals {
		return &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: r.GetId(), Goal: runwayv1.Goal_GOAL_DRAIN}}}
	}
	for _, row := range []struct {
		name      string
		count     uint32 // wanted, of three that serve
		meanwhile func(others []*runwayv1.Replica) proto.Message
		found     int
	}{
		{"enough stays", 2, nil, 0},
		{"too little stays", 3, nil, 2},
		{"somebody else takes another", 2, func(others []*runwayv1.Replica) proto.Message { return drain(others[0]) }, 1},
		{"a node is removed", 2, func(others []*runwayv1.Replica) proto.Message {
			return &runwayv1.RemoveNode{Node: others[0].GetPlan().GetNode()}
		}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			inWorld(t, Config{Nodes: 3, Ingresses: 1}, func(w *World) {
				w.Deploy("d1", Spec(64*mebibyte), 3)
				w.Await("d1", time.Minute)
				w.Scale(row.count)
				looked, all := w.View(), w.View().Replicas()
				if row.meanwhile != nil {
					w.must(row.meanwhile(all[1:]))
				}
				w.Broken.found = nil
				before := w.View()
				goals := drain(all[0])
				if _, err := w.state.Apply(t.Context(), goals); err != nil {
					t.Fatal(err)
				}
				w.checker.capacity(change{looked: looked, before: before, payload: goals, after: w.View()}, goals)
				if found := w.Broken.All(); len(found) != row.found {
					t.Errorf("found %d, want %d: %q", len(found), row.found, found)
				}
			})
		})
	}
}
