package simulation

import (
	"time"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// undoing is the longest that an undo takes; it then ends as it is.
const undoing = 10 * time.Minute

// claim is what is true when a deployment says how it ended.
type claim struct {
	d  *runwayv1.Deployment
	id state.WorkloadID
	// need of the new and of the old revision; old is 0 when there is none.
	need, old int
	// own are the deployment's replicas that serve. Others serve or may get requests:
	// base are those of the revision that served before, as far as they serve, and
	// strays those of any other.
	own, others, base, strays int
	// ownLeft are own replicas that are meant to serve or may get requests.
	ownLeft int
}

// ended: a deployment that says how it ended has left things so.
func (c *checker) ended(ch change, id string) {
	d := ch.after.Deployment(id)
	phase := d.GetStatus().GetPhase()
	if !state.Ended(phase) || state.Ended(ch.before.Deployment(id).GetStatus().GetPhase()) {
		return
	}
	what := c.claim(ch.looked, d)
	c.closed(ch, what)
	switch phase {
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED:
		c.reached(ch, what)
		if what.own < what.need || what.others > 0 {
			c.world.Broken.Add("deployment %s succeeded with %d of %d replicas, and %d others serve", id, what.own, what.need, what.others)
		}
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK:
		c.restored(what, "was rolled back to")
	default:
		if d.GetStatus().GetUndone() {
			c.restored(what, "ended undone with")
		} else if (what.old > 0 || what.ownLeft > 0) && !late(ch, id) {
			c.world.Broken.Add("deployment %s gave up early: %d replicas of it are left and %d of %d others serve", id, what.ownLeft, what.base, what.old)
		}
	}
}

// reached: success is told when no live ingress sends anything to another replica, but to
// one whose node came back after the look.
func (c *checker) reached(ch change, what claim) {
	for _, i := range c.alive(ch.looked) {
		for _, r := range ch.looked.ReplicasOf(what.id) {
			if r.GetDeployment() != what.d.GetId() && i.routes[r.GetId()] != "" && !cameBack(ch, r) {
				c.world.Broken.Add("deployment %s succeeded, and ingress %s routes to replica %s of %s", what.d.GetId(), i.id, r.GetId(), r.GetDeployment())
			}
		}
	}
}

// cameBack tells whether a replica was given up with its node at the look, and is on it again.
func cameBack(ch change, seen *runwayv1.Replica) bool {
	const down = runwayv1.NodePhase_NODE_PHASE_DOWN
	node := seen.GetPlan().GetNode()
	return ch.looked.Node(node).GetStatus().GetPhase() == down && ch.before.Node(node).GetStatus().GetPhase() != down
}

func late(ch change, id string) bool {
	return time.Since(ch.before.Deployment(id).GetStatus().GetProgressedAt().AsTime()) >= undoing
}

// restored: the old revision serves alone, as many as it needs or as served when the
// deployment began. Where nothing of it was taken, faults alone may have.
func (c *checker) restored(what claim, words string) {
	need := what.old
	for _, found := range what.d.GetStatus().GetBefore() {
		if need = min(need, int(found.GetServing())); !found.GetTaken() {
			need = 0
		}
	}
	if what.base < need || what.strays > 0 || what.ownLeft > 0 {
		c.world.Broken.Add("deployment %s %s %d of %d replicas, %d others serve and %d of its own are left", what.d.GetId(), words, what.base, need, what.strays, what.ownLeft)
	}
}

// begun: what a deployment notes when it begins is what there was.
func (c *checker) begun(ch change, p *runwayv1.SetDeploymentStatus) {
	d := ch.looked.Deployment(p.GetDeployment())
	if d.GetStatus().GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_PENDING {
		return
	}
	served := servingOf(ch.looked, state.IDOf(d.GetWorkload()))
	for _, found := range p.GetStatus().GetBefore() {
		if int(found.GetServing()) != served {
			c.world.Broken.Add("deployment %s notes that %d served, and %d did", d.GetId(), found.GetServing(), served)
		}
	}
}

// closed: an end has its time, its cause unless it is success, and frees the workload.
func (c *checker) closed(ch change, what claim) {
	status := what.d.GetStatus()
	good := status.GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
	if status.GetEndedAt() == nil || !good && status.GetCause().GetCode() == "" || ch.after.Workload(what.id).GetActiveDeployment() == what.d.GetId() {
		c.world.Broken.Add("deployment %s ended without saying so: %v", what.d.GetId(), status)
	}
}

func (c *checker) claim(view *state.View, d *runwayv1.Deployment) claim {
	what := claim{d: d, id: state.IDOf(d.GetWorkload())}
	before := view.Workload(what.id).GetServingRevision()
	what.need = c.asked.size(view, what.id, view.Revision(what.id, d.GetSpec().GetRevision()).GetSpec())
	if before != 0 {
		what.old = c.asked.size(view, what.id, view.Revision(what.id, before).GetSpec())
	}
	for _, r := range view.ReplicasOf(what.id) {
		own, serves := r.GetDeployment() == d.GetId(), fleet.Serves(view, r)
		routed := serves || r.GetRouting().GetServing()
		switch {
		case own && serves:
			what.own++
		case !own && routed:
			what.others++
		}
		switch {
		case own || r.GetRevision() != before:
			what.strays += one(!own && routed)
		case serves:
			what.base++
		}
		if own && (fleet.Counts(view, r) || r.GetRouting().GetServing()) {
			what.ownLeft++
		}
	}
	return what
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
