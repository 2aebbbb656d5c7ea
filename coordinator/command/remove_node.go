package command

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// removeNode forgets a node and its replicas, whatever they do: the machine is
// gone for good, and its identity does not come back.
func removeNode(tx *state.Tx, c *runwayv1.RemoveNode) (proto.Message, error) {
	node := tx.Node(c.GetNode())
	if node == nil {
		return nil, reject(ErrNotFound, code.SpecInvalid, "there is no node %q", c.GetNode())
	}
	replicas := tx.ReplicasOn(node.GetId())
	for _, replica := range replicas {
		tx.DeleteReplica(replica.GetId())
	}
	tx.DeleteNode(node.GetId())
	tx.PutRemovedMachine(node.GetId())
	tx.PutEvent(ofNode(node.GetId(), "node.removed", fmt.Sprintf("node %s with %d replicas", node.GetName(), len(replicas))))
	return nil, nil
}
