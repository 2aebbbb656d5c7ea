package simulation

import (
	"fmt"
	"time"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// converging is how long all may take to be as asked once nothing breaks any more: a
// deployment may roll for ten minutes without progress, and be undone for ten.
const converging = 25 * time.Minute

// Converge lets time pass until all is as asked, and returns what is not in time,
// empty when all is.
func (w *World) Converge() (missing string) {
	const look = 5 * time.Second
	for range int(converging / look) {
		if missing = w.unlike(w.View()); missing == "" {
			return ""
		}
		w.Sleep(look)
	}
	return fmt.Sprintf("not as asked %s after the last fault: %s", converging, missing)
}

// unlike tells what is not yet as asked, empty when all is.
func (w *World) unlike(view *state.View) string {
	if active := view.ActiveDeployments(); len(active) > 0 {
		return fmt.Sprintf("deployment %s is %v", active[0].GetId(), active[0].GetStatus())
	}
	for _, workload := range view.Workloads() {
		if missing := unlikeIn(view, workload); missing != "" {
			return missing
		}
	}
	return w.misrouted(view)
}

func unlikeIn(view *state.View, w *runwayv1.Workload) string {
	id, need, meant := state.IDOf(w.GetKey()), 0, 0
	if w.GetDelete() {
		return fmt.Sprintf("%s is not deleted yet", id)
	}
	if base := w.GetServingRevision(); base != 0 {
		need = state.Size(view.Wanted(id, "local"), view.Revision(id, base).GetSpec())
	}
	for _, r := range view.ReplicasOf(id) {
		switch phase := r.GetStatus().GetPhase(); {
		case r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_SERVE && r.GetRevision() == w.GetServingRevision():
			meant++
		case phase != stopped:
			return fmt.Sprintf("replica %s is left: %v, %v", r.GetId(), r.GetPlan(), r.GetStatus())
		case r.GetStatus().GetCause() == nil:
			return fmt.Sprintf("row of replica %s is left: %v", r.GetId(), r.GetRouting())
		}
	}
	if got := servingOf(view, id); got != need || meant != need {
		return fmt.Sprintf("%s: %d replicas serve, %d are meant to, %d are wanted", id, got, meant, need)
	}
	return ""
}

// misrouted tells which ingress routes to something else than what serves.
func (w *World) misrouted(view *state.View) string {
	for _, known := range view.Ingresses() {
		routes := w.ingress(known.GetId()).routes
		for _, r := range view.Replicas() {
			if r.GetRouting().GetServing() != (routes[r.GetId()] != "") {
				return fmt.Sprintf("ingress %s routes to %v", known.GetId(), routes)
			}
		}
	}
	return ""
}
