package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// deleteWorkload asks for a workload's removal and ends its deployment. Its
// replicas are drained and stopped by the reaper, which purges it at last.
func deleteWorkload(tx *state.Tx, c *runwayv1.DeleteWorkload) (proto.Message, error) {
	id := state.IDOf(c.GetWorkload())
	old := tx.Workload(id)
	if old == nil {
		return nil, reject(ErrNotFound, code.ServiceNotFound, "there is no service %q", id)
	}
	if old.GetDelete() {
		return old, nil
	}
	if active := tx.Deployment(old.GetActiveDeployment()); active != nil {
		endDeployment(tx, active, runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_CANCELLED, &runwayv1.Cause{
			Code:    string(code.DeploymentCancelled),
			Summary: "the service is deleted by " + bounded(c.GetBy()),
			Fix:     code.DeploymentCancelled.Fix(),
		})
	}
	workload := state.Clone(old)
	workload.Delete = true
	workload.ActiveDeployment = ""
	tx.PutWorkload(workload)
	tx.PutEvent(ofWorkload(workload.GetKey(), "workload.deleting", "by "+c.GetBy()))
	return workload, nil
}
