package api

import (
	"cmp"
	"context"
	"time"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/names"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// maxMessage and maxKey bound what people and CI add to a deployment, in bytes.
	maxMessage = 1024
	maxKey     = 128
	// deployTimeout bounds a deploy when the caller sets no deadline: resolution of
	// the image and one write.
	deployTimeout = 30 * time.Second
)

// Deploy checks what is asked, resolves the image once and starts the deployment.
func (s serviceService) Deploy(ctx context.Context, request *runwayv1.DeployRequest) (*runwayv1.DeployResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, deployTimeout)
	defer cancel()
	view := s.view()
	spec, warnings, err := s.checkDeploy(view, request)
	if err != nil {
		return nil, err
	}
	if spec.Image.Resolved, err = s.config.Images.Resolve(ctx, spec.GetImage().GetReference()); err != nil {
		return nil, err
	}
	started, err := apply[*runwayv1.Deployment](ctx, s.API, &runwayv1.Deploy{
		Deployment:     newID("d-"),
		Workload:       request.GetWorkload(),
		Spec:           spec,
		Strategy:       cmp.Or(request.GetStrategy(), deployment.DefaultStrategy),
		CreatedBy:      caller.From(ctx).Name,
		Message:        request.GetMessage(),
		IdempotencyKey: request.GetIdempotencyKey(),
		Wanted:         firstWanted(view, request.GetWorkload(), spec),
	})
	if err != nil {
		return nil, err
	}
	return s.deployed(started, warnings), nil
}

// Restart replaces every replica by a new one of the revision that serves.
func (s serviceService) Restart(ctx context.Context, request *runwayv1.RestartRequest) (*runwayv1.DeployResponse, error) {
	if _, err := find(s.view(), request.GetWorkload()); err != nil {
		return nil, err
	}
	if err := checkNotes(request); err != nil {
		return nil, err
	}
	started, err := apply[*runwayv1.Deployment](ctx, s.API, &runwayv1.Deploy{
		Deployment:     newID("d-"),
		Workload:       request.GetWorkload(),
		Strategy:       deployment.DefaultStrategy,
		CreatedBy:      caller.From(ctx).Name,
		Message:        request.GetMessage(),
		Restart:        true,
		IdempotencyKey: request.GetIdempotencyKey(),
	})
	if err != nil {
		return nil, err
	}
	return s.deployed(started, nil), nil
}

// checkDeploy refuses what can be refused without asking a registry.
func (s serviceService) checkDeploy(view *state.View, request *runwayv1.DeployRequest) (*runwayv1.RevisionSpec, []string, error) {
	key := request.GetWorkload()
	if err := names.CheckKey(key, view.Cluster().GetDomain()); err != nil {
		return nil, nil, invalid(code.NameInvalid, "%v", err)
	}
	if view.Space(key.GetSpace()) == nil {
		return nil, nil, noSpace(key.GetSpace())
	}
	if _, err := deployment.Lookup(request.GetStrategy()); err != nil {
		return nil, nil, invalid(code.SpecInvalid, "%v", err)
	}
	if err := checkNotes(request); err != nil {
		return nil, nil, err
	}
	spec, warnings, err := complete(request.GetSpec())
	if err != nil {
		return nil, nil, err
	}
	if err := checkSpec(spec); err != nil {
		return nil, nil, err
	}
	return spec, warnings, fitsSomeNode(view, spec.GetResources())
}

// checkNotes refuses a message or a key that is too long for the history.
func checkNotes(request interface {
	GetMessage() string
	GetIdempotencyKey() string
}) error {
	if len(request.GetMessage()) > maxMessage || len(request.GetIdempotencyKey()) > maxKey {
		return invalid(code.SpecInvalid, "the message may have %d bytes and the idempotency key %d", maxMessage, maxKey)
	}
	return nil
}

func (s serviceService) deployed(deployment *runwayv1.Deployment, warnings []string) *runwayv1.DeployResponse {
	view := s.view()
	revision := view.Revision(state.IDOf(deployment.GetWorkload()), deployment.GetSpec().GetRevision())
	return &runwayv1.DeployResponse{
		Deployment: deployment,
		Revision:   revision,
		Urls:       urls(view, deployment.GetWorkload(), revision.GetSpec()),
		Warnings:   warnings,
	}
}

// firstWanted is how many replicas a new workload has: each revision's own minimum, in
// the first region of the cluster. A count that there is stays as it is.
func firstWanted(view *state.View, key *runwayv1.WorkloadKey, spec *runwayv1.RevisionSpec) []*runwayv1.Wanted {
	regions := view.Cluster().GetRegions()
	if len(regions) == 0 {
		return nil
	}
	return []*runwayv1.Wanted{{
		Workload: key, Region: regions[0], Count: spec.GetScale().GetMin(), Reason: "min_instances", Writer: state.WriterManifest,
	}}
}
