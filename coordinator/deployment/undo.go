package deployment

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// undoPatience is how long new replicas that serve stay until the base is whole. After it
// they stay only until as many of the base serve as when the deployment began: a base
// that was not whole then may never be.
const undoPatience = time.Minute

// undo brings the base back to what it was and lets all others go. It ends as failed
// when there is nothing to go back to, or when going back takes longer than the
// progress deadline; placement then goes on without the deployment.
func (s subject) undo(now time.Time) *runwayv1.DeploymentStatus {
	next := proto.CloneOf(s.deployment.GetStatus())
	s.take(next, s.undoSteps(now))
	late := now.Sub(next.GetProgressedAt().AsTime()) > progressDeadline
	switch {
	case s.undone() && s.base != nil:
		next.Undone = true
		return s.end(next, s.endOf(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK), now)
	case s.undone():
		return s.end(next, s.endOf(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED), now)
	case late:
		next.Cause.Evidence = append(next.Cause.Evidence, s.unfinished()...)
		return s.end(next, s.endOf(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED), now)
	default:
		return next
	}
}

// endOf is the given phase, unless a user asked for the end.
func (s subject) endOf(phase runwayv1.DeploymentPhase) runwayv1.DeploymentPhase {
	if s.deployment.GetStatus().GetCause().GetCode() == string(code.DeploymentCancelled) {
		return runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_CANCELLED
	}
	return phase
}

// undone tells whether the base serves as it did when the deployment began, and alone:
// no other replica is left that counts or gets requests. Where none of the base was
// taken, there is nothing to bring back.
func (s subject) undone() bool {
	for _, r := range s.regions {
		restored := r.base.Serving >= r.whole || r.found != nil && !r.found.GetTaken()
		if r.New.Existing+r.strays.Existing > 0 || !restored {
			return false
		}
	}
	return !s.routed(func(r *runwayv1.Replica) bool { return !s.isBase(r) })
}

func (s subject) undoSteps(now time.Time) []Step {
	status := s.deployment.GetStatus()
	undoing := status.GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING
	patient := !undoing || now.Sub(status.GetProgressedAt().AsTime()) < undoPatience
	var steps []Step
	for _, r := range s.regions {
		relief := r.whole
		if patient {
			relief = r.Before
		}
		steps = append(steps, undoStep(r.Region, relief))
	}
	return steps
}

// undoStep brings the base back to its size at once, and lets new replicas go as others
// serve in their place, the last one when relief do. None is made.
func undoStep(r Region, relief int) Step {
	needed := fleet.Share(r.Wanted, relief, r.Old.Serving)
	floor := Floor{Keep: 1, Relief: float64(relief) / float64(max(1, r.Before))}
	return Step{Region: r.Name, New: min(r.New.Serving, needed), Old: r.Before, Floor: floor}
}

// unfinished says how far an undo came.
func (s subject) unfinished() []string {
	var lines []string
	for _, r := range s.regions {
		line := fmt.Sprintf("after %s of undoing %d of %d replicas of revision %d serve in %s", progressDeadline, r.base.Serving, r.whole, s.revisionBefore(), r.Name)
		if reason := r.wanted.GetUnplaced().GetSummary(); reason != "" {
			line += ": " + reason
		}
		lines = append(lines, line)
	}
	return lines
}

func (s subject) revisionBefore() uint64 {
	if s.base == nil {
		return 0
	}
	return s.base.Revision
}
