package command_test

import (
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	. "github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// drains is what a controller writes that lets replicas go and counts on the others.
func drains(least uint64, replicas ...string) *runwayv1.SetReplicaGoals {
	c := &runwayv1.SetReplicaGoals{}
	for _, r := range replicas {
		c.Goals = append(c.Goals, &runwayv1.ReplicaGoal{Replica: r, Goal: runwayv1.Goal_GOAL_DRAIN, Least: least})
	}
	return c
}

// three has r1 on n1 and r2, r3 on n2, all of which serve; two are wanted.
func three(t *testing.T) *State {
	t.Helper()
	return NewState(t, RegisterNode("n1"), RegisterNode("n2"), Deploy("d1", "web", Spec(), 2),
		Assign(Replica("r1", "web", 1, "n1", 20000), Replica("r2", "web", 1, "n2", 20000), Replica("r3", "web", 1, "n2", 20001)),
		Report("n1", "r1", running), Report("n2", "r2", running), Report("n2", "r3", running),
		&runwayv1.ConfirmRoutes{Serving: []string{"r1", "r2", "r3"}})
}

// Two controllers decide from views of their own, and faults come between a look and
// its write: what the decision counted on must still be there.
func TestSetReplicaGoals_RefusesWhatTheOthersNoLongerMakeUpFor(t *testing.T) {
	const whole = fleet.Whole
	wanted := func(count uint32) proto.Message {
		return &runwayv1.SetWanted{Workload: Key("web"), Region: Region, Count: count, Writer: "alice"}
	}
	for _, row := range []struct {
		name      string
		meanwhile []proto.Message
		give      *runwayv1.SetReplicaGoals
		refused   []string
	}{
		{"nothing happened", nil, drains(whole, "r1"), nil},
		{"another controller took one", []proto.Message{drains(whole, "r2")}, drains(whole, "r1"), []string{"r1"}},
		{"of one command only what is spare", nil, drains(whole, "r1", "r2"), []string{"r2"}},
		{"an old entry asks for nothing", []proto.Message{drains(whole, "r2")}, drains(0, "r1", "r3"), nil},
		{"less was left when it was decided", []proto.Message{drains(whole, "r2")}, drains(whole/2, "r1"), nil},
		{"the node of another is silent", []proto.Message{phase("n2", suspect)}, drains(whole, "r1"), []string{"r1"}},
		{"another crashed", []proto.Message{Report("n2", "r2", failed)}, drains(whole, "r1"), []string{"r1"}},
		{"another left the routes", []proto.Message{&runwayv1.ConfirmRoutes{NotServing: []string{"r2"}}}, drains(whole, "r1"), []string{"r1"}},
		{"it serves no more itself", []proto.Message{phase("n2", suspect)}, drains(whole, "r2"), nil},
		{"it serves again", nil, drains(fleet.Unmissed, "r1"), []string{"r1"}},
		{"it still does not serve", []proto.Message{Report("n1", "r1", failed)}, drains(fleet.Unmissed, "r1"), nil},
		{"it is back, and does not serve yet", []proto.Message{phase("n1", suspect)}, drains(fleet.Uncounted, "r1"), []string{"r1"}},
		{"it is still over", []proto.Message{Report("n1", "r1", failed)}, drains(fleet.Uncounted, "r1"), nil},
		{"more are wanted", []proto.Message{wanted(3)}, drains(whole, "r1"), []string{"r1"}},
		{"fewer are wanted", []proto.Message{wanted(1)}, drains(whole, "r1", "r2"), nil},
		{"straight to its end", []proto.Message{drains(whole, "r2")},
			&runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: "r1", Goal: runwayv1.Goal_GOAL_STOP, Least: whole}}}, []string{"r1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := three(t)
			s.Must(t, row.meanwhile...)
			result, err := s.Apply(t.Context(), row.give)
			if err != nil {
				t.Fatal(err)
			}
			refused := slices.Sorted(maps.Keys(Refused(result)))
			if !slices.Equal(refused, row.refused) {
				t.Errorf("refused %v, want %v", refused, row.refused)
			}
			for _, goal := range row.give.GetGoals() {
				stays := s.View().Replica(goal.GetReplica()).GetPlan().GetGoal() == runwayv1.Goal_GOAL_SERVE
				if stays != slices.Contains(row.refused, goal.GetReplica()) {
					t.Errorf("%s stays: %v", goal.GetReplica(), stays)
				}
			}
		})
	}
}

// Another service, or another region, is no replacement.
func TestSetReplicaGoals_OthersAreThoseOfTheSameServiceAndRegion(t *testing.T) {
	s := three(t)
	s.Must(t, Deploy("d2", "api", Spec(), 1), Assign(Replica("a1", "api", 1, "n1", 20002)), Report("n1", "a1", running),
		&runwayv1.ConfirmRoutes{Serving: []string{"a1"}})
	result, err := s.Apply(t.Context(), drains(fleet.Whole, "a1"))
	if err != nil || len(Refused(result)) != 1 {
		t.Errorf("the only one of a service was taken: %v, %v", result, err)
	}
	if got := fleet.Left(s.View(), state.IDOf(Key("api")), "elsewhere", nil); got != 0 {
		t.Errorf("%d of the work is done in a region without replicas", got)
	}
}
