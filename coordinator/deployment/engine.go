package deployment

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/fleet"
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
	next.Before = s.found()
	s.step(next)
	return next
}

func (s subject) roll(now time.Time) *runwayv1.DeploymentStatus {
	if failure := s.failure(now); failure != nil {
		next := s.next(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING, now)
		next.Cause = failure
		s.take(next, s.undoSteps(now))
		return next
	}
	next := proto.CloneOf(s.deployment.GetStatus())
	s.step(next)
	if s.arrived() {
		return s.end(next, runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED, now)
	}
	if next.GetServing() > next.GetMostServing() {
		next.MostServing, next.ProgressedAt = next.GetServing(), timestamppb.New(now)
	}
	return next
}

// arrived tells whether every wanted replica is a new one that serves, and no
// ingress sends anything to an old one.
func (s subject) arrived() bool {
	for _, r := range s.regions {
		if r.New.Serving < r.Wanted || r.Old.Existing > 0 {
			return false
		}
	}
	return !s.routed(func(r *runwayv1.Replica) bool { return !fleet.Owns(s.deployment, r) })
}

// found notes what a deployment finds when it begins.
func (s subject) found() []*runwayv1.DeploymentBefore {
	var all []*runwayv1.DeploymentBefore
	for _, r := range s.regions {
		all = append(all, &runwayv1.DeploymentBefore{Region: r.Name, Serving: uint32(r.Old.Serving), Taken: r.strays.Existing > 0})
	}
	return all
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
		next.Targets = append(next.Targets, &runwayv1.DeploymentTarget{
			Region: step.Region, New: uint32(step.New), Old: uint32(step.Old),
			Keep: thousandths(step.Floor.Keep), Relief: thousandths(step.Floor.Relief),
		})
	}
	next.Serving, next.Wanted = 0, 0
	for _, r := range s.regions {
		next.Serving += uint32(r.New.Serving)
		next.Wanted += uint32(r.Wanted)
	}
}

// thousandths rounds down: what is asked of a set must be what it can do.
func thousandths(part float64) uint32 { return uint32(part * 1000) }

// step writes what the strategy asks for, and in which regions that takes of what the
// deployment found.
func (s subject) step(next *runwayv1.DeploymentStatus) {
	steps := s.strategy().Plan(s.view())
	s.take(next, steps)
	for _, before := range next.GetBefore() {
		before.Taken = before.GetTaken() || slices.ContainsFunc(s.regions, func(r region) bool {
			return r.Name == before.GetRegion() && slices.ContainsFunc(steps, r.takenBy)
		})
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
