package placement

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/runway-platform/runway/scheduler"
)

// plan compares every target with what it has and returns the commands that make
// them equal: goals for what is too much, replicas for what is missing, and the
// reason for what fits nowhere.
func (p *planner) plan(view *state.View, now time.Time) []proto.Message {
	var surplus []*runwayv1.ReplicaGoal
	var missing []target
	for _, t := range targets(view) {
		switch excess := len(t.replicas) - t.count; {
		case excess > 0:
			surplus = append(surplus, retire(view, t, excess)...)
		case excess < 0 && mayStart(view, t, now):
			missing = append(missing, t)
		}
	}
	var commands []proto.Message
	if len(surplus) > 0 {
		commands = append(commands, &runwayv1.SetReplicaGoals{Goals: surplus})
	}
	if assign := p.assign(view, missing); len(assign.GetReplicas())+len(assign.GetProblems()) > 0 {
		commands = append(commands, assign)
	}
	return commands
}

// assign asks the scheduler for all that is missing at once.
func (p *planner) assign(view *state.View, missing []target) *runwayv1.AssignReplicas {
	assign := &runwayv1.AssignReplicas{Problems: solved(view, missing)}
	if len(missing) == 0 {
		return assign
	}
	result := scheduler.Plan(input(view, missing))
	for _, a := range result.Assignments {
		assign.Replicas = append(assign.Replicas, p.replica(view, missing[a.Request], a))
	}
	for _, u := range result.Unplaced {
		if problem := unplaced(view, missing[u.Request], u); problem != nil {
			assign.Problems = append(assign.Problems, problem)
		}
	}
	return assign
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

// unplaced returns the problem to store, nil when the stored one says the same.
func unplaced(view *state.View, t target, u scheduler.Unplaced) *runwayv1.PlacementProblem {
	stored := view.Wanted(t.workload, t.region)
	cause := &runwayv1.Cause{
		Code:    string(code.Unplaceable),
		Summary: u.Sentence(t.workload.Key().GetService()),
		Fix:     code.Unplaceable.Fix(),
	}
	for _, reason := range u.Explain {
		cause.Evidence = append(cause.Evidence, fmt.Sprintf("%d nodes: %s", reason.Nodes, reason.Filter))
	}
	if int(stored.GetUnplacedCount()) == u.Count && proto.Equal(stored.GetUnplaced(), cause) {
		return nil
	}
	return &runwayv1.PlacementProblem{Workload: t.workload.Key(), Region: t.region, Count: uint32(u.Count), Cause: cause}
}

// solved returns an all-clear for every stored problem whose workload misses
// nothing any more.
func solved(view *state.View, missing []target) []*runwayv1.PlacementProblem {
	still := map[state.WorkloadID]map[string]bool{}
	for _, t := range missing {
		if still[t.workload] == nil {
			still[t.workload] = map[string]bool{}
		}
		still[t.workload][t.region] = true
	}
	var clear []*runwayv1.PlacementProblem
	for _, w := range view.Workloads() {
		id := state.IDOf(w.GetKey())
		for _, wanted := range view.WantedOf(id) {
			if wanted.GetUnplaced() != nil && !still[id][wanted.GetRegion()] {
				clear = append(clear, &runwayv1.PlacementProblem{Workload: wanted.GetWorkload(), Region: wanted.GetRegion()})
			}
		}
	}
	return clear
}
