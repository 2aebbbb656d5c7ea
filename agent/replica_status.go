package agent

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// status is what the coordinator is told.
func (r *replica) status(now time.Time) *runwayv1.ReplicaStatus {
	s := &runwayv1.ReplicaStatus{
		Phase:     r.phase(),
		Attempt:   uint32(r.past.Attempt),
		Ready:     r.ready(now),
		ReadyAt:   stamp(r.past.ReadyAt),
		ExitCode:  int32(r.past.ExitCode),
		OomKilled: r.past.OOM,
		Cause:     r.reportedCause(now).proto(),
	}
	if c := r.seen.container; c != nil {
		s.StartedAt, s.Pid = stamp(c.StartedAt), int64(c.PID)
	}
	if r.seen.place != nil {
		s.Address = r.seen.place.IP.String()
	}
	return s
}

// phase never goes back within an attempt, for the coordinator takes that for an old report.
func (r *replica) phase() runwayv1.ReplicaPhase {
	switch {
	case r.past.Failure != nil && r.goal() != runwayv1.Goal_GOAL_STOP:
		return runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
	case r.leaving() && r.gone():
		return runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED
	case r.leaving():
		return runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPING
	case r.running() || r.ended():
		return runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING // an ended attempt is not ready; the next one begins anew
	case r.seen.image || r.seen.place != nil || r.seen.container != nil || r.past.Attempt > 0:
		return runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING
	}
	return runwayv1.ReplicaPhase_REPLICA_PHASE_PULLING
}

// reportedCause is why the replica is not as desired now. A ready one has none, however it got there; a stopping one keeps the
// reason of its failure.
func (r *replica) reportedCause(now time.Time) *cause {
	switch {
	case r.past.Failure != nil:
		return r.past.Failure
	case r.ready(now):
		return nil
	case r.past.Trouble != nil:
		return r.past.Trouble
	case r.past.Condemned != nil:
		return r.past.Condemned
	case r.seen.complaint != nil:
		return probeCause(*r.seen.complaint)
	case r.past.Crashes >= loopAfter && r.past.LastCause != nil:
		return r.past.LastCause.inLoop(r.past.Crashes)
	}
	return r.past.LastCause
}

// inLoop says that it was not the first time. An out-of-memory kill keeps its code, which leads to the better fix.
func (c *cause) inLoop(times int) *cause {
	loop := *c
	if c.Code != code.OutOfMemory {
		loop.Code = code.CrashLoop
	}
	loop.Summary = fmt.Sprintf("ended %d times in a row; last: %s", times, c.Summary)
	return &loop
}

func stamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}

// mebibytes writes an amount of memory as manifests do.
func mebibytes(amount runtime.Bytes) string { return fmt.Sprintf("%d MiB", amount>>20) }
