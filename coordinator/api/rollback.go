package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const succeeded = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED

// Rollback deploys a revision again that exists already, with its own bounds.
func (s serviceService) Rollback(ctx context.Context, request *runwayv1.RollbackRequest) (*runwayv1.DeployResponse, error) {
	view := s.view()
	workload, err := find(view, request.GetWorkload())
	if err != nil {
		return nil, err
	}
	if err := checkNotes(request); err != nil {
		return nil, err
	}
	if made := view.DeploymentOfRequest(state.IDOf(workload.GetKey()), request.GetIdempotencyKey()); made != nil {
		return s.deployed(made, nil), nil
	}
	revision, err := rollbackTarget(view, workload, request.GetRevision())
	if err != nil {
		return nil, err
	}
	started, err := apply[*runwayv1.Deployment](ctx, s.API, &runwayv1.Deploy{
		Deployment:     newID("d-"),
		Workload:       workload.GetKey(),
		Revision:       revision.GetNumber(),
		Strategy:       deployment.DefaultStrategy,
		CreatedBy:      caller.From(ctx).Name,
		Message:        rollbackMessage(request.GetMessage(), workload.GetServingRevision(), revision.GetNumber()),
		IdempotencyKey: request.GetIdempotencyKey(),
		Wanted:         firstWanted(view, workload.GetKey(), revision.GetSpec()),
	})
	if err != nil {
		return nil, err
	}
	return s.deployed(started, nil), nil
}

func rollbackMessage(given string, from, to uint64) string {
	switch {
	case given != "":
		return given
	case from == 0:
		return fmt.Sprintf("deploy revision %d again", to)
	}
	return fmt.Sprintf("roll back from revision %d to %d", from, to)
}

// rollbackTarget returns the revision to go back to: the one that was asked for, or
// the one that served before the one that serves.
func rollbackTarget(view *state.View, workload *runwayv1.Workload, asked uint64) (*runwayv1.Revision, error) {
	id := state.IDOf(workload.GetKey())
	number, active := asked, view.Deployment(workload.GetActiveDeployment())
	switch {
	case asked == 0 && active != nil:
		// Which of the two the user wants to leave is not ours to guess.
		return nil, refuse(conflictStatus, code.Conflict, "deployment %s to revision %d is in progress: undo it with `runwayctl deployments cancel %s`, or name the revision with --to",
			active.GetId(), active.GetSpec().GetRevision(), active.GetId())
	case asked == 0:
		number = servedBefore(view, workload)
	case asked == workload.GetServingRevision() && active == nil:
		return nil, invalid(code.SpecInvalid, "revision %d serves already; `runwayctl restart` replaces its replicas", asked)
	}
	switch {
	case number == 0 && workload.GetServingRevision() == 0:
		return nil, refuse(invalidStatus, code.NothingBefore, "no revision of service %q has ever served", workload.GetKey().GetService())
	case number == 0:
		return nil, refuse(invalidStatus, code.NothingBefore, "no revision of service %q served before revision %d", workload.GetKey().GetService(), workload.GetServingRevision())
	}
	revision := view.Revision(id, number)
	if revision == nil {
		return nil, refuse(notFoundStatus, code.RevisionNotFound, "service %q has no revision %d", workload.GetKey().GetService(), number)
	}
	return revision, nil
}

// servedBefore returns the revision of the newest deployment that succeeded before
// the serving one came, 0 when there is none. The history may have forgotten that
// deployment while the serving one still names what it replaced.
func servedBefore(view *state.View, workload *runwayv1.Workload) uint64 {
	serving := workload.GetServingRevision()
	if serving == 0 {
		return 0
	}
	history := slices.Clone(view.DeploymentsOf(state.IDOf(workload.GetKey())))
	slices.SortFunc(history, func(a, b *runwayv1.Deployment) int {
		return cmp.Compare(b.GetMeta().GetCreatedIndex(), a.GetMeta().GetCreatedIndex())
	})
	for _, d := range history {
		if d.GetStatus().GetPhase() != succeeded {
			continue
		}
		for _, candidate := range []uint64{d.GetSpec().GetRevision(), d.GetSpec().GetPreviousRevision()} {
			if candidate != 0 && candidate != serving {
				return candidate
			}
		}
	}
	return 0
}
