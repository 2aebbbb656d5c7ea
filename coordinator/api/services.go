package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// serviceService is about workloads: what is deployed, scaled, read and deleted.
type serviceService struct {
	runwayv1.UnimplementedServicesServer
	*API
}

// runwayv1.ServicesServer; Deploy, Scale, Logs and Why are in files of their own.

func (s serviceService) ListServices(ctx context.Context, request *runwayv1.ListServicesRequest) (*runwayv1.ListServicesResponse, error) {
	view, who := s.view(), caller.From(ctx)
	if err := spaceExists(view, request.GetSpace()); err != nil {
		return nil, err
	}
	answer := &runwayv1.ListServicesResponse{Index: view.Index()}
	wanted := &runwayv1.WorkloadKey{Space: request.GetSpace(), Environment: request.GetEnvironment()}
	for _, workload := range workloads(view, request.GetSpace()) {
		if who.Sees(workload.GetKey().GetSpace()) && matches(wanted, workload.GetKey()) {
			answer.Services = append(answer.Services, serviceView(view, who, workload))
		}
	}
	return answer, nil
}

func (s serviceService) GetService(ctx context.Context, request *runwayv1.GetServiceRequest) (*runwayv1.ServiceView, error) {
	view := s.view()
	workload, err := find(view, request.GetWorkload())
	if err != nil {
		return nil, err
	}
	return serviceView(view, caller.From(ctx), workload), nil
}

func (s serviceService) ListReplicas(ctx context.Context, request *runwayv1.ListReplicasRequest) (*runwayv1.ListReplicasResponse, error) {
	view, who := s.view(), caller.From(ctx)
	if err := spaceExists(view, request.GetWorkload().GetSpace()); err != nil {
		return nil, err
	}
	answer, found := &runwayv1.ListReplicasResponse{Index: view.Index()}, false
	for _, workload := range workloads(view, request.GetWorkload().GetSpace()) {
		if !who.Sees(workload.GetKey().GetSpace()) || !matches(request.GetWorkload(), workload.GetKey()) {
			continue
		}
		found = true
		for _, replica := range view.ReplicasOf(state.IDOf(workload.GetKey())) {
			if request.GetAll() || !over(replica) {
				answer.Replicas = append(answer.Replicas, replicaView(view, replica))
			}
		}
	}
	if !found && request.GetWorkload().GetService() != "" {
		return nil, noService(request.GetWorkload())
	}
	return answer, nil
}

func (s serviceService) ListRevisions(ctx context.Context, request *runwayv1.ListRevisionsRequest) (*runwayv1.ListRevisionsResponse, error) {
	view, who := s.view(), caller.From(ctx)
	workload, err := find(view, request.GetWorkload())
	if err != nil {
		return nil, err
	}
	answer := &runwayv1.ListRevisionsResponse{Serving: workload.GetServingRevision(), Index: view.Index()}
	for _, revision := range view.Revisions(state.IDOf(workload.GetKey())) {
		answer.Revisions = append(answer.Revisions, shown(who, revision))
	}
	return answer, nil
}

func (s serviceService) DeleteService(ctx context.Context, request *runwayv1.DeleteServiceRequest) (*runwayv1.DeleteServiceResponse, error) {
	workload, err := find(s.view(), request.GetWorkload())
	if err != nil {
		return nil, err
	}
	remove := &runwayv1.DeleteWorkload{Workload: workload.GetKey(), By: caller.From(ctx).Name}
	if _, err := s.config.Applier.Apply(ctx, remove); err != nil {
		return nil, err
	}
	return &runwayv1.DeleteServiceResponse{}, nil
}

// find returns a workload, or says what of its name does not exist.
func find(view *state.View, key *runwayv1.WorkloadKey) (*runwayv1.Workload, error) {
	if view.Space(key.GetSpace()) == nil {
		return nil, noSpace(key.GetSpace())
	}
	workload := view.Workload(state.IDOf(key))
	if workload == nil || !proto.Equal(workload.GetKey(), key) {
		return nil, noService(key)
	}
	return workload, nil
}

// spaceExists refuses a space that was named and is not there.
func spaceExists(view *state.View, space string) error {
	if space != "" && view.Space(space) == nil {
		return noSpace(space)
	}
	return nil
}

func workloads(view *state.View, space string) []*runwayv1.Workload {
	if space == "" {
		return view.Workloads()
	}
	return view.WorkloadsIn(space)
}

// matches compares the parts of a key that were asked for.
func matches(asked, key *runwayv1.WorkloadKey) bool {
	return same(asked.GetSpace(), key.GetSpace()) &&
		same(asked.GetService(), key.GetService()) &&
		same(asked.GetEnvironment(), key.GetEnvironment())
}

func same(asked, name string) bool { return asked == "" || asked == name }

// over says whether nothing of a replica runs any more.
func over(replica *runwayv1.Replica) bool {
	phase := replica.GetStatus().GetPhase()
	return phase == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED || phase == runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
}
