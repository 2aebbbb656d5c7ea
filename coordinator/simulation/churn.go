package simulation

import (
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// accounts hold, for each workload, which replicas may be made: those that are wanted, once,
// and one for each that a fault took. What is made, taken and made again is on nobody's bill.
type accounts map[state.WorkloadID]*account

// account is that of one deployment, or of the time between two.
type account struct {
	// need and base are the sizes of the deployment's revision and of the one to go back to
	// when the account was opened; more is by how much users raised them since.
	need, base, more int
	// lost replicas ended, or were given up with their node.
	lost int
	// own replicas of the deployment were made, and others, of the revision to go back to.
	own, others int
}

// churn books what a command did, and checks the accounts.
func (c *checker) churn(ch change) {
	for _, w := range ch.after.Workloads() {
		id := state.IDOf(w.GetKey())
		a := c.accounts[id]
		if a == nil || ch.before.Workload(id).GetActiveDeployment() != w.GetActiveDeployment() {
			a = c.open(ch.after, w)
			c.accounts[id] = a
		}
		a.lost += lostOf(ch, id)
		a.more += c.raised(ch, id)
		if a.made(ch, w) {
			c.balance(ch, w, a)
		}
	}
}

// open begins an account with what is wanted now.
func (c *checker) open(view *state.View, w *runwayv1.Workload) *account {
	a, id := &account{}, state.IDOf(w.GetKey())
	if d := fleet.Active(view, w); d != nil {
		a.need = c.asked.size(view, id, view.Revision(id, d.GetSpec().GetRevision()).GetSpec())
	}
	if base := w.GetServingRevision(); base != 0 {
		a.base = c.asked.size(view, id, view.Revision(id, base).GetSpec())
	}
	return a
}

// made books replicas that a command made, and tells whether there were any. Those that were
// decided before the account was opened are not on it.
func (a *account) made(ch change, w *runwayv1.Workload) bool {
	id, booked := state.IDOf(w.GetKey()), *a
	if ch.looked.Workload(id).GetActiveDeployment() != w.GetActiveDeployment() {
		return false
	}
	for _, r := range ch.after.ReplicasOf(id) {
		fresh := ch.before.Replica(r.GetId()) == nil
		own := r.GetDeployment() == w.GetActiveDeployment()
		a.own += one(fresh && own)
		a.others += one(fresh && !own)
	}
	return *a != booked
}

// balance holds an account against what was wanted. Of the old revision none is made while
// a deployment rolls: new ones take the place of those that are lost.
func (c *checker) balance(ch change, w *runwayv1.Workload, a *account) {
	own, others := a.need+a.lost+a.more, a.base+a.lost+a.more
	d := fleet.Active(ch.after, w)
	if d != nil && d.GetStatus().GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING {
		others = 0
	}
	if a.own > own || a.others > others {
		c.world.Broken.Add("%s: %d replicas of deployment %q and %d others were made, where %d and %d were to be", state.IDOf(w.GetKey()), a.own, d.GetId(), a.others, own, others)
	}
}

// lostOf counts the replicas that a fault took from those that count.
func lostOf(ch change, id state.WorkloadID) int {
	lost := 0
	for _, r := range ch.before.ReplicasOf(id) {
		if !fleet.Counts(ch.before, r) {
			continue
		}
		now := ch.after.Replica(r.GetId())
		told := now != nil && now.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE
		lost += one(!told && (now == nil || !fleet.Counts(ch.after, now)))
	}
	return lost
}

// raised is by how much a user raised the number of replicas, of any revision.
func (c *checker) raised(ch change, id state.WorkloadID) int {
	set, chosen := ch.payload.(*runwayv1.SetWanted)
	if !chosen || state.IDOf(set.GetWorkload()) != id {
		return 0
	}
	most := 0
	for _, revision := range ch.after.Revisions(id) {
		spec := revision.GetSpec()
		most = max(most, c.asked.size(ch.after, id, spec)-c.asked.size(ch.before, id, spec))
	}
	return most
}
