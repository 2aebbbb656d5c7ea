// Package planted breaks promises of the controllers on purpose, for the simulation and
// for processes that are built with failpoints. It must be of no effect in any other.
package planted

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/failpoint"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// In returns the applier itself, unless this process is built and told to break a promise.
func In(applier loop.Applier, views func() *state.View) loop.Applier {
	if failpoint.Planted == failpoint.None {
		return applier
	}
	return defect{applier, views}
}

// defect is an applier whose controllers have one.
type defect struct {
	loop.Applier
	views func() *state.View
}

// loop.Applier

func (d defect) Apply(ctx context.Context, payload proto.Message) (command.Result, error) {
	return d.Applier.Apply(ctx, Change(failpoint.Planted, d.views(), payload))
}

// Change returns the command that the controllers write instead, with a defect in them.
func Change(broken failpoint.Point, view *state.View, payload proto.Message) proto.Message {
	switch p := payload.(type) {
	case *runwayv1.ConfirmRoutes:
		return confirm(broken, proto.CloneOf(p))
	case *runwayv1.SetDeploymentStatus:
		p = proto.CloneOf(p)
		status(broken, p.GetStatus())
		return p
	case *runwayv1.SetReplicaGoals:
		return goals(broken, view, proto.CloneOf(p))
	case *runwayv1.AssignReplicas:
		if broken == failpoint.MakeTooMany {
			return doubled(proto.CloneOf(p))
		}
	}
	return payload
}

func goals(broken failpoint.Point, view *state.View, c *runwayv1.SetReplicaGoals) proto.Message {
	if broken == failpoint.DrainTooMany {
		return drainAll(view, c)
	}
	for _, goal := range c.GetGoals() {
		switch broken {
		case failpoint.SkipDraining:
			goal.Goal = runwayv1.Goal_GOAL_STOP
		case failpoint.CountOnNobody:
			goal.Least = 0
		}
	}
	return c
}

func doubled(assign *runwayv1.AssignReplicas) proto.Message {
	for _, r := range assign.GetReplicas() {
		second := proto.CloneOf(r)
		second.Id += "b"
		if r.GetPlan().GetNodePort() != 0 {
			second.Plan.NodePort += 30
		}
		assign.Replicas = append(assign.Replicas, second)
	}
	return assign
}

func confirm(broken failpoint.Point, c *runwayv1.ConfirmRoutes) proto.Message {
	switch broken {
	case failpoint.ReusePort:
		c.Released = append(c.Released, c.GetDrained()...)
	case failpoint.SkipDrain:
		c.Drained = append(c.Drained, c.GetNotServing()...)
	}
	return c
}

func status(broken failpoint.Point, s *runwayv1.DeploymentStatus) {
	switch phase := s.GetPhase(); {
	case broken == failpoint.ForgetUndo && phase == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING:
		s.Phase, s.EndedAt = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK, s.GetProgressedAt()
	case broken == failpoint.GiveUp && phase == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING:
		s.Phase, s.EndedAt = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED, s.GetProgressedAt()
	case broken == failpoint.Miscount:
		for _, before := range s.GetBefore() {
			before.Serving = 99
		}
	case broken == failpoint.SucceedEarly && phase == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING:
		s.Phase, s.EndedAt = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED, s.GetProgressedAt()
	case broken == failpoint.FailSilently && state.Ended(phase):
		s.Cause = nil
	}
}

func drainAll(view *state.View, goals *runwayv1.SetReplicaGoals) proto.Message {
	first := goals.GetGoals()[0]
	if first.GetGoal() != runwayv1.Goal_GOAL_DRAIN {
		return goals
	}
	for _, r := range view.ReplicasOf(state.IDOf(view.Replica(first.GetReplica()).GetWorkload())) {
		if fleet.Serves(view, r) && r.GetId() != first.GetReplica() {
			goals.Goals = append(goals.Goals, &runwayv1.ReplicaGoal{Replica: r.GetId(), Goal: runwayv1.Goal_GOAL_DRAIN, Reason: "planted"})
		}
	}
	return goals
}
