package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// setReplicaGoals moves goals forward: serve, drain, stop. A goal that would go
// back, or of a replica that is gone, is left out and listed.
func setReplicaGoals(tx *state.Tx, c *runwayv1.SetReplicaGoals) (proto.Message, error) {
	refusals := &runwayv1.Refusals{}
	for _, goal := range c.GetGoals() {
		if err := setGoal(tx, goal); err != nil {
			refuse(refusals, goal.GetReplica(), err)
		}
	}
	return refusals, nil
}

func setGoal(tx *state.Tx, c *runwayv1.ReplicaGoal) *Rejection {
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
