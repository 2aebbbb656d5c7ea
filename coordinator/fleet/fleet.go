// Package fleet answers questions about the replicas of one workload that several
// controllers ask: which belong together, which count, which serve. It is pure.
package fleet

import (
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Active returns the workload's deployment in progress, nil when there is none.
func Active(view *state.View, workload *runwayv1.Workload) *runwayv1.Deployment {
	if workload.GetActiveDeployment() == "" {
		return nil
	}
	return view.Deployment(workload.GetActiveDeployment())
}

// Serving returns the deployment that succeeded last, whose replicas are the
// workload in steady state; nil before the first success.
func Serving(view *state.View, id state.WorkloadID) *runwayv1.Deployment {
	var newest *runwayv1.Deployment
	for _, d := range view.DeploymentsOf(id) {
		if d.GetStatus().GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
			continue
		}
		if newest == nil || d.GetMeta().GetCreatedIndex() > newest.GetMeta().GetCreatedIndex() {
			newest = d
		}
	}
	return newest
}

// Ended tells whether nothing of the replica runs any more, or its agent has given
// up on it.
func Ended(r *runwayv1.Replica) bool {
	switch r.GetStatus().GetPhase() {
	case runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED, runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED:
		return true
	default:
		return false
	}
}

// Counts tells whether the replica is one of the wanted ones: meant to serve, not
// ended, and on a node that is not given up.
func Counts(view *state.View, r *runwayv1.Replica) bool {
	if r.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE || Ended(r) {
		return false
	}
	node := view.Node(r.GetPlan().GetNode())
	return node != nil && node.GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_DOWN
}

// IsServing tells whether the replica does its work: passes its probes and, with
// an endpoint, every live ingress has confirmed a generation with it.
func IsServing(view *state.View, r *runwayv1.Replica, spec *runwayv1.RevisionSpec) bool {
	if !Counts(view, r) || !r.GetStatus().GetReady() {
		return false
	}
	return !HasEndpoint(spec) || r.GetRouting().GetServing()
}

// HasEndpoint tells whether requests are routed to replicas of the spec.
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
