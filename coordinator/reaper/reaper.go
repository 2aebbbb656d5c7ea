// Package reaper brings to its end what is no longer wanted: replicas that have
// drained are stopped, rows of stopped ones are forgotten once no ingress can hold
// their port, and deleted services are dismantled. It decides nothing about what is
// wanted.
package reaper

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// keepFailed is how long the row of a failed replica stays: it makes the next
	// one wait, tells people why, and keeps a port that was refused from being tried
	// again at once.
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
func (c *Controller) Run(ctx context.Context) error { return loop.Run(ctx, c.Loop()) }

// Loop returns the loop that Run runs, of a leadership that begins.
func (c *Controller) Loop() loop.Config {
	return loop.Config{
		Name:    "reaper",
		Views:   c.config.Views,
		Tables:  []state.Table{state.TableWorkloads, state.TableReplicas, state.TableDeployments, state.TableNodes},
		Resync:  resync,
		Plan:    (&planner{guard: loop.NewGuard("reaper", c.config.Log)}).plan,
		Applier: c.config.Applier,
		Log:     c.config.Log,
	}
}

// planner is the pure part.
type planner struct{ guard *loop.Guard }

func (p *planner) plan(view *state.View, now time.Time) []proto.Message {
	going, purge := map[state.WorkloadID][]*runwayv1.ReplicaGoal{}, &runwayv1.PurgeReplicas{}
	for _, r := range view.Replicas() {
		p.guard.Do(r.GetWorkload(), func() {
			if next, reason := nextGoal(view, r); next != r.GetPlan().GetGoal() {
				id := state.IDOf(r.GetWorkload())
				going[id] = append(going[id], &runwayv1.ReplicaGoal{Replica: r.GetId(), Goal: next, Reason: reason})
			} else if purgeable(view, r, now) {
				purge.Replicas = append(purge.Replicas, r.GetId())
			}
		})
	}
	var commands []proto.Message
	if goals := p.held(view, going); len(goals) > 0 {
		commands = append(commands, &runwayv1.SetReplicaGoals{Goals: goals})
	}
	if len(purge.Replicas) > 0 {
		commands = append(commands, purge)
	}
	commands = append(commands, dismantled(view)...)
	return append(commands, p.guard.Events()...)
}

// held returns the goals of all workloads with what they count on.
func (p *planner) held(view *state.View, going map[state.WorkloadID][]*runwayv1.ReplicaGoal) []*runwayv1.ReplicaGoal {
	var all []*runwayv1.ReplicaGoal
	for _, id := range slices.Sorted(maps.Keys(going)) {
		if p.guard.Do(id.Key(), func() { fleet.Hold(view, going[id]) }) {
			all = append(all, going[id]...)
		}
	}
	return all
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
	case fleet.PortRefused(r):
		return runwayv1.Goal_GOAL_DRAIN, "its node port is in use by somebody else"
	case fleet.Ended(r) && workload.GetActiveDeployment() != r.GetDeployment():
		return runwayv1.Goal_GOAL_DRAIN, "it ended"
	case replaced(view, r, workload):
		return runwayv1.Goal_GOAL_DRAIN, "its node was down and it was replaced"
	default:
		return goal, ""
	}
}

// replaced tells whether the replica is on a node that was given up while others do all the
// work of the workload. Until then it is taken back if the node returns.
func replaced(view *state.View, r *runwayv1.Replica, w *runwayv1.Workload) bool {
	if fleet.Counts(view, r) || fleet.Ended(r) {
		return false
	}
	return fleet.Left(view, state.IDOf(w.GetKey()), r.GetPlan().GetRegion(), nil) >= fleet.Whole
}

// purgeable tells whether nothing can refer to the replica any more: nothing of it
// runs, and no ingress can send a request to its port. One that failed is remembered
// for a while, and its port with it.
func purgeable(view *state.View, r *runwayv1.Replica, now time.Time) bool {
	if r.GetStatus().GetPhase() != runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
		return false
	}
	if r.GetPlan().GetNodePort() != 0 && !r.GetRouting().GetReleased() {
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
