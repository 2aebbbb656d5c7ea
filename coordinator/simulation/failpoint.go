package simulation

import (
	"google.golang.org/protobuf/proto"

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
)

// plant changes a command of the controllers as a defect in them would.
func (f Failpoint) plant(payload proto.Message) proto.Message {
	switch p := payload.(type) {
	case *runwayv1.ConfirmRoutes:
		return f.confirm(proto.CloneOf(p))
	case *runwayv1.SetDeploymentStatus:
		if f == ForgetUndo && p.GetStatus().GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING {
			p = proto.CloneOf(p)
			p.Status.Phase = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK
			return p
		}
	}
	return payload
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
