package simulation

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Failpoint breaks a promise on purpose, to show that the checker notices.
type Failpoint int

// The promises that can be broken.
const (
	None Failpoint = iota
	// StopFirst stops a replica as soon as it drains, confirmed or not.
	StopFirst
	// SkipAcknowledgement lets ingresses confirm a set before they route by it.
	SkipAcknowledgement
	// SkipDrain takes replicas for drained while requests are in flight.
	SkipDrain
	// ReusePort frees node ports while a lost ingress may still use them.
	ReusePort
	// ForgetUndo ends a failed deployment without bringing the old revision back.
	ForgetUndo
	// DrainTooMany tells everything of a workload to go, together with the first.
	DrainTooMany
	// SucceedEarly calls a deployment successful at its first step.
	SucceedEarly
	// FailSilently ends a failed deployment without a cause.
	FailSilently
	// NeverEnd lets the deployment controller fall asleep.
	NeverEnd
	// TwoContents publishes two sets with one generation.
	TwoContents
	// OldRoutes sends an ingress a set that is older than what it has.
	OldRoutes
	// TwoOwners lets two nodes run the same replica.
	TwoOwners
	// ReuseID gives a new replica the ID of one that is forgotten.
	ReuseID
	// GiveUp ends a failed deployment as failed, with everything as it is.
	GiveUp
	// Miscount notes another number than served when a deployment began.
	Miscount
	// SkipDraining stops replicas that are to drain.
	SkipDraining
	// CountOnNobody lets replicas go whatever became of the others since the look.
	CountOnNobody
	// MakeTooMany makes two replicas for each that is missing.
	MakeTooMany
)

// plant changes a command of the controllers as a defect in them would.
func (f Failpoint) plant(view *state.View, payload proto.Message) proto.Message {
	switch p := payload.(type) {
	case *runwayv1.ConfirmRoutes:
		return f.confirm(proto.CloneOf(p))
	case *runwayv1.SetDeploymentStatus:
		p = proto.CloneOf(p)
		f.status(p.GetStatus())
		return p
	case *runwayv1.SetReplicaGoals:
		return f.goals(view, proto.CloneOf(p))
	case *runwayv1.AssignReplicas:
		if f == MakeTooMany {
			return doubled(proto.CloneOf(p))
		}
	}
	return payload
}

func (f Failpoint) goals(view *state.View, c *runwayv1.SetReplicaGoals) proto.Message {
	if f == DrainTooMany {
		return drainAll(view, c)
	}
	for _, goal := range c.GetGoals() {
		switch f {
		case SkipDraining:
			goal.Goal = runwayv1.Goal_GOAL_STOP
		case CountOnNobody:
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

func (f Failpoint) confirm(c *runwayv1.ConfirmRoutes) proto.Message {
	switch f {
	case ReusePort:
		c.Released = append(c.Released, c.GetDrained()...)
	case SkipDrain:
		c.Drained = append(c.Drained, c.GetNotServing()...)
	}
	return c
}

func (f Failpoint) status(s *runwayv1.DeploymentStatus) {
	switch phase := s.GetPhase(); {
	case f == ForgetUndo && phase == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING:
		s.Phase = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK
	case f == GiveUp && phase == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING:
		s.Phase = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED
	case f == Miscount:
		for _, before := range s.GetBefore() {
			before.Serving = 99
		}
	case f == SucceedEarly && phase == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING:
		s.Phase = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
	case f == FailSilently && state.Ended(phase):
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

// tamper changes a set on its way to an ingress.
func (f Failpoint) tamper(i *ingress, set *runwayv1.RouteSet) *runwayv1.RouteSet {
	switch {
	case f == TwoContents && i.id == "i1":
		set = proto.CloneOf(set)
		set.Domain = "planted.test"
	case f == OldRoutes && i.set != nil && i.rand.IntN(4) == 0:
		set = proto.CloneOf(set)
		set.Generation = i.set.GetGeneration() - 1
	}
	return set
}
