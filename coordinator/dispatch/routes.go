package dispatch

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// difference returns what brings an ingress from last to next: everything when it
// has nothing of this incarnation, nil when it is there. Neither set is changed.
func difference(last, next *runwayv1.RouteSet) *runwayv1.RouteSet {
	if next == nil {
		return nil
	}
	if last.GetIncarnation() != next.GetIncarnation() || last.GetGeneration() > next.GetGeneration() {
		return everything(next)
	}
	if last.GetGeneration() == next.GetGeneration() {
		return nil
	}
	set := everything(next)
	set.Full, set.Base, set.Routes, set.Withdrawn = false, last.GetGeneration(), nil, nil
	before := byWorkload(last)
	for _, route := range next.GetRoutes() {
		id := state.IDOf(route.GetWorkload())
		if old := before[id]; old == nil || !proto.Equal(old, route) {
			set.Routes = append(set.Routes, route)
		}
		delete(before, id)
	}
	for _, route := range last.GetRoutes() {
		if before[state.IDOf(route.GetWorkload())] != nil {
			set.Removed = append(set.Removed, route.GetWorkload())
		}
	}
	set.Withdrawn = withdrawn(next, set.GetRemoved())
	return set
}

// withdrawn returns those of the removed workloads that are meant to have no route.
func withdrawn(set *runwayv1.RouteSet, removed []*runwayv1.WorkloadKey) []*runwayv1.WorkloadKey {
	if len(removed) == 0 {
		return nil
	}
	meant := make(map[state.WorkloadID]bool, len(set.GetWithdrawn()))
	for _, key := range set.GetWithdrawn() {
		meant[state.IDOf(key)] = true
	}
	var keys []*runwayv1.WorkloadKey
	for _, key := range removed {
		if meant[state.IDOf(key)] {
			keys = append(keys, key)
		}
	}
	return keys
}

func everything(set *runwayv1.RouteSet) *runwayv1.RouteSet {
	return &runwayv1.RouteSet{
		Incarnation: set.GetIncarnation(),
		Generation:  set.GetGeneration(),
		Full:        true,
		Routes:      set.GetRoutes(),
		Domain:      set.GetDomain(),
		Ingresses:   set.GetIngresses(),
		Networks:    set.GetNetworks(),
		Withdrawn:   set.GetWithdrawn(),
	}
}

func byWorkload(set *runwayv1.RouteSet) map[state.WorkloadID]*runwayv1.Route {
	routes := make(map[state.WorkloadID]*runwayv1.Route, len(set.GetRoutes()))
	for _, route := range set.GetRoutes() {
		routes[state.IDOf(route.GetWorkload())] = route
	}
	return routes
}
