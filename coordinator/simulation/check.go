package simulation

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Violations are what the checker found wrong, each with its moment.
type Violations struct {
	found []string
	start time.Time
}

// Add notes one.
func (v *Violations) Add(format string, args ...any) {
	if len(v.found) < 20 {
		v.found = append(v.found, v.elapsed().String()+": "+fmt.Sprintf(format, args...))
	}
}

// All returns what was found.
func (v *Violations) All() []string { return v.found }

func (v *Violations) elapsed() time.Duration { return time.Since(v.start) }

// change is one command: from what it was decided, and what it was written onto. A
// decision may be a moment older than its write. It is held against what its
// controller saw, and against what was written meanwhile.
type change struct {
	// looked is nil for commands of machines and users.
	looked, before *state.View
	payload        proto.Message
	after          *state.View
}

// checker holds every change against the promises.
type checker struct {
	world *World
	// published are the sets that were taken, by generation.
	published map[uint64]*runwayv1.RouteSet
	// used are the IDs of all replicas that ever were.
	used     map[string]bool
	asked    asked
	accounts accounts
}

func newChecker(w *World) checker {
	return checker{world: w, published: map[uint64]*runwayv1.RouteSet{}, used: map[string]bool{}, asked: asked{}, accounts: accounts{}}
}

// command checks what a command did.
func (c *checker) command(ch change) {
	if ch.looked == nil {
		ch.looked = ch.before
	}
	if err := coordinatortest.CheckInvariants(ch.after); err != nil {
		c.world.Broken.Add("%v", err)
	}
	if err := coordinatortest.CheckChange(ch.before, ch.after); err != nil {
		c.world.Broken.Add("%v", err)
	}
	c.asked.note(ch)
	c.churn(ch)
	switch p := ch.payload.(type) {
	case *runwayv1.SetReplicaGoals:
		c.capacity(ch, p)
		c.unrouted(ch, p)
	case *runwayv1.AssignReplicas:
		c.fresh(ch)
		c.ports(ch)
	case *runwayv1.SetDeploymentStatus:
		c.begun(ch, p)
		c.ended(ch, p.GetDeployment())
	case *runwayv1.ConfirmRoutes:
		c.drained(ch, p)
	}
	c.floors(ch.after)
}

// unrouted: no replica is stopped that was not drained, or that an ingress sends
// requests to which is live.
func (c *checker) unrouted(ch change, goals *runwayv1.SetReplicaGoals) {
	for _, goal := range goals.GetGoals() {
		r := ch.before.Replica(goal.GetReplica())
		if goal.GetGoal() != runwayv1.Goal_GOAL_STOP || r == nil {
			continue
		}
		if !r.GetRouting().GetDrained() {
			c.world.Broken.Add("replica %s is to stop, and has not drained", r.GetId())
		}
		for _, i := range c.alive(ch.before) {
			if i.routes[r.GetId()] != "" {
				c.world.Broken.Add("replica %s is to stop, and ingress %s routes to it", r.GetId(), i.id)
			}
		}
	}
}

// drained: a replica counts as drained only when no live ingress sends requests to it,
// or still has some in flight to it before the drain deadline.
func (c *checker) drained(ch change, confirmed *runwayv1.ConfirmRoutes) {
	for _, id := range confirmed.GetDrained() {
		r := ch.before.Replica(id)
		if r.GetPlan().GetGoal() <= runwayv1.Goal_GOAL_SERVE || r.GetRouting().GetDrained() {
			continue
		}
		within := time.Since(r.GetPlan().GetDrainSince().AsTime()) < fleet.SpecOf(ch.before, r).GetDrainTimeout().AsDuration()
		for _, i := range c.alive(ch.before) {
			if i.routes[id] != "" {
				c.world.Broken.Add("replica %s has drained, and ingress %s routes to it", id, i.id)
			}
			if within && i.holds(id) {
				c.world.Broken.Add("replica %s has drained, and ingress %s has requests in flight to it", id, i.id)
			}
		}
	}
}

// stopped checks the moment at which a node really stops a replica: no ingress that
// is live may send requests to it.
func (c *checker) stopped(row *runwayv1.Replica) {
	for _, i := range c.alive(c.world.View()) {
		if i.routes[row.GetId()] != "" {
			c.world.Broken.Add("replica %s stopped, and ingress %s routes to it", row.GetId(), i.id)
		}
	}
}

// alive returns the ingresses that count as live.
func (c *checker) alive(view *state.View) []*ingress {
	var all []*ingress
	for _, known := range view.Ingresses() {
		if fleet.Live(known) {
			all = append(all, c.world.ingress(known.GetId()))
		}
	}
	return all
}

// ports: a node port is given again only when no registered ingress, lost ones too,
// knows it as another replica's.
func (c *checker) ports(ch change) {
	for _, r := range ch.after.Replicas() {
		if ch.before.Replica(r.GetId()) != nil {
			continue
		}
		address := fmt.Sprintf("%s:%d", ch.after.Node(r.GetPlan().GetNode()).GetFacts().GetAddress(), r.GetPlan().GetNodePort())
		for _, known := range ch.after.Ingresses() {
			for other, at := range c.world.ingress(known.GetId()).routes {
				if at == address && other != r.GetId() {
					c.world.Broken.Add("replica %s gets %s, which ingress %s knows as %s", r.GetId(), address, known.GetId(), other)
				}
			}
		}
	}
}

// taken checks a set at the moment at which an ingress takes it: generations never go
// back, and one generation has one content, whoever leads.
func (c *checker) taken(i *ingress, set *runwayv1.RouteSet) {
	if old := i.set.GetGeneration(); set.GetGeneration() < old {
		c.world.Broken.Add("ingress %s has generation %d and is sent %d", i.id, old, set.GetGeneration())
	}
	if before := c.published[set.GetGeneration()]; before != nil && before != set && !proto.Equal(before, set) {
		c.world.Broken.Add("generation %d has two contents", set.GetGeneration())
	}
	c.published[set.GetGeneration()] = set
}

// floor is a number of replicas that must serve from the moment they first did.
type floor struct {
	least   int
	reached bool
}

// Floor demands that at least so many replicas of the workload of scenarios serve
// from the moment they first do; 0 ends that. It is for worlds without faults.
func (w *World) Floor(least int) {
	w.floors[keyID] = &floor{least: least}
	w.checker.floors(w.View())
}

func (c *checker) floors(view *state.View) {
	for id, f := range c.world.floors {
		now := servingOf(view, id)
		f.reached = f.reached || now >= f.least
		if f.reached && now < f.least {
			c.world.Broken.Add("%d replicas serve, %d are needed (index %d)", now, f.least, view.Index())
		}
	}
}

// servingOf counts the replicas of a workload that do their work.
func servingOf(view *state.View, id state.WorkloadID) int {
	return len(fleet.Select(view.ReplicasOf(id), func(r *runwayv1.Replica) bool { return fleet.Serves(view, r) }))
}

func serving(view *state.View) int { return servingOf(view, keyID) }
