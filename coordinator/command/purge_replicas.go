package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// purgeReplicas forgets replicas of which nothing is left, on the node and in the
// ingresses; their node ports are free from then on. Others are left out and
// listed.
func purgeReplicas(tx *state.Tx, c *runwayv1.PurgeReplicas) (proto.Message, error) {
	refusals := &runwayv1.Refusals{}
	for _, id := range c.GetReplicas() {
		if err := checkPurge(tx.Replica(id), id); err != nil {
			refuse(refusals, id, err)
			continue
		}
		tx.DeleteReplica(id)
	}
	return refusals, nil
}

func checkPurge(replica *runwayv1.Replica, id string) *Rejection {
	switch {
	case replica == nil:
		return reject(ErrNotFound, code.ReplicaNotFound, "there is no replica %q", id)
	case replica.GetStatus().GetPhase() != runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED:
		return reject(ErrConflict, code.Conflict, "replica %q is not stopped", id)
	case replica.GetPlan().GetNodePort() != 0 && !replica.GetRouting().GetReleased():
		return reject(ErrConflict, code.Conflict, "an ingress may still send requests to replica %q", id)
	}
	return nil
}
