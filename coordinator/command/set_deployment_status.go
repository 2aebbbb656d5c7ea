package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// setDeploymentStatus writes how far a deployment is. Phases go forward only; the
// last one frees the workload for the next deployment, and success makes the
// revision the one that serves.
func setDeploymentStatus(tx *state.Tx, c *runwayv1.SetDeploymentStatus) (proto.Message, error) {
	old := tx.Deployment(c.GetDeployment())
	if old == nil {
		return nil, reject(ErrNotFound, code.DeploymentNotFound, "there is no deployment %q", c.GetDeployment())
	}
	if got, want := c.GetModifiedIndex(), old.GetMeta().GetModifiedIndex(); got != want {
		return nil, reject(ErrConflict, code.Conflict, "deployment %q has moved from index %d to %d", old.GetId(), got, want)
	}
	from, to := old.GetStatus().GetPhase(), c.GetStatus().GetPhase()
	if !mayMove(from, to) {
		return nil, reject(ErrConflict, code.Conflict, "deployment %q cannot go from %v to %v", old.GetId(), from, to)
	}
	deployment := state.Clone(old)
	deployment.Status = statusAfter(tx, old.GetStatus(), c.GetStatus())
	tx.PutDeployment(deployment)
	if state.Ended(to) {
		releaseWorkload(tx, deployment)
	}
	if from != to {
		cause := deployment.GetStatus().GetCause()
		kind := "deployment." + phaseWord(to.String(), "DEPLOYMENT_PHASE_")
		tx.PutEvent(warning(ofDeployment(deployment, kind, cause.GetSummary()), cause.GetCode()))
	}
	return deployment, nil
}

// mayMove is the diagram of Deployment. A deployment of which nothing was started
// may fail or be cancelled without being undone.
func mayMove(from, to runwayv1.DeploymentPhase) bool {
	if runwayv1.DeploymentPhase_name[int32(to)] == "" || state.Ended(from) {
		return false
	}
	if to == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
		return from != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING
	}
	return to >= from && to != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNSPECIFIED
}

// statusAfter keeps the times that the command leaves out.
func statusAfter(tx *state.Tx, old, given *runwayv1.DeploymentStatus) *runwayv1.DeploymentStatus {
	given.Cause = boundedCause(given.GetCause())
	if given.GetStartedAt() == nil {
		given.StartedAt = old.GetStartedAt()
	}
	if given.GetProgressedAt() == nil {
		given.ProgressedAt = old.GetProgressedAt()
	}
	given.EndedAt = nil
	if state.Ended(given.GetPhase()) {
		given.EndedAt = tx.At()
	}
	return given
}

func releaseWorkload(tx *state.Tx, deployment *runwayv1.Deployment) {
	old := tx.Workload(state.IDOf(deployment.GetWorkload()))
	if old.GetActiveDeployment() != deployment.GetId() {
		return
	}
	workload := state.Clone(old)
	workload.ActiveDeployment = ""
	if deployment.GetStatus().GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
		workload.ServingRevision = deployment.GetSpec().GetRevision()
	}
	tx.PutWorkload(workload)
}
