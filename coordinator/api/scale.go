package api

import (
	"context"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Scale pins the wanted count of a workload in one region, within its policy.
func (s serviceService) Scale(ctx context.Context, request *runwayv1.ScaleRequest) (*runwayv1.ScaleResponse, error) {
	view := s.view()
	workload, err := find(view, request.GetWorkload())
	if err != nil {
		return nil, err
	}
	region, err := oneRegion(view, request.GetRegion())
	if err != nil {
		return nil, err
	}
	before := state.Size(view.Wanted(state.IDOf(workload.GetKey()), region), presentRevision(view, workload).GetSpec())
	who := caller.From(ctx)
	wanted, err := apply[*runwayv1.Wanted](ctx, s.API, &runwayv1.SetWanted{
		Workload: workload.GetKey(), Region: region, Count: request.GetCount(), Reason: "scaled by hand", Writer: who.Name,
	})
	if err != nil {
		return nil, err
	}
	return &runwayv1.ScaleResponse{Wanted: wanted, Before: uint32(before)}, nil
}

// oneRegion is the region that was named, or the only one.
func oneRegion(view *state.View, asked string) (string, error) {
	regions := view.Cluster().GetRegions()
	if asked != "" {
		return asked, nil // the command knows which there are
	}
	if len(regions) != 1 {
		return "", invalid(code.SpecInvalid, "the cluster has %d regions: name one of %q", len(regions), regions)
	}
	return regions[0], nil
}
