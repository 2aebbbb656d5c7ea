package deployment

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// advance returns the status that the deployment should have now; the same status
// when there is nothing to do. One phase is left per call.
func (s subject) advance(now time.Time) *runwayv1.DeploymentStatus {
	switch s.deployment.GetStatus().GetPhase() {
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_PENDING:
		return s.begin(now)
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING:
		return s.roll(now)
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING:
		return s.undo(now)
	default:
		return s.deployment.GetStatus()
	}
}

func (s subject) begin(now time.Time) *runwayv1.DeploymentStatus {
	next := s.next(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING, now)
	next.StartedAt = timestamppb.New(now)
	s.take(next, s.strategy().Plan(s.view()))
	return next
}

func (s subject) roll(now time.Time) *runwayv1.DeploymentStatus {
	if failure := s.failure(now); failure != nil {
		next := s.next(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING, now)
		next.Cause = failure
		s.take(next, s.undoSteps())
		return next
	}
	next := proto.CloneOf(s.deployment.GetStatus())
	s.take(next, s.strategy().Plan(s.view()))
	if s.arrived() {
		return s.end(next, runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED, now)
	}
	if next.GetServing() > next.GetMostServing() {
		next.MostServing, next.ProgressedAt = next.GetServing(), timestamppb.New(now)
	}
	return next
}

// undo brings the old set back to its size and lets the new one go. It ends as
// failed when there is nothing to go back to, or when going back takes longer than
// the progress deadline; placement then goes on without the deployment.
func (s subject) undo(now time.Time) *runwayv1.DeploymentStatus {
	next := proto.CloneOf(s.deployment.GetStatus())
	s.take(next, s.undoSteps())
	late := now.Sub(next.GetProgressedAt().AsTime()) > progressDeadline
	switch {
	case !s.undone() && !late:
		return next
	case s.base == nil || !s.undone():
		return s.end(next, s.failedPhase(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED), now)
	default:
		return s.end(next, s.failedPhase(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK), now)
	}
}

// failedPhase is the given one, unless a user asked for the end.
func (s subject) failedPhase(phase runwayv1.DeploymentPhase) runwayv1.DeploymentPhase {
	if s.deployment.GetStatus().GetCause().GetCode() == string(code.DeploymentCancelled) {
		return runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_CANCELLED
	}
	return phase
}

// arrived tells whether every wanted replica is a new one that serves, and no
// ingress sends anything to an old one.
func (s subject) arrived() bool {
	for _, r := range s.view().Regions {
		if r.New.Serving < r.Wanted || r.Old.Existing > 0 {
			return false
		}
	}
	return !s.routed(func(r *runwayv1.Replica) bool { return !s.owns(r) })
}

// undone tells whether the old set serves as before and no new replica is left
// that counts or gets requests.
func (s subject) undone() bool {
	for _, r := range s.view().Regions {
		if r.New.Existing > 0 || r.Old.Serving < r.Before {
			return false
		}
	}
	return !s.routed(s.owns)
}

func (s subject) undoSteps() []Step {
	var steps []Step
	for _, r := range s.view().Regions {
		steps = append(steps, undoStep(r))
	}
	return steps
}

// next is the present status in another phase.
func (s subject) next(phase runwayv1.DeploymentPhase, now time.Time) *runwayv1.DeploymentStatus {
	next := proto.CloneOf(s.deployment.GetStatus())
	if next == nil {
		next = &runwayv1.DeploymentStatus{}
	}
	next.Phase = phase
	next.ProgressedAt = timestamppb.New(now)
	return next
}

func (s subject) end(next *runwayv1.DeploymentStatus, phase runwayv1.DeploymentPhase, now time.Time) *runwayv1.DeploymentStatus {
	next.Phase = phase
	next.EndedAt = timestamppb.New(now)
	return next
}

// take writes the steps and the counts that people see.
func (s subject) take(next *runwayv1.DeploymentStatus, steps []Step) {
	next.Targets = nil
	for _, step := range steps {
		next.Targets = append(next.Targets, &runwayv1.DeploymentTarget{Region: step.Region, New: uint32(step.New), Old: uint32(step.Old)})
	}
	next.Serving, next.Wanted = 0, 0
	for _, r := range s.view().Regions {
		next.Serving += uint32(r.New.Serving)
		next.Wanted += uint32(r.Wanted)
	}
}

// strategy falls back to the default for a name that a newer version wrote: the
// deployment still ends, in the most careful way there is.
func (s subject) strategy() Strategy {
	strategy, err := Lookup(s.deployment.GetSpec().GetStrategy())
	if err != nil {
		return strategies[DefaultStrategy]
	}
	return strategy
}
