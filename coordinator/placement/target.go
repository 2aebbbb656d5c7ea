package placement

import (
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// target is a set of replicas of one workload in one region and its right size.
type target struct {
	workload   state.WorkloadID
	region     string
	deployment string // that new replicas belong to
	revision   uint64 // that new replicas run; 0 when none are made
	count      int
	replicas   []*runwayv1.Replica // that count now
	rows       []*runwayv1.Replica // those, and the ones that ended
	// part of the workload's work that those which serve must still do, whatever the
	// count: sizes may be older than what is there, as after a change of leaders.
	part float64
}

// targetsOf returns the sets that a workload should have. One that is deleted has
// none: its replicas are somebody else's to end.
func targetsOf(view *state.View, w *runwayv1.Workload) []target {
	if w.GetDelete() {
		return nil
	}
	s := subject{view: view, id: state.IDOf(w.GetKey()), base: fleet.BaseOf(view, w), active: fleet.Active(view, w)}
	var all []target
	for _, wanted := range view.WantedOf(s.id) {
		s.wanted = wanted
		s.here = fleet.Select(view.ReplicasOf(s.id), func(r *runwayv1.Replica) bool {
			return r.GetPlan().GetRegion() == wanted.GetRegion()
		})
		if s.active != nil {
			all = append(all, s.duringDeployment()...)
			continue
		}
		all = append(all, s.atRest()...)
	}
	return all
}

// subject is one workload in one region.
type subject struct {
	view   *state.View
	id     state.WorkloadID
	base   *fleet.Base          // nil before the first success
	active *runwayv1.Deployment // nil at rest
	wanted *runwayv1.Wanted
	here   []*runwayv1.Replica
}

// duringDeployment returns the sets that the deployment's step asks for: its own
// replicas and all others. In an undo the others are those of the base, which are
// brought back, and the strays of superseded deployments, which go as the base serves.
func (s subject) duringDeployment() []target {
	step := fleet.StepIn(s.active, s.wanted.GetRegion())
	if step == nil {
		return nil // the deployment has not decided yet
	}
	own := s.target(int(step.GetNew()), s.owns)
	keep, relief := float64(step.GetKeep())/1000, float64(step.GetRelief())/1000
	if s.active.GetStatus().GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING {
		base := s.fromBase(s.target(int(step.GetOld()), func(r *runwayv1.Replica) bool { return !s.owns(r) && s.base.Is(r) }))
		strays := s.target(0, func(r *runwayv1.Replica) bool { return !s.owns(r) && !s.base.Is(r) })
		strays.part = relief - s.work(base)
		own.part = strays.part - s.work(strays)
		return []target{own, base, strays}
	}
	own.deployment, own.revision = s.active.GetId(), s.active.GetSpec().GetRevision()
	old := s.fromBase(s.target(int(step.GetOld()), func(r *runwayv1.Replica) bool { return !s.owns(r) }))
	s.oneWay(&own, &old)
	own.part = 1 - s.work(old)
	if relief > 0 {
		old.part = keep * (1 - s.work(own)/relief)
	}
	return []target{own, old}
}

// oneWay keeps a deployment that rolls from going back and forth: its own set only grows, as
// far as it is wanted in the end, and the old one only shrinks, for a new replica takes the
// place of one that is lost. A step follows what there is, and may be a look behind: taken as
// it is, it would have a replica made, taken and made again.
func (s subject) oneWay(own, old *target) {
	final := sizeOf(s.view, s.id, s.wanted, own.revision)
	own.count = max(own.count, min(len(own.replicas), final))
	old.count = min(old.count, len(old.replicas))
}

// fromBase makes a set's missing replicas from the base; without one it only shrinks.
func (s subject) fromBase(t target) target {
	if s.base != nil {
		t.deployment, t.revision = s.base.Deployment, s.base.Revision
	}
	return t
}

// atRest returns the set of the base, and that of strays: replicas of deployments
// that ended without success. Strays go as the base takes their place.
func (s subject) atRest() []target {
	if s.base == nil {
		return []target{s.target(0, func(*runwayv1.Replica) bool { return true })}
	}
	base := s.fromBase(s.target(sizeOf(s.view, s.id, s.wanted, s.base.Revision), s.base.Is))
	strays := s.target(0, func(r *runwayv1.Replica) bool { return !s.base.Is(r) })
	strays.part = 1 - s.work(base)
	return []target{base, strays}
}

// target returns the set of the replicas that belong to it. Without a revision to
// make replicas from, a set only shrinks.
func (s subject) target(count int, belongs func(*runwayv1.Replica) bool) target {
	rows := fleet.Select(s.here, belongs)
	return target{
		workload: s.id, region: s.wanted.GetRegion(), count: count, rows: rows,
		replicas: fleet.Select(rows, func(r *runwayv1.Replica) bool { return fleet.Counts(s.view, r) }),
	}
}

func (s subject) owns(r *runwayv1.Replica) bool { return fleet.Owns(s.active, r) }

// work is the part of the work that the set does.
func (s subject) work(t target) float64 {
	var done float64
	for _, r := range t.replicas {
		done += work(s.view, r)
	}
	return done
}

// work is the part of the work that a replica does.
func work(view *state.View, r *runwayv1.Replica) float64 {
	return float64(fleet.Work(view, r)) / fleet.Whole
}

func sizeOf(view *state.View, id state.WorkloadID, wanted *runwayv1.Wanted, revision uint64) int {
	return state.Size(wanted, view.Revision(id, revision).GetSpec())
}

// missing is how many replicas are to be made.
func (t target) missing() int {
	if t.revision == 0 {
		return 0
	}
	return max(0, t.count-len(t.replicas))
}
