package placement

import (
	"fmt"
	"time"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/runway-platform/runway/scheduler"
)

// settle is how long a node that was lost has to stay before it is used like any
// other: one that comes and goes would draw replicas each time it comes, because it
// is the emptiest.
const settle = time.Minute

// choose asks the scheduler for the targets on nodes that have settled, and on all
// nodes when those do not suffice.
func choose(view *state.View, missing []target, now time.Time) scheduler.Result {
	in := input(view, missing)
	all := in.Nodes
	if in.Nodes = settled(view, now); len(in.Nodes) < len(all) {
		if result := scheduler.Plan(in); len(result.Unplaced) == 0 {
			return result
		}
	}
	in.Nodes = all
	return scheduler.Plan(in)
}

// try is choose with a panic of the scheduler as its error.
func try(view *state.View, missing []target, now time.Time) (result scheduler.Result, err error) {
	defer func() {
		if defect := recover(); defect != nil {
			err = fmt.Errorf("place %d targets: %v", len(missing), defect)
		}
	}()
	return choose(view, missing, now), nil
}

func settled(view *state.View, now time.Time) []scheduler.Node {
	var kept []scheduler.Node
	for _, n := range view.Nodes() {
		if !returned(n, now) {
			kept = append(kept, node(n))
		}
	}
	return kept
}

// returned tells whether the node was lost and came back only now. Of one that just
// joined, the present phase is as old as the node.
func returned(n *runwayv1.Node, now time.Time) bool {
	since, made := n.GetStatus().GetPhaseSince().AsTime(), n.GetMeta().GetCreatedAt().AsTime()
	return since.After(made) && now.Sub(since) < settle
}
