package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// heartbeat is how often a watch repeats itself when nothing changes, so that a
	// watcher knows that it is alive and looks at the leader.
	heartbeat = 10 * time.Second
	// reportPatience is how long the last message waits for the report: longer than
	// the ingresses may take to answer for it.
	reportPatience = 2 * time.Second
)

// deploymentService is about single deployments.
type deploymentService struct {
	runwayv1.UnimplementedDeploymentsServer
	*API
}

// runwayv1.DeploymentsServer

func (s deploymentService) GetDeployment(ctx context.Context, request *runwayv1.GetDeploymentRequest) (*runwayv1.Deployment, error) {
	return findDeployment(s.view(), caller.From(ctx), request.GetId())
}

func (s deploymentService) ListDeployments(ctx context.Context, request *runwayv1.ListDeploymentsRequest) (*runwayv1.ListDeploymentsResponse, error) {
	view, who := s.view(), caller.From(ctx)
	if err := spaceExists(view, request.GetWorkload().GetSpace()); err != nil {
		return nil, err
	}
	answer := &runwayv1.ListDeploymentsResponse{Index: view.Index()}
	for _, workload := range workloads(view, request.GetWorkload().GetSpace()) {
		if who.Sees(workload.GetKey().GetSpace()) && matches(request.GetWorkload(), workload.GetKey()) {
			answer.Deployments = append(answer.Deployments, view.DeploymentsOf(state.IDOf(workload.GetKey()))...)
		}
	}
	slices.SortStableFunc(answer.Deployments, func(a, b *runwayv1.Deployment) int {
		return cmp.Compare(a.GetMeta().GetCreatedIndex(), b.GetMeta().GetCreatedIndex())
	})
	return answer, nil
}

func (s deploymentService) CancelDeployment(ctx context.Context, request *runwayv1.CancelDeploymentRequest) (*runwayv1.Deployment, error) {
	who := caller.From(ctx)
	if _, err := findDeployment(s.view(), who, request.GetId()); err != nil {
		return nil, err
	}
	return apply[*runwayv1.Deployment](ctx, s.API, &runwayv1.CancelDeployment{Deployment: request.GetId(), By: who.Name})
}

// WatchDeployment sends the newest state whenever it changed since the last message
// was taken: a slow watcher sees fewer steps and never an old one. The end is sent
// once, with the report when it comes in time.
func (s deploymentService) WatchDeployment(request *runwayv1.WatchDeploymentRequest, stream runwayv1.Deployments_WatchDeploymentServer) error {
	ctx := stream.Context()
	for {
		view := s.view()
		changed := view.Changed(state.TableDeployments, state.TableReplicas)
		d, err := findDeployment(view, caller.From(ctx), request.GetId())
		if err != nil {
			return err
		}
		wait := reportDue(d, time.Now())
		if wait == 0 {
			if err := stream.Send(watched(view, d)); err != nil {
				return err
			}
			wait = heartbeat
			if state.Ended(d.GetStatus().GetPhase()) {
				return nil
			}
		}
		if err := s.pause(ctx, func() bool { return moved(s.view(), d, view) }, changed, wait); err != nil {
			return err
		}
	}
}

// reportDue is how long the report of a deployment that has ended may still be
// waited for; 0 when there is nothing to wait for.
func reportDue(d *runwayv1.Deployment, now time.Time) time.Duration {
	if !state.Ended(d.GetStatus().GetPhase()) || d.GetReport() != nil {
		return 0
	}
	left := d.GetStatus().GetEndedAt().AsTime().Add(reportPatience).Sub(now)
	return min(max(left, 0), reportPatience)
}

// pause waits until something that matters has changed, at most for a while, or
// until the watch is over.
func (s deploymentService) pause(ctx context.Context, matters func() bool, changed <-chan struct{}, most time.Duration) error {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		select {
		case <-changed:
			if matters() {
				return nil
			}
			changed = s.view().Changed(state.TableDeployments, state.TableReplicas)
			if matters() { // between the two looks
				return nil
			}
		case <-timer.C:
			return s.atLeader(right{})
		case <-ctx.Done():
			return ended(ctx)
		}
	}
}

// moved says whether the deployment or one of its workload's replicas was written
// since a view.
func moved(now *state.View, d *runwayv1.Deployment, then *state.View) bool {
	if now.Deployment(d.GetId()).GetMeta().GetModifiedIndex() != d.GetMeta().GetModifiedIndex() {
		return true
	}
	id := state.IDOf(d.GetWorkload())
	replicas := now.ReplicasOf(id)
	if len(replicas) != len(then.ReplicasOf(id)) {
		return true
	}
	return slices.ContainsFunc(replicas, func(r *runwayv1.Replica) bool { return r.GetMeta().GetModifiedIndex() > then.Index() })
}

func watched(view *state.View, d *runwayv1.Deployment) *runwayv1.WatchDeploymentResponse {
	answer := &runwayv1.WatchDeploymentResponse{Deployment: d, Index: view.Index()}
	for _, r := range view.ReplicasOf(state.IDOf(d.GetWorkload())) {
		if r.GetDeployment() == d.GetId() || !over(r) {
			answer.Replicas = append(answer.Replicas, replicaView(view, r))
		}
	}
	return answer
}

// findDeployment returns one that exists for the caller.
func findDeployment(view *state.View, who caller.Caller, id string) (*runwayv1.Deployment, error) {
	d := view.Deployment(id)
	if d == nil || !who.Sees(d.GetWorkload().GetSpace()) {
		return nil, noDeployment(id)
	}
	return d, nil
}
