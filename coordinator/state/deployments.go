package state

import runwayv1 "github.com/runway-platform/runway/proto/runway/v1"

// DeploymentsKept bounds the ended deployments of a workload, for the same reason
// as RevisionsKept. It is also how far back a repeated request is recognised.
const DeploymentsKept = 20

const (
	byActive = "active"
	active   = "yes"
)

var deploymentTable = table[*runwayv1.Deployment]{
	name: TableDeployments,
	key:  (*runwayv1.Deployment).GetId,
	indexes: map[string]func(*runwayv1.Deployment) string{
		byWorkload: func(d *runwayv1.Deployment) string { return string(IDOf(d.GetWorkload())) },
		byActive: func(d *runwayv1.Deployment) string {
			if Ended(d.GetStatus().GetPhase()) {
				return ""
			}
			return active
		},
	},
}

// Ended reports whether a deployment in the phase will never change again.
func Ended(phase runwayv1.DeploymentPhase) bool {
	return phase >= runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
}

// Deployment returns a deployment by id.
func (v *View) Deployment(id string) *runwayv1.Deployment { return deploymentTable.get(v, id) }

// DeploymentsOf returns the deployments of a workload, by id.
func (v *View) DeploymentsOf(id WorkloadID) []*runwayv1.Deployment {
	return deploymentTable.where(v, byWorkload, string(id))
}

// DeploymentOfRequest returns the deployment of a workload that a request with the key
// made; nil without a key. An answer that was lost must not make a second one.
func (v *View) DeploymentOfRequest(id WorkloadID, key string) *runwayv1.Deployment {
	if key == "" {
		return nil
	}
	for _, deployment := range v.DeploymentsOf(id) {
		if deployment.GetSpec().GetIdempotencyKey() == key {
			return deployment
		}
	}
	return nil
}

// ActiveDeployments returns every deployment that has not ended.
func (v *View) ActiveDeployments() []*runwayv1.Deployment {
	return deploymentTable.where(v, byActive, active)
}

// PutDeployment writes a deployment and forgets the oldest ended ones of its
// workload beyond DeploymentsKept.
func (tx *Tx) PutDeployment(deployment *runwayv1.Deployment) {
	deploymentTable.put(tx, deployment)
	tx.trimDeployments(IDOf(deployment.GetWorkload()))
}

// DeleteDeployment removes a deployment.
func (tx *Tx) DeleteDeployment(id string) { deploymentTable.remove(tx, id) }

func (tx *Tx) trimDeployments(id WorkloadID) {
	var ended []*runwayv1.Deployment
	for _, deployment := range tx.DeploymentsOf(id) {
		if Ended(deployment.GetStatus().GetPhase()) {
			ended = append(ended, deployment)
		}
	}
	if len(ended) <= DeploymentsKept {
		return
	}
	sortByCreation(ended)
	for _, deployment := range ended[:len(ended)-DeploymentsKept] {
		tx.DeleteDeployment(deployment.GetId())
	}
}
