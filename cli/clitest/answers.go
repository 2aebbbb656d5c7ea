package clitest

import (
	"context"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// runwayv1.ClusterAPIServer

// Info answers with Cluster.
func (f *Fake) Info(context.Context, *runwayv1.InfoRequest) (*runwayv1.InfoResponse, error) {
	return f.Cluster, nil
}

// runwayv1.SpacesServer

// CreateSpace answers with a space that is being made; GetSpace finds it in
// AllSpaces.
func (f *Fake) CreateSpace(_ context.Context, r *runwayv1.CreateSpaceRequest) (*runwayv1.Space, error) {
	return &runwayv1.Space{Name: r.GetName(), Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_PROVISIONING}}, nil
}

// ListSpaces answers with AllSpaces.
func (f *Fake) ListSpaces(context.Context, *runwayv1.ListSpacesRequest) (*runwayv1.ListSpacesResponse, error) {
	return &runwayv1.ListSpacesResponse{Spaces: f.AllSpaces}, nil
}

// GetSpace finds a space of AllSpaces.
func (f *Fake) GetSpace(_ context.Context, r *runwayv1.GetSpaceRequest) (*runwayv1.Space, error) {
	for _, s := range f.AllSpaces {
		if s.GetName() == r.GetName() {
			return s, nil
		}
	}
	return nil, notFound(code.SpaceNotFound, r.GetName())
}

// DeleteSpace accepts.
func (f *Fake) DeleteSpace(context.Context, *runwayv1.DeleteSpaceRequest) (*runwayv1.DeleteSpaceResponse, error) {
	return &runwayv1.DeleteSpaceResponse{}, nil
}

// runwayv1.ServicesServer

// Deploy answers with Deployed.
func (f *Fake) Deploy(context.Context, *runwayv1.DeployRequest) (*runwayv1.DeployResponse, error) {
	return f.Deployed, nil
}

// Restart answers with Deployed.
func (f *Fake) Restart(context.Context, *runwayv1.RestartRequest) (*runwayv1.DeployResponse, error) {
	return f.Deployed, nil
}

// Rollback answers with Deployed.
func (f *Fake) Rollback(context.Context, *runwayv1.RollbackRequest) (*runwayv1.DeployResponse, error) {
	return f.Deployed, nil
}

// ListServices answers with AllServices.
func (f *Fake) ListServices(context.Context, *runwayv1.ListServicesRequest) (*runwayv1.ListServicesResponse, error) {
	return &runwayv1.ListServicesResponse{Services: f.AllServices}, nil
}

// GetService finds a service of AllServices by its name.
func (f *Fake) GetService(_ context.Context, r *runwayv1.GetServiceRequest) (*runwayv1.ServiceView, error) {
	for _, s := range f.AllServices {
		if s.GetWorkload().GetKey().GetService() == r.GetWorkload().GetService() {
			return s, nil
		}
	}
	return nil, notFound(code.ServiceNotFound, r.GetWorkload().GetService())
}

// ListReplicas answers with Replicas.
func (f *Fake) ListReplicas(context.Context, *runwayv1.ListReplicasRequest) (*runwayv1.ListReplicasResponse, error) {
	return &runwayv1.ListReplicasResponse{Replicas: f.Replicas}, nil
}

// ListRevisions answers with Revisions.
func (f *Fake) ListRevisions(context.Context, *runwayv1.ListRevisionsRequest) (*runwayv1.ListRevisionsResponse, error) {
	return f.Revisions, nil
}

// Scale answers with Scaled.
func (f *Fake) Scale(context.Context, *runwayv1.ScaleRequest) (*runwayv1.ScaleResponse, error) {
	return f.Scaled, nil
}

// DeleteService accepts.
func (f *Fake) DeleteService(context.Context, *runwayv1.DeleteServiceRequest) (*runwayv1.DeleteServiceResponse, error) {
	return &runwayv1.DeleteServiceResponse{}, nil
}

// ListTraffic answers with Traffic.
func (f *Fake) ListTraffic(context.Context, *runwayv1.ListTrafficRequest) (*runwayv1.ListTrafficResponse, error) {
	return &runwayv1.ListTrafficResponse{Services: f.Traffic}, nil
}

// Why answers with Reason.
func (f *Fake) Why(context.Context, *runwayv1.WhyRequest) (*runwayv1.WhyResponse, error) {
	return f.Reason, nil
}

