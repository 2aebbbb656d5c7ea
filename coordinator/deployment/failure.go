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
	if at := s.deployment.GetStatus().GetProgressedAt().AsTime(); now.Sub(at) > progressDeadline {
		status := s.deployment.GetStatus()
		return cause(code.DeploymentDeadline, fmt.Sprintf("no progress for %s: %d of %d replicas serve", progressDeadline, status.GetServing(), status.GetWanted()))
	}
	return nil
}

// replicaFailure returns why one replica means that the revision does not work.
func replicaFailure(r *runwayv1.Replica) *runwayv1.Cause {
	given := r.GetStatus().GetCause()
	if fleet.Ended(r) && given.GetCode() != "" {
		return proto.CloneOf(given)
	}
	if r.GetStatus().GetAttempt() < crashes || r.GetStatus().GetReadyAt() == nil {
		return nil
	}
	if given.GetCode() != "" {
		return proto.CloneOf(given)
	}
	return cause(code.CrashLoop, fmt.Sprintf("replica %s was restarted %d times, last exit code %d", r.GetId(), r.GetStatus().GetAttempt(), r.GetStatus().GetExitCode()))
}

// unplaceable returns why no further replica can be placed, once the ones that are
// placed cannot make room by serving.
func (s subject) unplaceable(now time.Time) *runwayv1.Cause {
	for i, region := range s.view().Regions {
		w := s.wanted[i]
		if w.GetUnplaced() == nil || region.New.Existing > region.New.Serving {
			continue
		}
		if now.Sub(w.GetMeta().GetModifiedAt().AsTime()) > unplaceableGrace {
			return proto.CloneOf(w.GetUnplaced())
		}
	}
	return nil
}

func cause(c code.Code, summary string) *runwayv1.Cause {
	return &runwayv1.Cause{Code: string(c), Summary: summary, Fix: c.Fix()}
}
