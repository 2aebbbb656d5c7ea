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
		if !fleet.Owns(s.deployment, r) {
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
// neither those that start can make room by serving, nor those that leave by stopping.
func (s subject) unplaceable(now time.Time) *runwayv1.Cause {
	for _, r := range s.regions {
		starting := r.New.Existing > r.New.Serving
		lacking := r.New.Existing < int(fleet.StepIn(s.deployment, r.Name).GetNew())
		if r.wanted.GetUnplaced() == nil || starting || !lacking {
			continue
		}
		told, stepped := r.wanted.GetMeta().GetModifiedAt().AsTime(), s.deployment.GetStatus().GetProgressedAt().AsTime()
		if now.Sub(told) <= unplaceableGrace || now.Sub(stepped) <= unplaceableGrace {
			continue
		}
		if !fleet.RoomFor(s.state, r.Name, s.spec(s.deployment.GetSpec().GetRevision())) {
			return proto.CloneOf(r.wanted.GetUnplaced())
		}
	}
	return nil
}

func cause(c code.Code, summary string) *runwayv1.Cause {
	return &runwayv1.Cause{Code: string(c), Summary: summary, Fix: c.Fix()}
}
