// Package reaper brings to its end what is no longer wanted: replicas that have
// drained are stopped, rows of stopped ones are forgotten once no ingress can hold
// their port, and deleted services are dismantled. It decides nothing about what is
// wanted.
package reaper

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// keepFailed is how long the row of a failed replica stays: it makes the next
	// one wait, and tells people why.
	keepFailed = 10 * time.Minute
	// resync is how late the end of keepFailed may be noticed.
	resync = time.Second
)

// Config of the reaper.
type Config struct {
	Views   func() *state.View
	Applier loop.Applier
	Log     *slog.Logger
}

// Controller is the reaper loop of the leader.
type Controller struct{ config Config }

// New returns a controller that does nothing until Run.
func New(config Config) *Controller { return &Controller{config: config} }

// Run reaps until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	return loop.Run(ctx, loop.Config{
		Name:    "reaper",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableWorkloads, state.TableReplicas, state.TableDeployments, state.TableNodes},
		Resync:  resync,
		Plan:    plan,
		Applier: c.config.Applier,
		Log:     c.config.Log,
	})
}

func plan(view *state.View, now time.Time) []proto.Message {
	goals := &runwayv1.SetReplicaGoals{}
	purge := &runwayv1.PurgeReplicas{}
	for _, r := range view.Replicas() {
		if next, reason := nextGoal(view, r); next != r.GetPlan().GetGoal() {
			goals.Goals = append(goals.Goals, &runwayv1.ReplicaGoal{Replica: r.GetId(), Goal: next, Reason: reason})
		} else if purgeable(view, r, now) {
			purge.Replicas = append(purge.Replicas, r.GetId())
		}
	}
	var commands []proto.Message
	if len(goals.Goals) > 0 {
		commands = append(commands, goals)
	}
	if len(purge.Replicas) > 0 {
		commands = append(commands, purge)
	}
	return append(commands, dismantled(view)...)
}

// nextGoal returns what the replica should be doing and why.
func nextGoal(view *state.View, r *runwayv1.Replica) (runwayv1.Goal, string) {
	goal := r.GetPlan().GetGoal()
	workload := view.Workload(state.IDOf(r.GetWorkload()))
	switch {
	case goal == runwayv1.Goal_GOAL_DRAIN && r.GetRouting().GetDrained():
		return runwayv1.Goal_GOAL_STOP, r.GetPlan().GetReason()
	case goal != runwayv1.Goal_GOAL_SERVE:
		return goal, ""
	case workload == nil || workload.GetDelete():
		return runwayv1.Goal_GOAL_DRAIN, "the service is deleted"
	case givenUp(r) && workload.GetActiveDeployment() != r.GetDeployment():
		return runwayv1.Goal_GOAL_DRAIN, "it failed"
	case replaced(view, r, workload):
		return runwayv1.Goal_GOAL_DRAIN, "its node was down and it was replaced"
	default:
		return goal, ""
	}
}

// givenUp tells whether the agent will not start the replica again.
func givenUp(r *runwayv1.Replica) bool {
	return r.GetStatus().GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
}

// replaced tells whether the replica is on a node that was given up while the
// workload has all it wants elsewhere.
func replaced(view *state.View, r *runwayv1.Replica, w *runwayv1.Workload) bool {
	if fleet.Counts(view, r) || fleet.Ended(r) {
		return false
	}
	id := state.IDOf(w.GetKey())
	counted := fleet.Select(view.ReplicasOf(id), func(o *runwayv1.Replica) bool {
		return fleet.Counts(view, o) && o.GetPlan().GetRegion() == r.GetPlan().GetRegion()
	})
	return len(counted) >= int(view.Wanted(id, r.GetPlan().GetRegion()).GetCount())
}

// purgeable tells whether nothing can refer to the replica any more: nothing of it
// runs, and no ingress can send a request to its port.
func purgeable(view *state.View, r *runwayv1.Replica, now time.Time) bool {
	if r.GetStatus().GetPhase() != runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED || !r.GetRouting().GetReleased() {
		return false
	}
	if r.GetStatus().GetCause() == nil || view.Workload(state.IDOf(r.GetWorkload())).GetDelete() {
		return true
	}
	return now.Sub(r.GetMeta().GetModifiedAt().AsTime()) > keepFailed
}

// dismantled returns the purge of each deleted service that has no replica left.
func dismantled(view *state.View) []proto.Message {
	var commands []proto.Message
	for _, w := range view.Workloads() {
		if w.GetDelete() && len(view.ReplicasOf(state.IDOf(w.GetKey()))) == 0 {
			commands = append(commands, &runwayv1.PurgeWorkload{Workload: w.GetKey()})
		}
	}
	return commands
}
