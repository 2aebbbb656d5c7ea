package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// setNodePhase writes how the coordinator sees a node: ready, suspect, down. A
// node that is down becomes ready again, in a new epoch, and never suspect.
func setNodePhase(tx *state.Tx, c *runwayv1.SetNodePhase) (proto.Message, error) {
	old := tx.Node(c.GetNode())
	if old == nil {
		return nil, reject(ErrNotFound, code.SpecInvalid, "there is no node %q", c.GetNode())
	}
	from, to := old.GetStatus().GetPhase(), c.GetPhase()
	if from == to {
		return old, nil
	}
	if !mayTurn(from, to) {
		return nil, reject(ErrConflict, code.Conflict, "node %q cannot go from %v to %v", old.GetName(), from, to)
	}
	node := state.Clone(old)
	node.Status = &runwayv1.NodeStatus{Phase: to, Epoch: old.GetStatus().GetEpoch(), PhaseSince: tx.At()}
	if to == runwayv1.NodePhase_NODE_PHASE_READY {
		node.Status = readyStatus(tx, old.GetStatus())
	}
	tx.PutNode(node)
	tx.PutEvent(nodeEvent(node, c.GetReason()))
	return node, nil
}

func mayTurn(from, to runwayv1.NodePhase) bool {
	switch to {
	case runwayv1.NodePhase_NODE_PHASE_READY, runwayv1.NodePhase_NODE_PHASE_DOWN:
		return true
	case runwayv1.NodePhase_NODE_PHASE_SUSPECT:
		return from == runwayv1.NodePhase_NODE_PHASE_READY
	default:
		return false
	}
}

func nodeEvent(node *runwayv1.Node, reason string) *runwayv1.Event {
	phase := node.GetStatus().GetPhase()
	event := ofNode(node.GetId(), "node."+phaseWord(phase.String(), "NODE_PHASE_"), "node "+node.GetName()+": "+reason)
	if phase == runwayv1.NodePhase_NODE_PHASE_READY {
		return event
	}
	return warning(event, string(code.NodeDown))
}
