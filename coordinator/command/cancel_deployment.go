package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// cancelDeployment notes that a user wants a deployment undone. Its controller
// does the rest.
func cancelDeployment(tx *state.Tx, c *runwayv1.CancelDeployment) (proto.Message, error) {
	old := tx.Deployment(c.GetDeployment())
	if old == nil {
		return nil, reject(ErrNotFound, code.DeploymentNotFound, "there is no deployment %q", c.GetDeployment())
	}
	if state.Ended(old.GetStatus().GetPhase()) {
		return nil, reject(ErrConflict, code.Conflict, "deployment %q has ended", c.GetDeployment())
	}
	if old.GetSpec().GetCancel() {
		return old, nil
	}
	deployment := state.Clone(old)
	deployment.Spec.Cancel = true
	tx.PutDeployment(deployment)
	tx.PutEvent(ofDeployment(deployment, "deployment.cancel_requested", "by "+c.GetBy()))
	return deployment, nil
}
