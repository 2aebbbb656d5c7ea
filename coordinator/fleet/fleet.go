// Package fleet answers questions about the replicas of one workload that several
// controllers ask: which belong together, which count, which serve. It is pure.
package fleet

import (
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Base is what a workload is in steady state, and what a failed deployment goes
// back to.
type Base struct {
	// Revision that served last.
	Revision uint64
	// Deployment that brought it, and that new replicas of it belong to; empty when
	// the history no longer has it.
	Deployment string
}

// BaseOf returns the base of a workload, nil before its first success.
func BaseOf(view *state.View, w *runwayv1.Workload) *Base {
	if w.GetServingRevision() == 0 {
		return nil
	}
	base := &Base{Revision: w.GetServingRevision()}
	var newest uint64
	for _, d := range view.DeploymentsOf(state.IDOf(w.GetKey())) {
		succeeded := d.GetStatus().GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
		if succeeded && d.GetSpec().GetRevision() == base.Revision && d.GetMeta().GetCreatedIndex() >= newest {
			base.Deployment, newest = d.GetId(), d.GetMeta().GetCreatedIndex()
		}
	}
	return base
}

// Active returns the workload's deployment in progress, nil when there is none.
func Active(view *state.View, w *runwayv1.Workload) *runwayv1.Deployment {
	if w.GetActiveDeployment() == "" {
		return nil
	}
	return view.Deployment(w.GetActiveDeployment())
}

// Owns tells whether the deployment made the replica.
func Owns(d *runwayv1.Deployment, r *runwayv1.Replica) bool { return r.GetDeployment() == d.GetId() }

// Is tells whether the replica runs the base's revision; none does where there is no base.
func (b *Base) Is(r *runwayv1.Replica) bool { return b != nil && r.GetRevision() == b.Revision }

// StepIn returns the present step of a deployment in a region, nil before its first.
func StepIn(d *runwayv1.Deployment, region string) *runwayv1.DeploymentTarget {
	for _, t := range d.GetStatus().GetTargets() {
		if t.GetRegion() == region {
			return t
		}
	}
	return nil
}

// Live tells whether an ingress counts: its confirmation is waited for. Log entries depend
// on it: it is part of the meaning of ConfirmRoutes.
func Live(ingress *runwayv1.Ingress) bool {
	return ingress.GetStatus().GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LIVE
}

// Ended tells whether nothing of the replica runs any more, or its agent has given
// up on it. Log entries depend on it, see Work.
func Ended(r *runwayv1.Replica) bool {
	switch r.GetStatus().GetPhase() {
	case runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED, runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED:
		return true
	default:
		return false
	}
}

// PortRefused tells whether the replica ended because something foreign holds its
// node port: the machine's fault, which says nothing about the revision.
func PortRefused(r *runwayv1.Replica) bool {
	return Ended(r) && r.GetStatus().GetCause().GetCode() == string(code.NodePortTaken)
}

// Counts tells whether the replica is one of the wanted ones: meant to serve, not
// ended, and on a node that is not given up. Log entries depend on it, see Work.
func Counts(view *state.View, r *runwayv1.Replica) bool {
	if r.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE || Ended(r) {
		return false
	}
	node := view.Node(r.GetPlan().GetNode())
	return node != nil && node.GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_DOWN
}

// Serves tells whether the replica does its work: it counts, passes its probes on a
// node that is heard of and, with an endpoint, every live ingress has confirmed a
// generation with it. Log entries depend on it, see Work.
func Serves(view *state.View, r *runwayv1.Replica) bool {
	if !Counts(view, r) || !r.GetStatus().GetReady() {
		return false
	}
	if view.Node(r.GetPlan().GetNode()).GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_READY {
		return false
	}
	return r.GetRouting().GetServing() || !HasEndpoint(SpecOf(view, r))
}

// MayBeRouted tells whether a live ingress may send requests to a replica that counts no
// more: all have confirmed it, or it was told to go and not all have confirmed that. One
// that returned to the routes just before it was told gets requests from some only.
func MayBeRouted(view *state.View, r *runwayv1.Replica) bool {
	routing := r.GetRouting()
	if routing.GetServing() {
		return true
	}
	told := r.GetPlan().GetGoal() > runwayv1.Goal_GOAL_SERVE
	return told && HasEndpoint(SpecOf(view, r)) && !routing.GetUnrouted() && !routing.GetDrained()
}

// SpecOf returns what the replica runs.
func SpecOf(view *state.View, r *runwayv1.Replica) *runwayv1.RevisionSpec {
	return view.Revision(state.IDOf(r.GetWorkload()), r.GetRevision()).GetSpec()
}

// HasEndpoint tells whether requests are routed to replicas of the spec. Log entries depend
// on it, see Work.
func HasEndpoint(spec *runwayv1.RevisionSpec) bool {
	return spec.GetContainerPort() != 0 && (spec.GetPublic() || spec.GetInternal())
}

// Select returns the replicas for which keep holds.
func Select(replicas []*runwayv1.Replica, keep func(*runwayv1.Replica) bool) []*runwayv1.Replica {
	var kept []*runwayv1.Replica
	for _, r := range replicas {
		if keep(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// Share returns how many of the replicas that leave are still needed: of an outgoing
// set that was whole with outgoing replicas, what the serving ones of an incoming
// set, whole with incoming, do not make up for. Each new one takes the place of its
// share, rounded so that there is never too little.
func Share(outgoing, incoming, serving int) int {
	if incoming <= 0 || serving >= incoming {
		return 0
	}
	missing := incoming - max(serving, 0)
	return (outgoing*missing + incoming - 1) / incoming
}
