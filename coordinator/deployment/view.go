package deployment

import (
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// subject is everything about one deployment in progress that its engine looks at.
type subject struct {
	state      *state.View
	deployment *runwayv1.Deployment
	// base is what to go back to; nil when there is nothing.
	base     *fleet.Base
	replicas []*runwayv1.Replica
	wanted   []*runwayv1.Wanted
}

func newSubject(view *state.View, d *runwayv1.Deployment) subject {
	id := state.IDOf(d.GetWorkload())
	return subject{
		state:      view,
		deployment: d,
		base:       fleet.BaseOf(view, view.Workload(id)),
		replicas:   view.ReplicasOf(id),
		wanted:     view.WantedOf(id),
	}
}

// view returns what a strategy may see. Regions are in the order of s.wanted.
func (s subject) view() View {
	var v View
	for _, w := range s.wanted {
		region := Region{Name: w.GetRegion(), Wanted: state.Size(w, s.spec(s.deployment.GetSpec().GetRevision()))}
		if s.base != nil {
			region.Before = state.Size(w, s.spec(s.base.Revision))
		}
		for _, r := range s.replicas {
			if r.GetPlan().GetRegion() == w.GetRegion() && fleet.Counts(s.state, r) {
				s.count(&region, r)
			}
		}
		v.Regions = append(v.Regions, region)
	}
	return v
}

func (s subject) count(region *Region, r *runwayv1.Replica) {
	set := &region.Old
	if s.owns(r) {
		set = &region.New
	}
	set.Existing++
	if fleet.Serves(s.state, r) {
		set.Serving++
	}
}

func (s subject) spec(revision uint64) *runwayv1.RevisionSpec {
	return s.state.Revision(state.IDOf(s.deployment.GetWorkload()), revision).GetSpec()
}

// owns tells whether the deployment made the replica.
func (s subject) owns(r *runwayv1.Replica) bool {
	return r.GetDeployment() == s.deployment.GetId()
}

// routed tells whether some live ingress may still send requests to a replica that
// is no longer meant to serve, on the side that leave selects.
func (s subject) routed(leave func(*runwayv1.Replica) bool) bool {
	for _, r := range s.replicas {
		if leave(r) && r.GetRouting().GetServing() {
			return true
		}
	}
	return false
}
