package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxReportItems bounds the revisions and the ingresses that a report names: more
// revisions of one service are not kept, and more ingresses are not read by people.
const maxReportItems = 100

// recordDeploymentReport adds what was served during a deployment. It has ended,
// and nothing changes a report once it is written.
func recordDeploymentReport(tx *state.Tx, c *runwayv1.RecordDeploymentReport) (proto.Message, error) {
	old := tx.Deployment(c.GetDeployment())
	switch {
	case old == nil:
		return nil, reject(ErrNotFound, code.DeploymentNotFound, "there is no deployment %q", c.GetDeployment())
	case !state.Ended(old.GetStatus().GetPhase()):
		return nil, reject(ErrConflict, code.Conflict, "deployment %q has not ended", c.GetDeployment())
	case old.GetReport() != nil:
		return old, nil
	case c.GetReport() == nil:
		return nil, reject(ErrInvalid, code.SpecInvalid, "the report of deployment %q is empty", c.GetDeployment())
	}
	deployment := state.Clone(old)
	deployment.Report = boundedReport(c.GetReport())
	tx.PutDeployment(deployment)
	return deployment, nil
}

// boundedReport cuts a report to what the state keeps.
func boundedReport(given *runwayv1.DeploymentReport) *runwayv1.DeploymentReport {
	kept := proto.CloneOf(given)
	kept.Revisions = kept.GetRevisions()[:min(len(kept.GetRevisions()), maxReportItems)]
	kept.Incomplete = kept.GetIncomplete()[:min(len(kept.GetIncomplete()), maxReportItems)]
	for i, name := range kept.GetIncomplete() {
		kept.Incomplete[i] = bounded(name)
	}
	return kept
}
