package command

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// reportReplicas writes what agents saw of their replicas. A report about another
// node's replica, from another epoch, or older than what is known is left out and
// listed.
func reportReplicas(tx *state.Tx, c *runwayv1.ReportReplicas) (proto.Message, error) {
	refusals := &runwayv1.Refusals{}
	for _, report := range c.GetReports() {
		if err := applyReport(tx, report); err != nil {
			refuse(refusals, report.GetReplica(), err)
		}
	}
	return refusals, nil
}

func applyReport(tx *state.Tx, report *runwayv1.NodeReport) *Rejection {
	old := tx.Replica(report.GetReplica())
	if err := checkReport(old, report); err != nil {
		return err
	}
	next := boundedStatus(report.GetStatus())
	if proto.Equal(old.GetStatus(), next) {
		return nil
	}
	replica := state.Clone(old)
	replica.Status = next
	tx.PutReplica(replica)
	recordReport(tx, old.GetStatus(), replica)
	return nil
}

func checkReport(old *runwayv1.Replica, report *runwayv1.NodeReport) *Rejection {
	id, plan := report.GetReplica(), old.GetPlan()
	switch {
	case old == nil:
		return reject(ErrNotFound, code.ReplicaNotFound, "there is no replica %q", id)
	case plan.GetNode() != report.GetNode():
		return reject(ErrConflict, code.PermissionDenied, "replica %q is not on node %q", id, report.GetNode())
	case plan.GetNodeEpoch() != report.GetNodeEpoch():
		return reject(ErrConflict, code.Conflict, "replica %q is of epoch %d, not %d", id, plan.GetNodeEpoch(), report.GetNodeEpoch())
	case stageOf(report.GetStatus().GetPhase()) == 0:
		return reject(ErrInvalid, code.SpecInvalid, "replica phase %d is unknown", report.GetStatus().GetPhase())
	case !isNewer(old.GetStatus(), report.GetStatus()):
		return reject(ErrConflict, code.Conflict, "replica %q is past attempt %d, %v", id, report.GetStatus().GetAttempt(), report.GetStatus().GetPhase())
	}
	return nil
}

// isNewer reports whether a report may follow what is known: phases go forward
// within an attempt, attempts go forward, and stopped is the end.
func isNewer(old, next *runwayv1.ReplicaStatus) bool {
	if old.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
		return proto.Equal(old, next)
	}
	if old.GetAttempt() != next.GetAttempt() {
		return next.GetAttempt() > old.GetAttempt()
	}
	return stageOf(next.GetPhase()) >= stageOf(old.GetPhase())
}

// stageOf orders phases in time: a failed replica is still to be stopped. 0 is an
// unknown phase.
func stageOf(phase runwayv1.ReplicaPhase) int {
	switch phase {
	case runwayv1.ReplicaPhase_REPLICA_PHASE_PENDING:
		return 1
	case runwayv1.ReplicaPhase_REPLICA_PHASE_PULLING:
		return 2
	case runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING:
		return 3
	case runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING:
		return 4
	case runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED:
		return 5
	case runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPING:
		return 6
	case runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED:
		return 7
	default:
		return 0
	}
}

// boundedStatus cuts a status to what the state keeps and believes: only a running
// replica is ready.
func boundedStatus(given *runwayv1.ReplicaStatus) *runwayv1.ReplicaStatus {
	given.Cause = boundedCause(given.GetCause())
	given.Address = bounded(given.GetAddress())
	given.Ready = given.GetReady() && given.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING
	return given
}

// recordReport writes an event for what an operator would ask about.
func recordReport(tx *state.Tx, old *runwayv1.ReplicaStatus, replica *runwayv1.Replica) {
	status := replica.GetStatus()
	cause := status.GetCause()
	switch {
	case status.GetOomKilled() && !old.GetOomKilled():
		tx.PutEvent(warning(ofReplica(replica, "replica.oom", oomText(cause)), string(code.OutOfMemory)))
	case status.GetAttempt() > old.GetAttempt():
		message := fmt.Sprintf("attempt %d: %s", status.GetAttempt(), cause.GetSummary())
		tx.PutEvent(warning(ofReplica(replica, "replica.restarted", message), cause.GetCode()))
	case status.GetPhase() != old.GetPhase() && status.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED:
		tx.PutEvent(warning(ofReplica(replica, "replica.failed", cause.GetSummary()), cause.GetCode()))
	case status.GetPhase() != old.GetPhase() && status.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED:
		tx.PutEvent(ofReplica(replica, "replica.stopped", replica.GetPlan().GetReason()))
	case status.GetReady() && !old.GetReady():
		tx.PutEvent(ofReplica(replica, "replica.ready", ""))
	case old.GetReady() && !status.GetReady() && replica.GetPlan().GetGoal() == runwayv1.Goal_GOAL_SERVE:
		tx.PutEvent(warning(ofReplica(replica, "replica.unready", cause.GetSummary()), cause.GetCode()))
	}
}

// oomText says what happened also when the agent gave no cause.
func oomText(cause *runwayv1.Cause) string {
	if cause.GetSummary() == "" {
		return "killed at its memory limit"
	}
	return cause.GetSummary()
}
