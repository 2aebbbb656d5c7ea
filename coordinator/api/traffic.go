package api

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// ListTraffic returns what was served lately of the services that the caller may see.
func (s serviceService) ListTraffic(ctx context.Context, request *runwayv1.ListTrafficRequest) (*runwayv1.ListTrafficResponse, error) {
	view, who := s.view(), caller.From(ctx)
	if err := spaceExists(view, request.GetSpace()); err != nil {
		return nil, err
	}
	answer := new(runwayv1.ListTrafficResponse)
	wanted := &runwayv1.WorkloadKey{Space: request.GetSpace(), Environment: request.GetEnvironment()}
	for _, workload := range workloads(view, request.GetSpace()) {
		if key := workload.GetKey(); who.Sees(key.GetSpace()) && matches(wanted, key) {
			answer.Services = append(answer.Services, trafficOf(key, s.config.Recent(state.IDOf(key))))
		}
	}
	return answer, nil
}

func trafficOf(key *runwayv1.WorkloadKey, t presence.Traffic) *runwayv1.Traffic {
	return &runwayv1.Traffic{
		Workload: key, Covers: durationpb.New(t.Covers), Requests: t.Requests, Failed: t.Failed, Unserved: t.Unserved,
		P50: quantile(t, 0.5), P99: quantile(t, 0.99),
	}
}

func quantile(t presence.Traffic, share float64) *durationpb.Duration {
	if bound, ok := t.Quantile(share); ok {
		return durationpb.New(bound)
	}
	return nil
}
