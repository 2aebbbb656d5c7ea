package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// deployLimit bounds one deployment.
const deployLimit = 30 * time.Second

// milestones are the moments of one deployment, after the call of Deploy. Agent,
// coordinator and client run on one machine and share its clock.
type milestones struct {
	accepted  time.Duration // the call returned
	placed    time.Duration // the replica was in the log
	started   time.Duration // its process ran
	ready     time.Duration // it passed its probe and its port was published
	answered  time.Duration // the first 200
	confirmed time.Duration // every ingress had acknowledged the route
	steps     stepTimes     // what the agent did between placed and started
	asked     int
}

// measureDeploy deploys a new service each round. The node has the image. Each round is followed by its floor, so that both meet the same
// noise.
func measureDeploy(ctx context.Context, c *cluster, o options, r *report) error {
	var all []milestones
	var floors []floorTimes
	for range o.rounds {
		m, err := c.deploy(ctx)
		if err != nil {
			return err
		}
		f, err := c.floor.deploy(ctx)
		if err != nil {
			return fmt.Errorf("measure the floor: %w", err)
		}
		all, floors = append(all, m), append(floors, f)
	}
	reportDeploy(r, all, floors)
	return nil
}

// deploy deploys a service that did not exist, follows it, and deletes it.
func (c *cluster) deploy(ctx context.Context) (m milestones, err error) {
	ctx, cancel := context.WithTimeout(ctx, deployLimit)
	defer cancel()
	c.deployed++
	key := serviceKey(fmt.Sprintf("bench-%d", c.deployed))
	before, err := c.stepTimes(ctx)
	if err != nil {
		return m, err
	}
	begin := time.Now()
	deployment, err := c.begin(ctx, key, 1)
	m.accepted = time.Since(begin)
	if err != nil {
		return m, err
	}
	asking := c.poll.start(ctx, host(key))
	defer asking.stop()
	last, err := c.follow(ctx, deployment, asking.when(running))
	m.confirmed = time.Since(begin)
	if err != nil {
		return m, err
	}
	first := asking.wait()
	if first.err != nil {
		return m, first.err
	}
	after, err := c.stepTimes(ctx)
	if err != nil {
		return m, err
	}
	m.answered, m.asked, m.steps = first.at.Sub(begin), first.asked, after.minus(before)
	replica := last.GetReplicas()[0].GetReplica()
	m.placed = replica.GetMeta().GetCreatedAt().AsTime().Sub(begin)
	m.started = replica.GetStatus().GetStartedAt().AsTime().Sub(begin)
	m.ready = replica.GetStatus().GetReadyAt().AsTime().Sub(begin)
	return m, c.remove(ctx, key)
}

// workload names what is deployed.
type workload = *runwayv1.WorkloadKey

func serviceKey(name string) workload {
	return &runwayv1.WorkloadKey{Space: space, Service: name, Environment: environment}
}

// deployAndWait deploys count replicas and returns when all of them serve.
func (c *cluster) deployAndWait(ctx context.Context, key workload, count int) error {
	deployment, err := c.begin(ctx, key, count)
	if err != nil {
		return err
	}
	_, err = c.follow(ctx, deployment, ignore)
	return err
}

// begin calls Deploy for count replicas of the image that the node has.
func (c *cluster) begin(ctx context.Context, key workload, count int) (string, error) {
	spec := proto.CloneOf(c.spec)
	spec.Image = &runwayv1.Image{Reference: c.image}
	spec.Scale = &runwayv1.ScalePolicy{Min: uint32(count), Max: uint32(count)}
	response, err := c.services.Deploy(ctx, &runwayv1.DeployRequest{Workload: key, Spec: spec})
	if err != nil {
		return "", fmt.Errorf("deploy %s: %w", key.GetService(), err)
	}
	return response.GetDeployment().GetId(), nil
}

// follow returns the last state of a deployment, which must have succeeded, and
// shows each state on the way to look.
func (c *cluster) follow(ctx context.Context, deployment string, look func(*runwayv1.WatchDeploymentResponse)) (*runwayv1.WatchDeploymentResponse, error) {
	watch, err := c.deployments.WatchDeployment(ctx, &runwayv1.WatchDeploymentRequest{Id: deployment})
	if err != nil {
		return nil, fmt.Errorf("follow deployment %s: %w", deployment, err)
	}
	var last *runwayv1.WatchDeploymentResponse
	for {
		next, err := watch.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("follow deployment %s: %w", deployment, err)
		}
		last = next
		look(next)
	}
	status := last.GetDeployment().GetStatus()
	if status.GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED || len(last.GetReplicas()) == 0 {
		return nil, fmt.Errorf("deployment %s ended as %v: %s", deployment, status.GetPhase(), status.GetCause().GetSummary())
	}
	return last, nil
}

// remove deletes a service and waits until nothing of it is left.
func (c *cluster) remove(ctx context.Context, key workload) error {
	if _, err := c.services.DeleteService(ctx, &runwayv1.DeleteServiceRequest{Workload: key}); err != nil {
		return fmt.Errorf("delete %s: %w", key.GetService(), err)
	}
	pause := time.NewTicker(removalPoll)
	defer pause.Stop()
	for {
		left, err := c.services.ListReplicas(ctx, &runwayv1.ListReplicasRequest{Workload: key, All: true})
		if err != nil {
			return nil // the service is gone, and its replicas with it
		}
		if len(left.GetReplicas()) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of %s: %w", key.GetService(), ctx.Err())
		case <-pause.C:
		}
	}
}

// removalPoll is outside of everything that is measured.
const removalPoll = 20 * time.Millisecond

// running tells whether the process of the only replica runs.
func running(state *runwayv1.WatchDeploymentResponse) bool {
	for _, view := range state.GetReplicas() {
		if view.GetReplica().GetStatus().GetPhase() >= runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING {
			return true
		}
	}
	return false
}

func ignore(*runwayv1.WatchDeploymentResponse) {}

// host is the public name of a service.
func host(key workload) string { return key.GetService() + "." + key.GetSpace() + "." + domain }
