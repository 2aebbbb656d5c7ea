package endpoint

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// memory is what this leader has published: the present set, and for each replica
// the generation since which it is in the sets, or no longer is. It begins empty
// with every leader; the first generation of a new one is younger than all of the
// old ones, so nothing is taken for confirmed that was not.
type memory struct {
	set     *runwayv1.RouteSet
	entered map[string]uint64
	left    map[string]uint64
}

func newMemory() *memory {
	return &memory{entered: map[string]uint64{}, left: map[string]uint64{}}
}

// publish takes the routes of the view for the present ones and tells whether
// they differ.
func (m *memory) publish(view *state.View, fresh *runwayv1.RouteSet) bool {
	changed := m.replace(view, fresh)
	inside := map[string]bool{}
	for _, route := range m.set.GetRoutes() {
		for _, e := range route.GetEndpoints() {
			inside[e.GetReplica()] = true
		}
	}
	m.note(view, inside)
	return changed
}

func (m *memory) replace(view *state.View, fresh *runwayv1.RouteSet) bool {
	if m.set != nil {
		fresh.Generation = m.set.GetGeneration()
		if proto.Equal(fresh, m.set) {
			return false
		}
	}
	// An acknowledgement may change the list of ingresses without a command.
	fresh.Generation = max(view.Cluster().GetGenerationBase()+view.Index(), m.set.GetGeneration()+1)
	m.set = fresh
	return true
}

// note remembers since which generation each replica is in or out, and forgets
// replicas that are gone.
func (m *memory) note(view *state.View, inside map[string]bool) {
	generation := m.set.GetGeneration()
	known := map[string]bool{}
	for _, r := range view.Replicas() {
		id := r.GetId()
		known[id] = true
		now, before := m.left, m.entered
		if inside[id] {
			now, before = m.entered, m.left
		}
		delete(before, id)
		if now[id] == 0 {
			now[id] = generation
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
