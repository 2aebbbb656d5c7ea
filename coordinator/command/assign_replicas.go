package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// assignReplicas makes replicas where placement wants them. Placement worked on an
// older snapshot, so each is checked against the present state; one that no longer
// fits is left out and listed.
func assignReplicas(tx *state.Tx, c *runwayv1.AssignReplicas) (proto.Message, error) {
	refusals := &runwayv1.Refusals{}
	rooms := map[string]*room{}
	for _, replica := range c.GetReplicas() {
		if err := assign(tx, rooms, replica); err != nil {
			refuse(refusals, replica.GetId(), err)
		}
	}
	for _, problem := range c.GetProblems() {
		noteProblem(tx, problem)
	}
	return refusals, nil
}

// noteProblem keeps with the wanted count why not all of it has a node, or that all
// of it has one again. A count that is gone has no problem.
func noteProblem(tx *state.Tx, problem *runwayv1.PlacementProblem) {
	old := tx.Wanted(state.IDOf(problem.GetWorkload()), problem.GetRegion())
	if old == nil {
		return
	}
	wanted := state.Clone(old)
	wanted.Unplaced, wanted.UnplacedCount = boundedCause(problem.GetCause()), problem.GetCount()
	tx.PutWanted(wanted)
	if old.GetUnplaced() == nil && problem.GetCause() != nil {
		tx.PutEvent(warning(ofWorkload(problem.GetWorkload(), "placement.failed", problem.GetCause().GetSummary()), problem.GetCause().GetCode()))
	}
}

func assign(tx *state.Tx, rooms map[string]*room, given *runwayv1.Replica) *Rejection {
	revision, rejection := checkAssigned(tx, given)
	if rejection != nil {
		return rejection
	}
	node := tx.Node(given.GetPlan().GetNode())
	if rejection := checkTarget(node, given.GetPlan()); rejection != nil {
		return rejection
	}
	if rooms[node.GetId()] == nil {
		rooms[node.GetId()] = roomOn(tx, node)
	}
	if rejection := rooms[node.GetId()].take(given.GetPlan(), revision.GetSpec()); rejection != nil {
		return rejection
	}
	replica := newReplica(given, node)
	tx.PutReplica(replica)
	tx.PutEvent(ofReplica(replica, "replica.placed", "on node "+node.GetName()))
	return nil
}

// checkAssigned refuses replicas of something that is gone or never was.
func checkAssigned(tx *state.Tx, given *runwayv1.Replica) (*runwayv1.Revision, *Rejection) {
	id := state.IDOf(given.GetWorkload())
	if len(given.GetId()) > maxID || !identifier.MatchString(given.GetId()) {
		return nil, reject(ErrInvalid, code.SpecInvalid, "replica %q is not an identifier", given.GetId())
	}
	if tx.Replica(given.GetId()) != nil {
		return nil, reject(ErrExists, code.Conflict, "replica %q exists already", given.GetId())
	}
	if workload := tx.Workload(id); workload == nil || workload.GetDelete() {
		return nil, reject(ErrConflict, code.ServiceNotFound, "service %q is gone", id)
	}
	revision := tx.Revision(id, given.GetRevision())
	if revision == nil {
		return nil, reject(ErrNotFound, code.SpecInvalid, "service %q has no revision %d", id, given.GetRevision())
	}
	deployment := tx.Deployment(given.GetDeployment())
	if deployment != nil && state.IDOf(deployment.GetWorkload()) != id {
		return nil, reject(ErrInvalid, code.SpecInvalid, "deployment %q is of another service", deployment.GetId())
	}
	return revision, nil
}

// checkTarget refuses nodes that changed since placement looked at them.
func checkTarget(node *runwayv1.Node, plan *runwayv1.ReplicaPlan) *Rejection {
	switch {
	case node == nil:
		return reject(ErrConflict, code.Unplaceable, "node %q is gone", plan.GetNode())
	case node.GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_READY:
		return reject(ErrConflict, code.NodeDown, "node %q is not ready", node.GetName())
	case node.GetSpec().GetCordoned():
		return reject(ErrConflict, code.Unplaceable, "node %q is cordoned", node.GetName())
	case node.GetStatus().GetEpoch() != plan.GetNodeEpoch():
		return reject(ErrConflict, code.Conflict, "node %q is in epoch %d, not %d", node.GetName(), node.GetStatus().GetEpoch(), plan.GetNodeEpoch())
	case plan.GetRegion() != "" && plan.GetRegion() != node.GetFacts().GetRegion():
		return reject(ErrConflict, code.Unplaceable, "node %q is in region %q, not %q", node.GetName(), node.GetFacts().GetRegion(), plan.GetRegion())
	}
	return nil
}

// newReplica takes from the command what placement decides, and nothing else.
func newReplica(given *runwayv1.Replica, node *runwayv1.Node) *runwayv1.Replica {
	return &runwayv1.Replica{
		Id:         given.GetId(),
		Workload:   given.GetWorkload(),
		Revision:   given.GetRevision(),
		Deployment: given.GetDeployment(),
		Plan: &runwayv1.ReplicaPlan{
			Node:      node.GetId(),
			Region:    node.GetFacts().GetRegion(),
			NodeEpoch: node.GetStatus().GetEpoch(),
			NodePort:  given.GetPlan().GetNodePort(),
			Goal:      runwayv1.Goal_GOAL_SERVE,
		},
		Status:  &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_PENDING},
		Routing: &runwayv1.ReplicaRouting{},
	}
}

// refuse lists an item that was left out.
func refuse(refusals *runwayv1.Refusals, replica string, why *Rejection) {
	refusals.Refused = append(refusals.Refused, &runwayv1.Refusal{
		Replica: replica,
		Code:    string(why.Code),
		Reason:  why.Message,
	})
}
