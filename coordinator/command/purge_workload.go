package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// purgeWorkload forgets a deleted workload and its history, once no replica is
// left. That it was deleted is remembered for ingresses that are away.
func purgeWorkload(tx *state.Tx, c *runwayv1.PurgeWorkload) (proto.Message, error) {
	id := state.IDOf(c.GetWorkload())
	workload := tx.Workload(id)
	switch {
	case workload == nil:
		return nil, reject(ErrNotFound, code.ServiceNotFound, "there is no service %q", id)
	case !workload.GetDelete():
		return nil, reject(ErrConflict, code.Conflict, "nobody asked to delete service %q", id)
	case len(tx.ReplicasOf(id)) > 0:
		return nil, reject(ErrConflict, code.Conflict, "service %q still has replicas", id)
	}
	for _, revision := range tx.Revisions(id) {
		tx.DeleteRevision(id, revision.GetNumber())
	}
	for _, deployment := range tx.DeploymentsOf(id) {
		tx.DeleteDeployment(deployment.GetId())
	}
	for _, wanted := range tx.WantedOf(id) {
		tx.DeleteWanted(id, wanted.GetRegion())
	}
	tx.DeleteWorkload(id)
	tx.PutDeletedWorkload(workload.GetKey())
	tx.PutEvent(ofWorkload(c.GetWorkload(), "workload.deleted", "service "+string(id)))
	return nil, nil
}
