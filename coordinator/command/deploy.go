package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxWorkloadsPerSpace bounds one tenant's share of the state.
const maxWorkloadsPerSpace = 10_000

// deploy makes a revision, unless an existing one is meant, and a deployment that
// moves the workload to it. A deployment in progress ends as superseded. A request
// that was written before gives the deployment that it made then.
func deploy(tx *state.Tx, c *runwayv1.Deploy) (proto.Message, error) {
	if err := checkDeploy(tx, c); err != nil {
		return nil, err
	}
	if made := tx.DeploymentOfRequest(state.IDOf(c.GetWorkload()), c.GetIdempotencyKey()); made != nil {
		return made, nil
	}
	if tx.Deployment(c.GetDeployment()) != nil {
		return nil, reject(ErrExists, code.Conflict, "deployment %q exists already", c.GetDeployment())
	}
	workload, err := workloadToDeploy(tx, c)
	if err != nil {
		return nil, err
	}
	revision, err := revisionToDeploy(tx, workload, c)
	if err != nil {
		return nil, err
	}
	if err := putFirstWanted(tx, c); err != nil {
		return nil, err
	}
	supersede(tx, workload, c)
	return startDeployment(tx, workload, revision, c), nil
}

func checkDeploy(tx *state.Tx, c *runwayv1.Deploy) error {
	if err := checkID("deployment", c.GetDeployment()); err != nil {
		return err
	}
	if err := checkKey(c.GetWorkload()); err != nil {
		return err
	}
	space := tx.Space(c.GetWorkload().GetSpace())
	if space == nil {
		return reject(ErrNotFound, code.SpaceNotFound, "there is no space %q", c.GetWorkload().GetSpace())
	}
	if space.GetSpec().GetDelete() || space.GetStatus().GetPhase() != runwayv1.SpacePhase_SPACE_PHASE_READY {
		return reject(ErrConflict, code.SpaceNotReady, "space %q is not ready", space.GetName())
	}
	if c.GetSpec() != nil {
		return checkSpec(c.GetSpec())
	}
	return nil
}

// workloadToDeploy returns a copy of the workload, or a new one when the command
// brings its first spec.
func workloadToDeploy(tx *state.Tx, c *runwayv1.Deploy) (*runwayv1.Workload, error) {
	id := state.IDOf(c.GetWorkload())
	workload := tx.Workload(id)
	switch {
	case workload.GetDelete():
		return nil, reject(ErrConflict, code.ServiceDeleting, "service %q is being deleted", id)
	case workload != nil:
		return state.Clone(workload), nil
	case c.GetSpec() == nil:
		return nil, reject(ErrNotFound, code.ServiceNotFound, "there is no service %q", id)
	case len(tx.WorkloadsIn(c.GetWorkload().GetSpace())) >= maxWorkloadsPerSpace:
		return nil, reject(ErrInvalid, code.SpecInvalid, "space %q has %d services, which is the most", c.GetWorkload().GetSpace(), maxWorkloadsPerSpace)
	}
	return &runwayv1.Workload{Key: c.GetWorkload()}, nil
}

// revisionToDeploy returns the number to move to, making the revision when the
// command has a spec.
func revisionToDeploy(tx *state.Tx, workload *runwayv1.Workload, c *runwayv1.Deploy) (uint64, error) {
	if c.GetSpec() != nil && !c.GetRestart() {
		workload.LatestRevision++
		tx.PutRevision(&runwayv1.Revision{
			Workload:  c.GetWorkload(),
			Number:    workload.GetLatestRevision(),
			Spec:      c.GetSpec(),
			CreatedBy: bounded(c.GetCreatedBy()),
			Message:   bounded(c.GetMessage()),
		})
		return workload.GetLatestRevision(), nil
	}
	number := c.GetRevision()
	if number == 0 && c.GetRestart() {
		number = workload.GetServingRevision()
	}
	id := state.IDOf(c.GetWorkload())
	if number == 0 {
		return 0, reject(ErrConflict, code.NothingDeployed, "service %q has no revision that serves", id)
	}
	if tx.Revision(id, number) == nil {
		return 0, reject(ErrNotFound, code.RevisionNotFound, "service %q has no revision %d", id, number)
	}
	return number, nil
}

// supersede ends the deployment in progress.
func supersede(tx *state.Tx, workload *runwayv1.Workload, c *runwayv1.Deploy) {
	old := tx.Deployment(workload.GetActiveDeployment())
	if old == nil {
		return
	}
	endDeployment(tx, old, runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUPERSEDED, &runwayv1.Cause{
		Code:    string(code.DeploymentSuperseded),
		Summary: "deployment " + c.GetDeployment() + " by " + bounded(c.GetCreatedBy()) + " took over",
		Fix:     code.DeploymentSuperseded.Fix(),
	})
}

// endDeployment writes a deployment's last status, decided by a command of a user.
func endDeployment(tx *state.Tx, old *runwayv1.Deployment, phase runwayv1.DeploymentPhase, cause *runwayv1.Cause) {
	ended := state.Clone(old)
	if ended.GetStatus() == nil {
		ended.Status = &runwayv1.DeploymentStatus{}
	}
	ended.Status.Phase = phase
	ended.Status.Cause = cause
	ended.Status.EndedAt = tx.At()
	tx.PutDeployment(ended)
	kind := "deployment." + phaseWord(phase.String(), "DEPLOYMENT_PHASE_")
	tx.PutEvent(warning(ofDeployment(ended, kind, cause.GetSummary()), cause.GetCode()))
}

func startDeployment(tx *state.Tx, workload *runwayv1.Workload, revision uint64, c *runwayv1.Deploy) *runwayv1.Deployment {
	deployment := &runwayv1.Deployment{
		Id:       c.GetDeployment(),
		Workload: c.GetWorkload(),
		Spec: &runwayv1.DeploymentSpec{
			Revision:         revision,
			PreviousRevision: workload.GetServingRevision(),
			Strategy:         c.GetStrategy(),
			CreatedBy:        bounded(c.GetCreatedBy()),
			Message:          bounded(c.GetMessage()),
			Restart:          c.GetRestart(),
			IdempotencyKey:   c.GetIdempotencyKey(),
		},
		Status: &runwayv1.DeploymentStatus{
			Phase:        runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_PENDING,
			StartedAt:    tx.At(),
			ProgressedAt: tx.At(),
			Wanted:       sizeOf(tx, state.IDOf(c.GetWorkload()), revision),
		},
	}
	workload.ActiveDeployment = deployment.GetId()
	tx.PutWorkload(workload)
	tx.DeleteDeletedWorkload(state.IDOf(workload.GetKey()))
	tx.PutDeployment(deployment)
	tx.PutEvent(ofDeployment(deployment, "deployment.started", c.GetMessage()))
	return deployment
}
