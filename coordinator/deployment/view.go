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
	// serving is the deployment to go back to; nil when there is none.
	serving  *runwayv1.Deployment
	replicas []*runwayv1.Replica
	wanted   []*runwayv1.Wanted
}

func newSubject(view *state.View, d *runwayv1.Deployment) subject {
	id := state.IDOf(d.GetWorkload())
	return subject{
		state:      view,
		deployment: d,
		serving:    fleet.Serving(view, id),
		replicas:   view.ReplicasOf(id),
		wanted:     view.WantedOf(id),
	}
}

// view returns what a strategy may see.
func (s subject) view() View {
	var v View
	for _, w := range s.wanted {
		region := Region{Name: w.GetRegion(), Wanted: int(w.GetCount())}
		for _, r := range s.replicas {
			if r.GetPlan().GetRegion() != w.GetRegion() || !fleet.Counts(s.state, r) {
				continue
			}
			set := &region.Old
			if s.owns(r) {
				set = &region.New
			}
			set.Existing++
			if s.isServing(r) {
				set.Serving++
			}
		}
		v.Regions = append(v.Regions, region)
	}
	return v
}

// owns tells whether the deployment made the replica.
func (s subject) owns(r *runwayv1.Replica) bool {
	return r.GetDeployment() == s.deployment.GetId()
}

func (s subject) isServing(r *runwayv1.Replica) bool {
	revision := s.state.Revision(state.IDOf(r.GetWorkload()), r.GetRevision())
	return fleet.IsServing(s.state, r, revision.GetSpec())
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
