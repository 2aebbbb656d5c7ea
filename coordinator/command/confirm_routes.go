package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// confirmRoutes writes what the ingresses have agreed on. Replicas that are gone
// need no confirmation and are passed over; one whose goal is still to serve
// cannot have been drained or released. Nothing of it holds once an ingress is live that
// was not asked.
func confirmRoutes(tx *state.Tx, c *runwayv1.ConfirmRoutes) (proto.Message, error) {
	if rejection := checkAsked(tx, c); rejection != nil {
		return nil, rejection
	}
	for _, id := range c.GetNotServing() {
		confirm(tx, id, func(r *runwayv1.ReplicaRouting, _ runwayv1.Goal) { r.Serving = false })
	}
	for _, id := range c.GetServing() {
		confirm(tx, id, func(r *runwayv1.ReplicaRouting, goal runwayv1.Goal) {
			r.Serving = goal == runwayv1.Goal_GOAL_SERVE
		})
	}
	for _, id := range c.GetUnrouted() {
		confirm(tx, id, func(r *runwayv1.ReplicaRouting, goal runwayv1.Goal) {
			r.Unrouted = r.GetUnrouted() || goal > runwayv1.Goal_GOAL_SERVE
		})
	}
	for _, id := range c.GetDrained() {
		confirm(tx, id, func(r *runwayv1.ReplicaRouting, goal runwayv1.Goal) {
			if goal > runwayv1.Goal_GOAL_SERVE {
				r.Serving, r.Drained = false, true
			}
		})
	}
	for _, id := range c.GetReleased() {
		confirm(tx, id, func(r *runwayv1.ReplicaRouting, goal runwayv1.Goal) {
			r.Released = r.GetReleased() || goal > runwayv1.Goal_GOAL_SERVE
		})
	}
	return nil, nil
}

// checkAsked refuses what was agreed on without an ingress that is live by now. What else is
// written of a live one refuses it as well, and it is found anew.
func checkAsked(tx *state.Tx, c *runwayv1.ConfirmRoutes) *Rejection {
	if c.GetSeen() == 0 {
		return nil
	}
	for _, i := range tx.Ingresses() {
		if i.GetMeta().GetModifiedIndex() > c.GetSeen() && fleet.Live(i) {
			return reject(ErrConflict, code.Conflict, "ingress %q has changed since index %d", i.GetName(), c.GetSeen())
		}
	}
	return nil
}

// confirm changes the routing of a replica, and writes it when it is another one.
func confirm(tx *state.Tx, id string, change func(*runwayv1.ReplicaRouting, runwayv1.Goal)) {
	old := tx.Replica(id)
	if old == nil {
		return
	}
	replica := state.Clone(old)
	if replica.GetRouting() == nil {
		replica.Routing = &runwayv1.ReplicaRouting{}
	}
	change(replica.GetRouting(), replica.GetPlan().GetGoal())
	if proto.Equal(old.GetRouting(), replica.GetRouting()) {
		return
	}
	tx.PutReplica(replica)
	if replica.GetRouting().GetServing() && !old.GetRouting().GetServing() {
		tx.PutEvent(ofReplica(replica, "replica.serving", ""))
	}
}
