package simulation

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Violations are what the checker found wrong, each with its moment.
type Violations struct {
	mu    sync.Mutex
	found []string
	start time.Time
}

// Add notes one.
func (v *Violations) Add(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.found) < 20 {
		v.found = append(v.found, time.Since(v.start).String()+": "+fmt.Sprintf(format, args...))
	}
}

// All returns what was found.
func (v *Violations) All() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.found...)
}

// checker holds every change against the promises. A decision is made from a look
// that may be older than the write, though never older than the present moment of
// virtual time: it is held against the best of what was true at this moment.
type checker struct {
	world *World

	mu     sync.Mutex
	moment moment
	// published are the sets that were taken, by generation.
	published map[uint64]*runwayv1.RouteSet
}

// moment is what was true at one point of virtual time.
type moment struct {
	at time.Time
	// most served at once, fewest were needed, taken were told to go.
	most, fewest, taken int
	// disturbed: something that served was lost, or what is asked has changed.
	disturbed bool
}

// command checks a command by the states before and after it.
func (c *checker) command(before *state.View, payload proto.Message, after *state.View) {
	if err := coordinatortest.CheckInvariants(after); err != nil {
		c.world.Broken.Add("%v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look(before)
	switch p := payload.(type) {
	case *runwayv1.SetReplicaGoals:
		c.capacity(before, p, after)
		c.unrouted(before, p)
	case *runwayv1.AssignReplicas:
		c.ports(before, after)
	case *runwayv1.SetDeploymentStatus:
		c.ended(before, p.GetDeployment(), after)
	case *runwayv1.Deploy, *runwayv1.SetWanted, *runwayv1.CancelDeployment:
		c.moment.disturbed = true
	default:
		c.moment.disturbed = c.moment.disturbed || serving(after) < serving(before)
	}
	c.look(after)
}

// look takes a state into what was true at this moment.
func (c *checker) look(view *state.View) {
	served, needed := served(view), needed(view)
	if now := time.Now(); !c.moment.at.Equal(now) {
		c.moment = moment{at: now, most: served, fewest: needed}
	}
	c.moment.most = max(c.moment.most, served)
	c.moment.fewest = min(c.moment.fewest, needed)
}

// needed is how many replicas the workload is whole with. One that has never been
// deployed with success, or is deleted, is not held to anything.
func needed(view *state.View) int {
	w := view.Workload(keyID)
	if w.GetServingRevision() == 0 || w.GetDelete() {
		return 0
	}
	size := wanted(view, w.GetServingRevision())
	status := view.Deployment(w.GetActiveDeployment()).GetStatus()
	late := status.GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING && time.Since(status.GetProgressedAt().AsTime()) >= time.Minute
	if late { // what served when it began is all that can be had
		return min(size, found(status))
	}
	return size
}

// found is how many replicas served when a deployment began.
func found(status *runwayv1.DeploymentStatus) int {
	return int(status.GetBefore()[0].GetServing())
}

// capacity: what serves is taken only where enough serves without it. What faults
// take is not the controllers' doing, but they must not add to it.
func (c *checker) capacity(before *state.View, goals *runwayv1.SetReplicaGoals, after *state.View) {
	taken := served(before) - served(after)
	c.moment.taken += taken
	if taken > 0 && c.moment.most-c.moment.taken < c.moment.fewest {
		c.world.Broken.Add("%d of %d serving replicas were told to go, %d are needed: %v", c.moment.taken, c.moment.most, c.moment.fewest, goals)
	}
}

// unrouted: no replica is stopped that a live ingress sends requests to, or still
// has some in flight to before the drain deadline.
func (c *checker) unrouted(view *state.View, goals *runwayv1.SetReplicaGoals) {
	for _, goal := range goals.GetGoals() {
		if goal.GetGoal() != runwayv1.Goal_GOAL_STOP {
			continue
		}
		r := view.Replica(goal.GetReplica())
		for _, i := range c.alive(view, time.Now()) {
			if i.routes()[r.GetId()] != "" {
				c.world.Broken.Add("replica %s is to stop, and ingress %s routes to it", r.GetId(), i.id)
			}
			if i.holds(r.GetId()) && time.Since(r.GetPlan().GetDrainSince().AsTime()) < fleet.SpecOf(view, r).GetDrainTimeout().AsDuration() {
				c.world.Broken.Add("replica %s is to stop, and ingress %s has requests in flight to it", r.GetId(), i.id)
			}
		}
	}
}

// stopped checks the moment at which a node really stops a replica: no ingress that
// has been live since the replica was to drain may send requests to it.
func (c *checker) stopped(row *runwayv1.Replica) {
	for _, i := range c.alive(c.world.View(), row.GetPlan().GetDrainSince().AsTime()) {
		if i.routes()[row.GetId()] != "" {
			c.world.Broken.Add("replica %s stopped, and ingress %s routes to it", row.GetId(), i.id)
		}
	}
}

// alive returns the ingresses that have counted as live since before a moment.
func (c *checker) alive(view *state.View, before time.Time) []*ingress {
	var all []*ingress
	for _, known := range view.Ingresses() {
		status := known.GetStatus()
		if status.GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LIVE && status.GetPhaseSince().AsTime().Before(before) {
			all = append(all, c.ingress(known.GetId()))
		}
	}
	return all
}

func (c *checker) ingress(id string) *ingress {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	return c.world.ingresses[id]
}

// ports: a node port is given again only when no registered ingress, lost ones too,
// knows it as another replica's.
func (c *checker) ports(before, after *state.View) {
	for _, r := range after.Replicas() {
		if before.Replica(r.GetId()) != nil {
			continue
		}
		address := fmt.Sprintf("%s:%d", after.Node(r.GetPlan().GetNode()).GetFacts().GetAddress(), r.GetPlan().GetNodePort())
		for _, known := range after.Ingresses() {
			for other, at := range c.ingress(known.GetId()).routes() {
				if at == address && other != r.GetId() {
					c.world.Broken.Add("replica %s gets %s, which ingress %s knows as %s", r.GetId(), address, known.GetId(), other)
				}
			}
		}
	}
}

// ended: a deployment that says how it ended has left things so.
func (c *checker) ended(before *state.View, id string, after *state.View) {
	d := after.Deployment(id)
	if before.Deployment(id).GetStatus().GetPhase() == d.GetStatus().GetPhase() || c.moment.disturbed {
		return
	}
	own, others, need := 0, 0, wanted(after, after.Workload(keyID).GetServingRevision())
	for _, r := range after.ReplicasOf(keyID) {
		switch {
		case !fleet.Serves(after, r):
		case r.GetDeployment() == id:
			own++
		default:
			others++
		}
	}
	switch d.GetStatus().GetPhase() {
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED:
		if own < need || others > 0 {
			c.world.Broken.Add("deployment %s succeeded with %d of %d replicas, and %d others serve", id, own, need, others)
		}
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK:
		if need = min(need, found(d.GetStatus())); !d.GetStatus().GetBefore()[0].GetTaken() {
			need = 0 // nothing was to be brought back
		}
		if others < need || own > 0 {
			c.world.Broken.Add("deployment %s was rolled back to %d of %d replicas, and %d of its own serve", id, others, need, own)
		}
	}
}

// taken checks a set at the moment at which an ingress takes it: generations never go
// back, and one generation has one content, whoever leads.
func (c *checker) taken(i *ingress, set *runwayv1.RouteSet) {
	if old := i.generation(); set.GetGeneration() < old {
		c.world.Broken.Add("ingress %s has generation %d and is sent %d", i.id, old, set.GetGeneration())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.published[set.GetGeneration()]; before != nil && !proto.Equal(before, set) {
		c.world.Broken.Add("generation %d has two contents", set.GetGeneration())
	}
	c.published[set.GetGeneration()] = set
}

// served is what serves, in replicas of the revision that served last: one of the
// deployment in progress is as much as its share of the whole.
func served(view *state.View) int {
	active := view.Deployment(view.Workload(keyID).GetActiveDeployment())
	before, whole := needed(view), wanted(view, active.GetSpec().GetRevision())
	if active == nil || before == 0 || whole == 0 {
		return serving(view)
	}
	own := len(fleet.Select(view.ReplicasOf(keyID), func(r *runwayv1.Replica) bool {
		return r.GetDeployment() == active.GetId() && fleet.Serves(view, r)
	}))
	return serving(view) - own + (own*before+whole-1)/whole
}

// wanted is how many replicas of a revision there are to be.
func wanted(view *state.View, revision uint64) int {
	return state.Size(view.Wanted(keyID, "local"), view.Revision(keyID, revision).GetSpec())
}

// serving counts the replicas that do their work.
func serving(view *state.View) int {
	return len(fleet.Select(view.ReplicasOf(keyID), func(r *runwayv1.Replica) bool { return fleet.Serves(view, r) }))
}

// Watch checks at every change that at least floor replicas serve, from the moment
// they first did. It is for worlds without faults.
func (w *World) Watch(ctx context.Context, floor int) {
	reached := false
	for ctx.Err() == nil {
		view := w.View()
		now := serving(view)
		reached = reached || now >= floor
		if reached && now < floor {
			w.Broken.Add("%d replicas serve, %d are needed (index %d)", now, floor, view.Index())
		}
		select {
		case <-ctx.Done():
		case <-view.Changed(state.TableReplicas):
		}
	}
}
