package endpoint

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// confirm returns what the acknowledgements prove and the state does not say yet.
func (m *memory) confirm(view *state.View, proof proof, now time.Time) []proto.Message {
	c := &runwayv1.ConfirmRoutes{Seen: view.Index()}
	for _, r := range view.Replicas() {
		if m.entered[r.GetId()] != 0 {
			m.confirmInside(c, proof, view, r)
			continue
		}
		m.confirmOutside(c, proof, view, r, now)
	}
	if len(c.Serving)+len(c.NotServing)+len(c.Unrouted)+len(c.Drained)+len(c.Released) == 0 {
		return nil
	}
	return []proto.Message{c}
}

// confirmInside says that a replica serves, or that one which came back does not do
// so everywhere yet. An ingress that joins later takes nothing back: it has to
// confirm every set before a replica that is only in older ones may stop.
func (m *memory) confirmInside(c *runwayv1.ConfirmRoutes, proof proof, view *state.View, r *runwayv1.Replica) {
	id, serving := r.GetId(), r.GetRouting().GetServing()
	switch {
	case proof.live(m.entered[id]):
		delete(m.left, id)
		if !serving && !proof.withheld(view, r) {
			c.Serving = append(c.Serving, id)
		}
	case serving && m.left[id] != 0:
		c.NotServing = append(c.NotServing, id)
	}
}

func (m *memory) confirmOutside(c *runwayv1.ConfirmRoutes, proof proof, view *state.View, r *runwayv1.Replica, now time.Time) {
	id, left, routing := r.GetId(), m.left[r.GetId()], r.GetRouting()
	routed := r.GetPlan().GetNodePort() != 0
	if routed && !proof.gone(left) {
		return
	}
	if routing.GetServing() {
		c.NotServing = append(c.NotServing, id)
	}
	if !leaving(r) {
		return
	}
	if !routing.GetUnrouted() {
		c.Unrouted = append(c.Unrouted, id)
	}
	if !routing.GetDrained() && (!proof.held(id) || drainEnded(view, r, now)) {
		c.Drained = append(c.Drained, id)
	}
	if !routing.GetReleased() && (!routed || proof.all(left)) {
		c.Released = append(c.Released, id)
	}
}

// leaving tells whether the replica is never to get a request again.
func leaving(r *runwayv1.Replica) bool {
	goal := r.GetPlan().GetGoal()
	return goal == runwayv1.Goal_GOAL_DRAIN || goal == runwayv1.Goal_GOAL_STOP
}

func drainEnded(view *state.View, r *runwayv1.Replica, now time.Time) bool {
	timeout := fleet.SpecOf(view, r).GetDrainTimeout().AsDuration()
	return !now.Before(r.GetPlan().GetDrainSince().AsTime().Add(timeout))
}

// proof answers what has been confirmed by whom.
type proof struct {
	acks         map[string]presence.Ack
	living, lost []presence.Ack
	// unserved are the workloads of which a live ingress does not serve something.
	unserved map[state.WorkloadID]bool
}

// newProof reads the acknowledgements. While a leader is settling, a lost ingress
// may be on its way back to it and counts as live.
func newProof(view *state.View, acks map[string]presence.Ack, settling bool) proof {
	p := proof{acks: map[string]presence.Ack{}, unserved: map[state.WorkloadID]bool{}}
	incarnation := view.Cluster().GetIncarnation()
	for _, ingress := range view.Ingresses() {
		ack := acks[ingress.GetId()]
		if ack.Incarnation != incarnation {
			ack.Generation, ack.Saved = 0, 0 // confirms nothing of this cluster's present life
		}
		p.acks[ingress.GetId()] = ack
		if fleet.Live(ingress) || settling {
			p.living = append(p.living, ack)
			for _, problem := range ack.Problems {
				p.unserved[state.IDOf(problem.GetWorkload())] = true
			}
		} else {
			p.lost = append(p.lost, ack)
		}
	}
	return p
}

// live tells whether every live ingress has confirmed the generation. No ingress
// at all is no agreement.
func (p proof) live(generation uint64) bool {
	return len(p.living) > 0 && reached(p.living, generation)
}

// gone tells whether no live ingress routes by an older generation. Where none is
// live, nobody is known to route. Generation 0 was never published.
func (p proof) gone(generation uint64) bool { return generation != 0 && reached(p.living, generation) }

// all tells whether every ingress, lost ones too, has given the older generations up
// for good: on its disk as well, which it routes by after a restart.
func (p proof) all(generation uint64) bool {
	older := func(a presence.Ack) bool { return min(a.Generation, a.Saved) < generation }
	return !slices.ContainsFunc(p.living, older) && !slices.ContainsFunc(p.lost, older)
}

// withheld tells whether a new workload is not served yet although it is routed: a
// live ingress has no certificate for its name, or refuses a part of its route. One
// that has served before goes on to: a problem that comes later must not stop the
// deployment that mends it.
func (p proof) withheld(view *state.View, r *runwayv1.Replica) bool {
	id := state.IDOf(r.GetWorkload())
	return p.unserved[id] && view.Workload(id).GetServingRevision() == 0
}

// held tells whether a live ingress has requests in flight to the replica.
func (p proof) held(replica string) bool {
	return slices.ContainsFunc(p.living, func(a presence.Ack) bool { return slices.Contains(a.Held, replica) })
}

func reached(acks []presence.Ack, generation uint64) bool {
	return !slices.ContainsFunc(acks, func(a presence.Ack) bool { return a.Generation < generation })
}
