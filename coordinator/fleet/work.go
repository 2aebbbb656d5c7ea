package fleet

import (
	"math"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Whole is all the work of a workload in a region, as Work counts it.
const Whole = 1_000_000_000_000

// Unmissed is what a goal counts on for a replica that does not serve: no others make up for
// it once it does.
const Unmissed = math.MaxUint64

// Uncounted is what it counts on for one that was not even one of the wanted ones: that it
// is none of them by then either, or there would be one too few without it.
const Uncounted = math.MaxUint64 - 1

// Work is the part of its workload's work that a replica does: its share of what its own
// revision is whole with, which may be more and smaller replicas than another; none
// until it serves. Shares are rounded up, so that a whole set does the whole.
//
// The log depends on it: what it counts as work, Left, Serves, Counts, Ended, HasEndpoint and
// state.Size are part of the meaning of SetReplicaGoals, and change only with a new kind.
func Work(view *state.View, r *runwayv1.Replica) uint64 {
	if !Serves(view, r) {
		return 0
	}
	size := uint64(max(1, state.Size(view.Wanted(state.IDOf(r.GetWorkload()), r.GetPlan().GetRegion()), SpecOf(view, r))))
	return (Whole + size - 1) / size
}

// Left is what the replicas of a workload in a region do together, without some.
func Left(view *state.View, id state.WorkloadID, region string, without map[string]bool) uint64 {
	var left uint64
	for _, r := range view.ReplicasOf(id) {
		if r.GetPlan().GetRegion() == region && !without[r.GetId()] {
			left += Work(view, r)
		}
	}
	return left
}

// Hold writes into goals of one workload what they count on: that the replicas which serve
// and stay do as much when the goals are applied as now, the whole at most. Somebody else may
// let others go meanwhile, or a fault take them. One that does not serve now is not missed;
// should it serve by then, or be a wanted one again, it is back, and this has to be decided
// anew. A service that is deleted keeps nothing.
func Hold(view *state.View, goals []*runwayv1.ReplicaGoal) {
	going, left := map[string]bool{}, map[string]uint64{}
	for _, goal := range goals {
		going[goal.GetReplica()] = true
	}
	for _, goal := range goals {
		r := view.Replica(goal.GetReplica())
		id, region := state.IDOf(r.GetWorkload()), r.GetPlan().GetRegion()
		if w := view.Workload(id); w == nil || w.GetDelete() || r.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE {
			continue
		}
		if _, known := left[region]; !known {
			left[region] = min(Left(view, id, region, going), Whole)
		}
		switch {
		case !Counts(view, r):
			goal.Least = Uncounted
		case Work(view, r) == 0:
			goal.Least = Unmissed
		default:
			goal.Least = left[region]
		}
	}
}
