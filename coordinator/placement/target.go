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
	revision   uint64
	count      int
	replicas   []*runwayv1.Replica // that count now
}

// targets returns what every workload should have. A workload that is deleted or
// has never been deployed has none.
func targets(view *state.View) []target {
	var all []target
	for _, w := range view.Workloads() {
		if w.GetDelete() {
			continue
		}
		all = append(all, targetsOf(view, w)...)
	}
	return all
}

func targetsOf(view *state.View, w *runwayv1.Workload) []target {
	id := state.IDOf(w.GetKey())
	serving := fleet.Serving(view, id)
	active := fleet.Active(view, w)
	counted := fleet.Select(view.ReplicasOf(id), func(r *runwayv1.Replica) bool { return fleet.Counts(view, r) })

	var all []target
	for _, wanted := range view.WantedOf(id) {
		here := inRegion(counted, wanted.GetRegion())
		switch {
		case active != nil:
			all = append(all, duringDeployment(id, wanted, active, serving, here)...)
		case serving != nil:
			all = append(all, target{
				workload: id, region: wanted.GetRegion(), deployment: serving.GetId(),
				revision: serving.GetSpec().GetRevision(), count: int(wanted.GetCount()), replicas: here,
			})
		}
	}
	return all
}

// duringDeployment returns the sets that the deployment's step asks for: its own
// replicas, and all others. Others are made anew only from a revision that has
// served.
func duringDeployment(id state.WorkloadID, wanted *runwayv1.Wanted, active, serving *runwayv1.Deployment, here []*runwayv1.Replica) []target {
	step := stepIn(active, wanted.GetRegion())
	if step == nil {
		return nil // the deployment has not decided yet
	}
	own := fleet.Select(here, func(r *runwayv1.Replica) bool { return r.GetDeployment() == active.GetId() })
	others := fleet.Select(here, func(r *runwayv1.Replica) bool { return r.GetDeployment() != active.GetId() })
	fresh := target{
		workload: id, region: wanted.GetRegion(), deployment: active.GetId(),
		revision: active.GetSpec().GetRevision(), count: int(step.GetNew()), replicas: own,
	}
	old := target{workload: id, region: wanted.GetRegion(), count: int(step.GetOld()), replicas: others}
	if serving != nil {
		old.deployment, old.revision = serving.GetId(), serving.GetSpec().GetRevision()
	} else {
		old.count = min(old.count, len(others))
	}
	return []target{fresh, old}
}

func stepIn(d *runwayv1.Deployment, region string) *runwayv1.DeploymentTarget {
	for _, t := range d.GetStatus().GetTargets() {
		if t.GetRegion() == region {
			return t
		}
	}
	return nil
}

func inRegion(replicas []*runwayv1.Replica, region string) []*runwayv1.Replica {
	return fleet.Select(replicas, func(r *runwayv1.Replica) bool { return r.GetPlan().GetRegion() == region })
}
