package fleet_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	. "github.com/runway-platform/runway/coordinator/fleet"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// served is a state in which serving replicas of "web" serve, of as many as are wanted.
func served(t testing.TB, wanted, serving int) *coordinatortest.State {
	spec := coordinatortest.Spec()
	spec.Scale = &runwayv1.ScalePolicy{Min: 1, Max: 1000}
	s := coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.Deploy("d1", "web", spec, uint32(wanted)),
		&runwayv1.SetWanted{Workload: coordinatortest.Key("web"), Region: coordinatortest.Region, Count: uint32(wanted), Writer: "alice"})
	for i := range serving {
		id := fmt.Sprintf("r%d", i)
		s.Must(t, coordinatortest.Assign(coordinatortest.Replica(id, "web", 1, "n1", uint32(20000+i))),
			coordinatortest.Report("n1", id, runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING), &runwayv1.ConfirmRoutes{Serving: []string{id}})
	}
	return s
}

// A set of its size does the whole, one replica fewer visibly does not.
func TestLeft_SharesMakeAWhole(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		wanted := rapid.IntRange(1, 9).Draw(r, "wanted")
		s := served(t, wanted, wanted)
		if got := Left(s.View(), coordinatortest.ID("web"), coordinatortest.Region, nil); got < Whole {
			r.Errorf("%d of %d do %d", wanted, wanted, got)
		}
		if got := Left(s.View(), coordinatortest.ID("web"), coordinatortest.Region, map[string]bool{"r0": true}); got >= Whole {
			r.Errorf("%d of %d do %d", wanted-1, wanted, got)
		}
	})
}

func TestHold_CountsOnWhatServesAndStays(t *testing.T) {
	drain := func(ids ...string) []*runwayv1.ReplicaGoal {
		var goals []*runwayv1.ReplicaGoal
		for _, id := range ids {
			goals = append(goals, &runwayv1.ReplicaGoal{Replica: id, Goal: runwayv1.Goal_GOAL_DRAIN})
		}
		return goals
	}
	for _, row := range []struct {
		name   string
		change []proto.Message
		goals  []*runwayv1.ReplicaGoal
		want   []uint64
	}{
		{"all that is wanted stays", nil, drain("r0"), []uint64{Whole}},
		{"each by what all leave", nil, drain("r0", "r1"), []uint64{Whole / 2, Whole / 2}},
		{"some go already", []proto.Message{&runwayv1.SetReplicaGoals{Goals: drain("r1")}}, drain("r0"), []uint64{Whole / 2}},
		{"what does not serve is not missed, unless it does by then", []proto.Message{
			&runwayv1.ConfirmRoutes{NotServing: []string{"r0"}}, &runwayv1.SetReplicaGoals{Goals: drain("r1")},
		}, drain("r0"), []uint64{Unmissed}},
		{"what is over is not missed, unless it is back by then", []proto.Message{
			coordinatortest.Report("n1", "r0", runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED), &runwayv1.SetReplicaGoals{Goals: drain("r1")},
		}, drain("r0"), []uint64{Uncounted}},
		{"what goes already counts on nothing", []proto.Message{&runwayv1.SetReplicaGoals{Goals: drain("r1")}},
			[]*runwayv1.ReplicaGoal{{Replica: "r1", Goal: runwayv1.Goal_GOAL_STOP}}, []uint64{0}},
		{"a deleted service keeps nothing", []proto.Message{&runwayv1.DeleteWorkload{Workload: coordinatortest.Key("web"), By: "test"}}, drain("r0"), []uint64{0}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := served(t, 2, 3)
			s.Must(t, row.change...)
			Hold(s.View(), row.goals)
			for i, goal := range row.goals {
				if goal.GetLeast() != row.want[i] {
					t.Errorf("%s counts on %d, want %d", goal.GetReplica(), goal.GetLeast(), row.want[i])
				}
			}
		})
	}
}
