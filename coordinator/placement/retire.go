package placement

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Replicas of a set that failed make the next one wait: failureDelay, doubled for
// each failure that is still remembered, up to failureDelayMax.
const (
	failureDelay    = time.Second
	failureDelayMax = 5 * time.Minute
)

// retire chooses which replicas of a set that is too large must go: first those
// that do not serve, then those on the node that has most of the set, then the
// newest. They drain before they stop.
func retire(view *state.View, t target, excess int) []*runwayv1.ReplicaGoal {
	crowd := map[string]int{}
	for _, r := range t.replicas {
		crowd[r.GetPlan().GetNode()]++
	}
	victims := slices.Clone(t.replicas)
	slices.SortStableFunc(victims, func(a, b *runwayv1.Replica) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)),
			cmp.Compare(crowd[b.GetPlan().GetNode()], crowd[a.GetPlan().GetNode()]),
			cmp.Compare(b.GetMeta().GetCreatedIndex(), a.GetMeta().GetCreatedIndex()),
			cmp.Compare(b.GetId(), a.GetId()),
		)
	})
	goals := make([]*runwayv1.ReplicaGoal, 0, excess)
	for _, r := range victims[:excess] {
		goals = append(goals, &runwayv1.ReplicaGoal{Replica: r.GetId(), Goal: runwayv1.Goal_GOAL_DRAIN, Reason: retireReason(view, t)})
	}
	return goals
}

// rank is lower the less a replica does.
func rank(r *runwayv1.Replica) int {
	switch {
	case !r.GetStatus().GetReady():
		return 0
	case !r.GetRouting().GetServing():
		return 1
	default:
		return 2
	}
}

func retireReason(view *state.View, t target) string {
	if w := view.Workload(t.workload); w.GetActiveDeployment() != "" && w.GetActiveDeployment() != t.deployment {
		return "replaced by deployment " + w.GetActiveDeployment()
	}
	return "more replicas than wanted"
}

// mayStart tells whether the set may get a replica now, or must wait because its
// last ones failed. A deployment in progress judges failures itself.
func mayStart(view *state.View, t target, now time.Time) bool {
	if w := view.Workload(t.workload); w.GetActiveDeployment() == t.deployment {
		return true
	}
	failures, last := 0, time.Time{}
	for _, r := range view.ReplicasOf(t.workload) {
		if r.GetDeployment() != t.deployment || !failed(r) {
			continue
		}
		failures++
		if at := r.GetMeta().GetModifiedAt().AsTime(); at.After(last) {
			last = at
		}
	}
	if failures == 0 {
		return true
	}
	delay := failureDelay * time.Duration(math.Exp2(float64(min(failures-1, 16))))
	return !now.Before(last.Add(min(delay, failureDelayMax)))
}

// failed tells whether the replica ended without being asked to.
func failed(r *runwayv1.Replica) bool {
	return fleet.Ended(r) && r.GetStatus().GetCause().GetCode() != ""
}
