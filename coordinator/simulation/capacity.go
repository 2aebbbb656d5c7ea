package simulation

import (
	"time"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// asked remembers which numbers of replicas users chose and since when, beside what
// the state makes of them: an old revision needs what was asked for when it served,
// whatever a deployment writes meanwhile.
type asked map[state.WorkloadID][]choice

// choice is what a user chose, valid from an index on.
type choice struct {
	index  uint64
	wanted *runwayv1.Wanted
}

// note takes what a command says about it. Before anybody chooses, the number is that
// of the first deployment.
func (a asked) note(ch change) {
	switch p := ch.payload.(type) {
	case *runwayv1.SetWanted:
		a.add(p.GetWorkload(), ch, &runwayv1.Wanted{Count: p.GetCount(), Writer: p.GetWriter()})
	case *runwayv1.Deploy:
		if id := state.IDOf(p.GetWorkload()); ch.before.Workload(id) == nil {
			a.add(p.GetWorkload(), ch, p.GetWanted()[0])
		}
	}
}

func (a asked) add(key *runwayv1.WorkloadKey, ch change, wanted *runwayv1.Wanted) {
	id := state.IDOf(key)
	a[id] = append(a[id], choice{ch.after.Index(), wanted})
}

// size is how many replicas of a revision do the whole work, as a view has it.
func (a asked) size(view *state.View, id state.WorkloadID, spec *runwayv1.RevisionSpec) int {
	var wanted *runwayv1.Wanted
	for _, c := range a[id] {
		if c.index <= view.Index() {
			wanted = c.wanted
		}
	}
	return state.Size(wanted, spec)
}

// capacity: what serves is taken only where enough serves without it, by what its
// controller saw and by what is there when it is taken: others decide, and faults strike,
// between a look and its write. Each replica does the share of the work that its own
// revision's size gives it.
func (c *checker) capacity(ch change, goals *runwayv1.SetReplicaGoals) {
	going := map[string]bool{}
	for _, goal := range goals.GetGoals() {
		if r := ch.before.Replica(goal.GetReplica()); r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_SERVE {
			going[r.GetId()] = ch.after.Replica(r.GetId()).GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE
		}
	}
	for _, w := range ch.looked.Workloads() {
		id := state.IDOf(w.GetKey())
		if w.GetServingRevision() == 0 || ch.before.Workload(id).GetDelete() {
			continue // not held to anything
		}
		for _, at := range []struct {
			moment string
			view   *state.View
		}{{"decided", ch.looked}, {"written", ch.before}} {
			if taken, left := c.without(at.view, id, going); taken > 0 && left < c.enough(ch, w)-1e-9 {
				c.world.Broken.Add("%s: %d serving replicas were told to go, which left %.0f %% of what is needed when it was %s: %v", id, taken, 100*left, at.moment, goals)
			}
		}
	}
}

// undoPatience is how long an undo waits for the base to be whole. What served when the
// deployment began is then all that can be had.
const undoPatience = time.Minute

// enough is how much of the work must be done: all, but in a late undo.
func (c *checker) enough(ch change, w *runwayv1.Workload) float64 {
	id, status := state.IDOf(w.GetKey()), ch.looked.Deployment(w.GetActiveDeployment()).GetStatus()
	if status.GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING || time.Since(status.GetProgressedAt().AsTime()) < undoPatience {
		return 1
	}
	whole := c.asked.size(ch.looked, id, ch.looked.Revision(id, w.GetServingRevision()).GetSpec())
	return min(1, float64(status.GetBefore()[0].GetServing())/float64(max(1, whole)))
}

// without counts what serves by a view and is taken now, and how much of the work is done
// by what serves and stays.
func (c *checker) without(view *state.View, id state.WorkloadID, going map[string]bool) (taken int, left float64) {
	for _, r := range view.ReplicasOf(id) {
		switch {
		case !fleet.Serves(view, r):
		case going[r.GetId()]:
			taken++
		default:
			left += 1 / float64(max(1, c.asked.size(view, id, fleet.SpecOf(view, r))))
		}
	}
	return taken, left
}
