package deployment

import (
	"slices"

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
	regions  []region
}

// region is what a strategy may see of a region, and what only an undo asks for.
type region struct {
	Region
	wanted *runwayv1.Wanted
	// found is what the deployment found when it began; nil before.
	found *runwayv1.DeploymentBefore
	// whole is how many of the base have to serve for it to be as it was.
	whole int
	// base and strays are the old ones: of the revision to go back to, and those that
	// superseded deployments made.
	base, strays Set
}

func newSubject(view *state.View, d *runwayv1.Deployment) subject {
	id := state.IDOf(d.GetWorkload())
	s := subject{state: view, deployment: d, base: fleet.BaseOf(view, view.Workload(id)), replicas: view.ReplicasOf(id)}
	for _, w := range view.WantedOf(id) {
		s.regions = append(s.regions, s.region(w))
	}
	return s
}

func (s subject) region(w *runwayv1.Wanted) region {
	r := region{wanted: w, Region: Region{Name: w.GetRegion(), Wanted: state.Size(w, s.spec(s.deployment.GetSpec().GetRevision()))}}
	if s.base != nil {
		r.Before = state.Size(w, s.spec(s.base.Revision))
	}
	r.whole = r.Before
	for _, found := range s.deployment.GetStatus().GetBefore() {
		if found.GetRegion() == r.Name {
			r.found, r.whole = found, min(r.Before, int(found.GetServing()))
		}
	}
	for _, replica := range s.replicas {
		if replica.GetPlan().GetRegion() == r.Name && fleet.Counts(s.state, replica) {
			s.count(&r, replica)
		}
	}
	return r
}

func (s subject) count(r *region, replica *runwayv1.Replica) {
	sets := []*Set{&r.Old, &r.strays}
	switch {
	case fleet.Owns(s.deployment, replica):
		sets = []*Set{&r.New}
	case s.isBase(replica):
		sets = []*Set{&r.Old, &r.base}
	}
	serves := fleet.Serves(s.state, replica)
	for _, set := range sets {
		set.Existing++
		if serves {
			set.Serving++
		}
	}
}

// takenBy tells whether a step asks for fewer old replicas than there are.
func (r region) takenBy(step Step) bool { return step.Region == r.Name && step.Old < r.Old.Existing }

// view returns what a strategy may see.
func (s subject) view() View {
	var v View
	for _, r := range s.regions {
		v.Regions = append(v.Regions, r.Region)
	}
	return v
}

func (s subject) spec(revision uint64) *runwayv1.RevisionSpec {
	return s.state.Revision(state.IDOf(s.deployment.GetWorkload()), revision).GetSpec()
}

// isBase tells whether the replica is one to go back to.
func (s subject) isBase(r *runwayv1.Replica) bool {
	return !fleet.Owns(s.deployment, r) && s.base.Is(r)
}

// routed tells whether some live ingress may still send requests to a replica that
// is no longer meant to serve, on the side that leave selects.
func (s subject) routed(leave func(*runwayv1.Replica) bool) bool {
	return slices.ContainsFunc(s.replicas, func(r *runwayv1.Replica) bool { return leave(r) && fleet.MayBeRouted(s.state, r) })
}
