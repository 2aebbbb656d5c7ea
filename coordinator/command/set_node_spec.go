package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// setNodeSpec writes what the operator asks of a node.
func setNodeSpec(tx *state.Tx, c *runwayv1.SetNodeSpec) (proto.Message, error) {
	old := tx.Node(c.GetNode())
	if old == nil {
		return nil, reject(ErrNotFound, code.SpecInvalid, "there is no node %q", c.GetNode())
	}
	node := state.Clone(old)
	node.Spec = &runwayv1.NodeSpec{Cordoned: c.GetSpec().GetCordoned()}
	tx.PutNode(node)
	if node.GetSpec().GetCordoned() != old.GetSpec().GetCordoned() {
		tx.PutEvent(ofNode(node.GetId(), cordonKind(node), "node "+node.GetName()))
	}
	return node, nil
}

func cordonKind(node *runwayv1.Node) string {
	if node.GetSpec().GetCordoned() {
		return "node.cordoned"
	}
	return "node.uncordoned"
}
