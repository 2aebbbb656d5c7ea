package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// setReplicaGoals moves goals forward: serve, drain, stop. Its writer worked on an older
// snapshot, so each is checked against the present state: a goal that would go back, of a
// replica that is gone, or of one that the others no longer make up for, is left out and
// listed.
func setReplicaGoals(tx *state.Tx, c *runwayv1.SetReplicaGoals) (proto.Message, error) {
	refusals, done := &runwayv1.Refusals{}, work{}
	for _, goal := range c.GetGoals() {
		if err := setGoal(tx, done, goal); err != nil {
			refuse(refusals, goal.GetReplica(), err)
		}
	}
	return refusals, nil
}

func setGoal(tx *state.Tx, done work, c *runwayv1.ReplicaGoal) *Rejection {
	old := tx.Replica(c.GetReplica())
	if old == nil {
		return reject(ErrNotFound, code.ReplicaNotFound, "there is no replica %q", c.GetReplica())
	}
	from, to := old.GetPlan().GetGoal(), c.GetGoal()
	if to == from {
		return nil
	}
	if to < from || runwayv1.Goal_name[int32(to)] == "" {
		return reject(ErrConflict, code.Conflict, "replica %q cannot go from %v to %v", old.GetId(), from, to)
	}
	if rejection := done.spare(tx, old, c.GetLeast()); rejection != nil {
		return rejection
	}
	replica := state.Clone(old)
	replica.Plan.Goal = to
	replica.Plan.Reason = bounded(c.GetReason())
	if to == runwayv1.Goal_GOAL_DRAIN {
		replica.Plan.DrainSince = tx.At()
	}
	tx.PutReplica(replica)
	tx.PutEvent(ofReplica(replica, "replica.goal_"+phaseWord(to.String(), "GOAL_"), c.GetReason()))
	return nil
}

// work is what the replicas of each workload do in each region while one command lets
// some of them go.
type work map[string]uint64

// spare lets a replica go, unless it serves and the others do less than least by now, or it
// was over and is back.
func (w work) spare(tx *state.Tx, r *runwayv1.Replica, least uint64) *Rejection {
	if least == fleet.Uncounted {
		if fleet.Counts(tx.View, r) {
			return reject(ErrConflict, code.Conflict, "replica %q is back", r.GetId())
		}
		return nil
	}
	does := fleet.Work(tx.View, r)
	if does == 0 {
		return nil
	}
	if least == fleet.Unmissed {
		return reject(ErrConflict, code.Conflict, "replica %q serves again", r.GetId())
	}
	id, region := state.IDOf(r.GetWorkload()), r.GetPlan().GetRegion()
	at := string(id) + "/" + region
	if _, counted := w[at]; !counted {
		w[at] = fleet.Left(tx.View, id, region, nil)
	}
	if left := w[at] - does; left < least {
		return reject(ErrConflict, code.Conflict, "replica %q is needed: without it %d %% of the work of %s is done, and %d %% were to be left",
			r.GetId(), percent(left), id, percent(least))
	}
	w[at] -= does
	return nil
}

func percent(part uint64) uint64 { return part / (fleet.Whole / 100) }