// Logs sends Lines.
func (f *Fake) Logs(r *runwayv1.LogsRequest, stream grpc.ServerStreamingServer[runwayv1.LogsResponse]) error {
	f.record("Logs", r)
	for _, answer := range f.Lines {
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
	return f.hold(stream.Context(), r.GetOptions().GetFollow())
}

// runwayv1.DeploymentsServer

// GetDeployment finds a deployment of History.
func (f *Fake) GetDeployment(_ context.Context, r *runwayv1.GetDeploymentRequest) (*runwayv1.Deployment, error) {
	for _, d := range f.History {
		if d.GetId() == r.GetId() {
			return d, nil
		}
	}
	return nil, notFound(code.DeploymentNotFound, r.GetId())
}

// ListDeployments answers with History.
func (f *Fake) ListDeployments(context.Context, *runwayv1.ListDeploymentsRequest) (*runwayv1.ListDeploymentsResponse, error) {
	return &runwayv1.ListDeploymentsResponse{Deployments: f.History}, nil
}

// CancelDeployment answers like GetDeployment.
func (f *Fake) CancelDeployment(ctx context.Context, r *runwayv1.CancelDeploymentRequest) (*runwayv1.Deployment, error) {
	return f.GetDeployment(ctx, &runwayv1.GetDeploymentRequest{Id: r.GetId()})
}

// WatchDeployment sends the next of Watches.
func (f *Fake) WatchDeployment(r *runwayv1.WatchDeploymentRequest, stream grpc.ServerStreamingServer[runwayv1.WatchDeploymentResponse]) error {
	f.record("WatchDeployment", r)
	messages, last := f.nextWatch()
	for _, m := range messages {
		if err := stream.Send(m); err != nil {
			return err
		}
		if m.GetDeployment().GetStatus().GetPhase() >= runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
			return nil
		}
	}
	if err := f.hold(stream.Context(), f.Hold && last); err != nil {
		return err
	}
	return status.Error(codes.Unavailable, "the coordinator is gone")
}

func (f *Fake) nextWatch() (messages []*runwayv1.WatchDeploymentResponse, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.streams < len(f.Watches) {
		messages = f.Watches[f.streams]
	}
	f.streams++
	return messages, f.streams >= len(f.Watches)
}

// hold keeps a stream open until the client goes away.
func (f *Fake) hold(ctx context.Context, wanted bool) error {
	if !wanted {
		return nil
	}
	if broken, left := f.breaks(); broken {
		return left
	}
	if f.Held != nil {
		close(f.Held)
	}
	<-ctx.Done()
	return ctx.Err()
}

// breaks says how a follow ends when Broken is set.
func (f *Fake) breaks() (ends bool, how error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.follows++
	switch {
	case f.Broken == 0:
		return false, nil
	case f.follows <= f.Broken:
		return true, status.Error(codes.Unavailable, "the coordinator is gone")
	}
	return true, nil
}

// runwayv1.NodesServer

// ListNodes answers with AllNodes.
func (f *Fake) ListNodes(context.Context, *runwayv1.ListNodesRequest) (*runwayv1.ListNodesResponse, error) {
	return &runwayv1.ListNodesResponse{Nodes: f.AllNodes}, nil
}

// CreateJoinToken answers with Joined.
func (f *Fake) CreateJoinToken(context.Context, *runwayv1.CreateJoinTokenRequest) (*runwayv1.CreateJoinTokenResponse, error) {
	return f.Joined, nil
}

// ListIngresses answers with Ingresses.
func (f *Fake) ListIngresses(context.Context, *runwayv1.ListIngressesRequest) (*runwayv1.ListIngressesResponse, error) {
	return &runwayv1.ListIngressesResponse{Views: f.Ingresses, Generation: 41}, nil
}

// SetCordon accepts.
func (f *Fake) SetCordon(context.Context, *runwayv1.SetCordonRequest) (*runwayv1.SetCordonResponse, error) {
	return &runwayv1.SetCordonResponse{}, nil
}

// RemoveNode accepts, with two replicas.
func (f *Fake) RemoveNode(context.Context, *runwayv1.RemoveNodeRequest) (*runwayv1.RemoveNodeResponse, error) {
	return &runwayv1.RemoveNodeResponse{Replicas: 2}, nil
}

// RemoveIngress accepts.
func (f *Fake) RemoveIngress(context.Context, *runwayv1.RemoveIngressRequest) (*runwayv1.RemoveIngressResponse, error) {
	return &runwayv1.RemoveIngressResponse{}, nil
}

// AcceptRoutes accepts.
func (f *Fake) AcceptRoutes(context.Context, *runwayv1.AcceptRoutesRequest) (*runwayv1.AcceptRoutesResponse, error) {
	return &runwayv1.AcceptRoutesResponse{}, nil
}

// runwayv1.EventsServer

// ListEvents sends AllEvents.
func (f *Fake) ListEvents(r *runwayv1.ListEventsRequest, stream grpc.ServerStreamingServer[runwayv1.ListEventsResponse]) error {
	f.record("ListEvents", r)
	if err := stream.Send(&runwayv1.ListEventsResponse{Events: f.AllEvents, Index: 7, Incarnation: "first"}); err != nil {
		return err
	}
	return f.hold(stream.Context(), r.GetFollow())
}

// runwayv1.TokensServer

// CreateToken answers with Created.
func (f *Fake) CreateToken(context.Context, *runwayv1.CreateTokenRequest) (*runwayv1.CreateTokenResponse, error) {
	return f.Created, nil
}

// ListTokens answers with AllTokens.
func (f *Fake) ListTokens(context.Context, *runwayv1.ListTokensRequest) (*runwayv1.ListTokensResponse, error) {
	return &runwayv1.ListTokensResponse{Tokens: f.AllTokens}, nil
}

// RevokeToken accepts.
func (f *Fake) RevokeToken(context.Context, *runwayv1.RevokeTokenRequest) (*runwayv1.RevokeTokenResponse, error) {
	return &runwayv1.RevokeTokenResponse{}, nil
}
