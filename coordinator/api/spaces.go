package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/names"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// spaceService makes and removes tenants.
type spaceService struct {
	runwayv1.UnimplementedSpacesServer
	*API
}

// runwayv1.SpacesServer

func (s spaceService) CreateSpace(ctx context.Context, request *runwayv1.CreateSpaceRequest) (*runwayv1.Space, error) {
	if err := names.Check("space", request.GetName()); err != nil {
		return nil, invalid(code.NameInvalid, "%v", err)
	}
	return apply[*runwayv1.Space](ctx, s.API, &runwayv1.PutSpace{
		Name: request.GetName(), Create: true,
		Spec: &runwayv1.SpaceSpec{Description: request.GetDescription(), Restricted: request.GetRestricted()},
	})
}

func (s spaceService) ListSpaces(ctx context.Context, _ *runwayv1.ListSpacesRequest) (*runwayv1.ListSpacesResponse, error) {
	view, who := s.view(), caller.From(ctx)
	answer := &runwayv1.ListSpacesResponse{Index: view.Index()}
	for _, space := range view.Spaces() {
		if who.Sees(space.GetName()) {
			answer.Spaces = append(answer.Spaces, space)
		}
	}
	return answer, nil
}

func (s spaceService) GetSpace(_ context.Context, request *runwayv1.GetSpaceRequest) (*runwayv1.Space, error) {
	space := s.view().Space(request.GetName())
	if space == nil {
		return nil, noSpace(request.GetName())
	}
	return space, nil
}

func (s spaceService) DeleteSpace(ctx context.Context, request *runwayv1.DeleteSpaceRequest) (*runwayv1.DeleteSpaceResponse, error) {
	space := s.view().Space(request.GetName())
	if space == nil {
		return nil, noSpace(request.GetName())
	}
	_, err := s.config.Applier.Apply(ctx, &runwayv1.PutSpace{
		Name: space.GetName(), Spec: deleted(space.GetSpec()),
		WithServices: request.GetWithServices(), By: caller.From(ctx).Name,
	})
	if err != nil {
		return nil, err
	}
	return &runwayv1.DeleteSpaceResponse{}, nil
}

// deleted is a spec that asks for nothing else than before, and to be deleted.
func deleted(spec *runwayv1.SpaceSpec) *runwayv1.SpaceSpec {
	next := proto.CloneOf(spec)
	next.Delete = true
	return next
}
