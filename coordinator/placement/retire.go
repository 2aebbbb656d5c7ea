package placement

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Replicas of a set that failed make the next one wait: failureDelay, doubled for
// each failure that is still remembered, up to failureDelayMax.
const (
	failureDelay    = time.Second
	failureDelayMax = 5 * time.Minute
)

// rounding is how much less than its part a set may do by the arithmetic of fractions.
const rounding = 1e-6

// candidate is a replica that may have to go, and how little it would be missed.
type candidate struct {
	*runwayv1.Replica
	rank, kin int
}

func (c candidate) node() string { return c.GetPlan().GetNode() }

// retire chooses which replicas of a set that is too large must go: first those
// that do not serve, then those of another revision than the set's, then those on
// the node that has most of the set, then the newest. They drain before they stop.
func retire(view *state.View, t target, excess int) []*runwayv1.ReplicaGoal {
	candidates, crowd := make([]candidate, 0, len(t.replicas)), map[string]int{}
	for _, r := range t.replicas {
		candidates = append(candidates, candidate{r, rank(view, r), kin(t, r)})
		crowd[r.GetPlan().GetNode()]++
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return cmp.Or(missed(a, b), newest(a, b)) })
	goals := make([]*runwayv1.ReplicaGoal, 0, excess)
	for len(goals) < excess {
		end := 1
		for end < len(candidates) && missed(candidates[0], candidates[end]) == 0 {
			end++
		}
		for _, c := range fromCrowd(candidates[:end], crowd, excess-len(goals)) {
			goals = append(goals, &runwayv1.ReplicaGoal{Replica: c.GetId(), Goal: runwayv1.Goal_GOAL_DRAIN, Reason: retireReason(view, t, c.Replica)})
		}
		candidates = candidates[end:]
	}
	return goals
}

func missed(a, b candidate) int {
	return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.kin, b.kin))
}

func newest(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.GetMeta().GetCreatedIndex(), a.GetMeta().GetCreatedIndex()), cmp.Compare(b.GetId(), a.GetId()))
}

// fromCrowd takes up to most of candidates that are missed alike, newest first, each from
// the node that has most of the set by then.
func fromCrowd(alike []candidate, crowd map[string]int, most int) []candidate {
	queues := map[string][]candidate{}
	for _, c := range alike {
		queues[c.node()] = append(queues[c.node()], c)
	}
	var taken []candidate
	for len(taken) < min(most, len(alike)) {
		var next candidate
		for node, queue := range queues {
			if next.Replica == nil || cmp.Or(cmp.Compare(crowd[next.node()], crowd[node]), newest(queue[0], next)) < 0 {
				next = queue[0]
			}
		}
		taken, crowd[next.node()] = append(taken, next), crowd[next.node()]-1
		if queues[next.node()] = queues[next.node()][1:]; len(queues[next.node()]) == 0 {
			delete(queues, next.node())
		}
	}
	return taken
}

// spared leaves out of the goals what the set cannot do its part without.
func spared(view *state.View, t target, goals []*runwayv1.ReplicaGoal) []*runwayv1.ReplicaGoal {
	var left float64
	for _, r := range t.replicas {
		left += work(view, r)
	}
	var kept []*runwayv1.ReplicaGoal
	for _, goal := range goals {
		done := work(view, view.Replica(goal.GetReplica()))
		if done > 0 && left-done < t.part-rounding {
			continue
		}
		left -= done
		kept = append(kept, goal)
	}
	return kept
}

// rank is lower the less a replica does.
func rank(view *state.View, r *runwayv1.Replica) int {
	switch {
	case fleet.Serves(view, r):
		return 2
	case r.GetStatus().GetReady():
		return 1
	default:
		return 0
	}
}

// kin is 1 for a replica of the revision that the set is made of.
func kin(t target, r *runwayv1.Replica) int {
	if r.GetRevision() == t.revision {
		return 1
	}
	return 0
}

func retireReason(view *state.View, t target, r *runwayv1.Replica) string {
	active := fleet.Active(view, view.Workload(t.workload))
	switch {
	case active != nil && active.GetStatus().GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING:
		return "deployment " + active.GetId() + " is undone"
	case active != nil && active.GetId() != t.deployment:
		return "replaced by deployment " + active.GetId()
	case t.revision == 0:
		return "its deployment did not succeed"
	case r.GetRevision() != t.revision:
		return "of another revision than the one that serves"
	default:
		return "more replicas than wanted"
	}
}

// mayStart tells whether the set may get a replica now, or must wait because its
// last ones failed. What other revisions did says nothing about this one.
func mayStart(t target, now time.Time) bool {
	failures, last := 0, time.Time{}
	for _, r := range t.rows {
		if !failed(r) || r.GetRevision() != t.revision {
			continue
		}
		failures++
		if at := r.GetMeta().GetModifiedAt().AsTime(); at.After(last) {
			last = at
		}
	}
	if failures == 0 {
		return true
	}
	delay := failureDelay * time.Duration(math.Exp2(float64(min(failures-1, 16))))
	return !now.Before(last.Add(min(delay, failureDelayMax)))
}

// failed tells whether the replica ended without being asked to.
func failed(r *runwayv1.Replica) bool {
	return fleet.Ended(r) && r.GetStatus().GetCause().GetCode() != ""
}
