package placement

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/runway-platform/runway/scheduler"
)

// planner is the pure part; only the IDs come from outside.
type planner struct {
	newID func() string
	guard *loop.Guard
}

// difference is what all targets together lack and have too much of.
type difference struct {
	surplus []*runwayv1.ReplicaGoal
	// missing may start now; waiting would, but for its last failures.
	missing, waiting []target
}

// plan compares every target with what it has and returns the commands that make
// them equal: goals for what is too much, replicas for what is missing, and the
// reason for what fits nowhere.
func (p *planner) plan(view *state.View, now time.Time) []proto.Message {
	var d difference
	for _, w := range view.Workloads() {
		p.guard.Do(w.GetKey(), func() { d.add(view, targetsOf(view, w), now) })
	}
	var commands []proto.Message
	if len(d.surplus) > 0 {
		commands = append(commands, &runwayv1.SetReplicaGoals{Goals: d.surplus})
	}
	if assign := p.assign(view, d, now); len(assign.GetReplicas())+len(assign.GetProblems()) > 0 {
		commands = append(commands, assign)
	}
	return append(commands, p.guard.Events()...)
}

// add takes all targets of a workload, or none when looking at them panics.
func (d *difference) add(view *state.View, targets []target, now time.Time) {
	next := *d
	for _, t := range targets {
		excess := len(t.replicas) - t.count
		switch {
		case excess > 0:
			next.surplus = append(next.surplus, spared(view, t, retire(view, t, excess))...)
		case t.missing() == 0:
		case mayStart(t, now):
			next.missing = append(next.missing, t)
		default:
			next.waiting = append(next.waiting, t)
		}
	}
	fleet.Hold(view, next.surplus[len(d.surplus):])
	*d = next
}

// assign asks the scheduler for all that is missing at once.
func (p *planner) assign(view *state.View, d difference, now time.Time) *runwayv1.AssignReplicas {
	placed, result := p.schedule(view, d.missing, now)
	assign := &runwayv1.AssignReplicas{}
	for _, a := range result.Assignments {
		assign.Replicas = append(assign.Replicas, p.replica(view, placed[a.Request], a))
	}
	assign.Problems = problems(view, d, placed, result.Unplaced, now)
	return assign
}

// schedule places the targets, without those that the scheduler trips over, and
// returns which the requests of the result are.
func (p *planner) schedule(view *state.View, missing []target, now time.Time) ([]target, scheduler.Result) {
	if len(missing) == 0 {
		return nil, scheduler.Result{}
	}
	if result, err := try(view, missing, now); err == nil {
		return missing, result
	}
	var sound []target
	for _, t := range missing {
		if p.guard.Do(t.workload.Key(), func() { choose(view, []target{t}, now) }) {
			sound = append(sound, t)
		}
	}
	return sound, choose(view, sound, now)
}

func (p *planner) replica(view *state.View, t target, a scheduler.Assignment) *runwayv1.Replica {
	node := view.Node(string(a.Node))
	return &runwayv1.Replica{
		Id:         p.newID(),
		Workload:   t.workload.Key(),
		Revision:   t.revision,
		Deployment: t.deployment,
		Plan: &runwayv1.ReplicaPlan{
			Node:      node.GetId(),
			Region:    t.region,
			NodeEpoch: node.GetStatus().GetEpoch(),
			NodePort:  uint32(a.Port),
			Goal:      runwayv1.Goal_GOAL_SERVE,
		},
		Status: &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_PENDING},
	}
}
