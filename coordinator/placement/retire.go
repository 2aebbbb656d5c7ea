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
// that do not serve, then those of another revision than the set's, then those on
// the node that has most of the set, then the newest. They drain before they stop.
func retire(view *state.View, t target, excess int) []*runwayv1.ReplicaGoal {
	crowd := map[string]int{}
	for _, r := range t.replicas {
		crowd[r.GetPlan().GetNode()]++
	}
	victims := slices.Clone(t.replicas)
	slices.SortStableFunc(victims, func(a, b *runwayv1.Replica) int {
		return cmp.Or(
			cmp.Compare(rank(view, a), rank(view, b)),
			cmp.Compare(kin(t, a), kin(t, b)),
			cmp.Compare(crowd[b.GetPlan().GetNode()], crowd[a.GetPlan().GetNode()]),
			cmp.Compare(b.GetMeta().GetCreatedIndex(), a.GetMeta().GetCreatedIndex()),
			cmp.Compare(b.GetId(), a.GetId()),
		)
	})
	goals := make([]*runwayv1.ReplicaGoal, 0, excess)
	for _, r := range victims[:excess] {
		goals = append(goals, &runwayv1.ReplicaGoal{Replica: r.GetId(), Goal: runwayv1.Goal_GOAL_DRAIN, Reason: retireReason(view, t, r)})
	}
	return goals
}

// rank is lower the less a replica does.
func rank(view *state.View, r *runwayv1.Replica) int {
	switch {
	case fleet.Serves(view, r):
		return 2
	case r.GetStatus().GetReady():
		return 1
	default:
		return 0
	}
}

// kin is 1 for a replica of the revision that the set is made of.
func kin(t target, r *runwayv1.Replica) int {
	if r.GetRevision() == t.revision {
		return 1
	}
	return 0
}

func retireReason(view *state.View, t target, r *runwayv1.Replica) string {
	active := fleet.Active(view, view.Workload(t.workload))
	switch {
	case active != nil && active.GetStatus().GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING:
		return "deployment " + active.GetId() + " is undone"
	case active != nil && active.GetId() != t.deployment:
		return "replaced by deployment " + active.GetId()
	case t.revision == 0:
		return "its deployment did not succeed"
	case r.GetRevision() != t.revision:
		return "of another revision than the one that serves"
	default:
		return "more replicas than wanted"
	}
}

// mayStart tells whether the set may get a replica now, or must wait because its
// last ones failed.
func mayStart(t target, now time.Time) bool {
	failures, last := 0, time.Time{}
	for _, r := range t.rows {
		if !failed(r) {
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
