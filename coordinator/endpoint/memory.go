package endpoint

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// memory is what this leader has published: the present set, and for each replica
// the generation since which it is in the sets, or no longer is. It begins empty
// with every leader; the first generation of a new one is younger than all of the
// old ones, so nothing is taken for confirmed that was not.
type memory struct {
	// began is when this leader looked first.
	began time.Time
	// used is the youngest generation that may be in use with another content than
	// the present set's.
	used uint64
	set  *runwayv1.RouteSet
	// entered is of the replicas that are in the set. left is of those that are
	// not, and of those that came back and are not yet confirmed by everybody.
	entered, left map[string]uint64
	// owing is of the ingresses that have not confirmed a generation.
	owing map[string]debt
}

// debt is a generation that an ingress has not confirmed, and since when.
type debt struct {
	generation uint64
	since      time.Time
}

func newMemory(view *state.View, now time.Time) *memory {
	return &memory{
		began: now, used: generation(view),
		entered: map[string]uint64{}, left: map[string]uint64{}, owing: map[string]debt{},
	}
}

// generation of a set that is made from the view.
func generation(view *state.View) uint64 {
	return view.Cluster().GetGenerationBase() + view.Index()
}

// settling tells whether the leader is so young that an ingress may be live without
// having been heard of.
func (m *memory) settling(now time.Time) bool { return now.Sub(m.began) < settling }

// publish takes the routes of the view for the present ones. It is blocked when they
// differ from those before and another content may have gone out with the same
// generation: by this leader, when the routes changed without a command, or by the
// one before.
func (m *memory) publish(view *state.View, fresh *runwayv1.RouteSet) (blocked bool) {
	switch {
	case m.set != nil && same(fresh, m.set):
	case generation(view) <= m.used:
		blocked = true
	default:
		fresh.Generation = generation(view)
		m.set, m.used = fresh, fresh.Generation
	}
	if m.set != nil {
		m.note(view)
	}
	return blocked
}

// same tells whether nothing changes for an ingress that has the second set. What is
// withdrawn explains what changed before: alone it makes no generation.
func same(fresh, set *runwayv1.RouteSet) bool {
	defer func(generation uint64, withdrawn []*runwayv1.WorkloadKey) {
		fresh.Generation, fresh.Withdrawn = generation, withdrawn
	}(fresh.GetGeneration(), fresh.GetWithdrawn())
	fresh.Generation, fresh.Withdrawn = set.GetGeneration(), set.GetWithdrawn()
	return proto.Equal(fresh, set)
}

// note remembers since which generation each replica is in or out, and forgets
// replicas that are gone.
func (m *memory) note(view *state.View) {
	inside := endpointsOf(m.set)
	known := map[string]bool{}
	for _, r := range view.Replicas() {
		id := r.GetId()
		known[id] = true
		switch {
		case inside[id] && m.entered[id] == 0:
			m.entered[id] = m.set.GetGeneration()
		case !inside[id] && (m.entered[id] != 0 || m.left[id] == 0):
			delete(m.entered, id)
			m.left[id] = m.set.GetGeneration()
		}
	}
	for _, generations := range []map[string]uint64{m.entered, m.left} {
		for id := range generations {
			if !known[id] {
				delete(generations, id)
			}
		}
	}
}

func endpointsOf(set *runwayv1.RouteSet) map[string]bool {
	inside := map[string]bool{}
	for _, route := range set.GetRoutes() {
		for _, e := range route.GetEndpoints() {
			inside[e.GetReplica()] = true
		}
	}
	return inside
}

// standings returns how far each ingress follows.
func (m *memory) standings(view *state.View, proof proof) map[string]presence.Standing {
	standings, given := map[string]presence.Standing{}, m.givenUp(view)
	for _, ingress := range view.Ingresses() {
		id := ingress.GetId()
		ack := proof.acks[id]
		standings[id] = presence.Standing{
			Name: ingress.GetName(), Generation: ack.Generation, Saved: ack.Saved, Since: m.owing[id].since, Refuses: ack.Refusal != nil,
			Behind: ack.Generation < given, Seen: view.Index(),
		}
	}
	return standings
}

// givenUp is the generation by which every replica that nobody routes to any more had left.
func (m *memory) givenUp(view *state.View) uint64 {
	var last uint64
	for _, r := range view.Replicas() {
		if r.GetRouting().GetUnrouted() {
			last = max(last, m.left[r.GetId()])
		}
	}
	return last
}

// track remembers since when each ingress owes a confirmation. The debt is that of
// one generation until it is paid: a stream of changes does not hide a silence.
func (m *memory) track(view *state.View, proof proof, now time.Time) {
	owing := map[string]debt{}
	for _, ingress := range view.Ingresses() {
		id := ingress.GetId()
		confirmed := proof.acks[id].Generation
		owed, owes := m.owing[id]
		switch {
		case confirmed >= m.set.GetGeneration():
		case owes && confirmed < owed.generation:
			owing[id] = owed
		default:
			owing[id] = debt{m.set.GetGeneration(), now}
		}
	}
	m.owing = owing
}
