package deployment

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// progressDeadline ends a deployment that comes no closer to its end.
	progressDeadline = 10 * time.Minute
	// unplaceableGrace lets a node that just registered, or room that is just
	// becoming free, be seen before a deployment fails for want of it.
	unplaceableGrace = 2 * time.Second
	// crashes of one replica after it was ready end the deployment.
	crashes = 2
)

// failure returns why the deployment cannot succeed, nil while it still may.
func (s subject) failure(now time.Time) *runwayv1.Cause {
	if s.deployment.GetSpec().GetCancel() {
		return cause(code.DeploymentCancelled, "the deployment was cancelled")
	}
	for _, r := range s.replicas {
		if !s.owns(r) {
			continue
		}
		if c := replicaFailure(r); c != nil {
			return c
		}
	}
	if c := s.unplaceable(now); c != nil {
		return c
	}
	if now.Sub(s.deployment.GetStatus().GetProgressedAt().AsTime()) > progressDeadline {
		return s.stuck()
	}
	return nil
}

// replicaFailure returns why one replica means that the revision does not work. One
// that was asked to go says nothing, nor one whose machine is at fault.
func replicaFailure(r *runwayv1.Replica) *runwayv1.Cause {
	given := r.GetStatus().GetCause()
	switch {
	case r.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE || fleet.PortRefused(r):
		return nil
	case fleet.Ended(r) && given.GetCode() != "":
		return proto.CloneOf(given)
	case r.GetStatus().GetAttempt() < crashes || r.GetStatus().GetReadyAt() == nil:
		return nil
	case given.GetCode() != "":
		return proto.CloneOf(given)
	default:
		return cause(code.CrashLoop, fmt.Sprintf("replica %s was restarted %d times, last exit code %d", r.GetId(), r.GetStatus().GetAttempt(), r.GetStatus().GetExitCode()))
	}
}

// unplaceable returns why a replica that the step asks for cannot be placed, once
// the ones that are placed cannot make room by serving.
func (s subject) unplaceable(now time.Time) *runwayv1.Cause {
	for i, region := range s.view().Regions {
		w := s.wanted[i]
		waits := region.New.Existing > region.New.Serving
		if w.GetUnplaced() == nil || waits || region.New.Existing >= s.stepIn(region.Name) {
			continue
		}
		since := later(w.GetMeta().GetModifiedAt().AsTime(), s.deployment.GetStatus().GetProgressedAt().AsTime())
		if now.Sub(since) > unplaceableGrace {
			return proto.CloneOf(w.GetUnplaced())
		}
	}
	return nil
}

// stepIn is how many new replicas the present step asks for in a region.
func (s subject) stepIn(region string) int {
	for _, t := range s.deployment.GetStatus().GetTargets() {
		if t.GetRegion() == region {
			return int(t.GetNew())
		}
	}
	return 0
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func cause(c code.Code, summary string) *runwayv1.Cause {
	return &runwayv1.Cause{Code: string(c), Summary: summary, Fix: c.Fix()}
}
