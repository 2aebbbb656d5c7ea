package placement

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/runway-platform/runway/scheduler"
)

// retell is how old a stored problem must be before it is written again only because
// its sentence changed: the figures in it change with every placement elsewhere.
const retell = 10 * time.Second

// place is where a problem is stored: with a wanted count.
type place struct {
	workload state.WorkloadID
	region   string
}

// problems returns what differs between the problems that are stored and those that
// there are: new ones, changed ones, and an all-clear for each that is over. A workload lacks
// replicas of one set only: a deployment makes its own, an undo those of the base.
func problems(view *state.View, d difference, placed []target, unplaced []scheduler.Unplaced, now time.Time) []*runwayv1.PlacementProblem {
	var write []*runwayv1.PlacementProblem
	for _, u := range unplaced {
		t := placed[u.Request]
		problem := &runwayv1.PlacementProblem{Workload: t.workload.Key(), Region: t.region, Count: uint32(u.Count), Cause: causeOf(t, u)}
		if worth(view.Wanted(t.workload, t.region), problem, now) {
			write = append(write, problem)
		}
	}
	lacking := map[place]bool{}
	for _, t := range append(append([]target{}, d.missing...), d.waiting...) {
		lacking[place{t.workload, t.region}] = true
	}
	for _, w := range view.Workloads() {
		for _, wanted := range view.WantedOf(state.IDOf(w.GetKey())) {
			at := place{state.IDOf(w.GetKey()), wanted.GetRegion()}
			if wanted.GetUnplaced() != nil && !lacking[at] {
				write = append(write, &runwayv1.PlacementProblem{Workload: wanted.GetWorkload(), Region: wanted.GetRegion()})
			}
		}
	}
	return write
}

func causeOf(t target, u scheduler.Unplaced) *runwayv1.Cause {
	is := codeOf(u)
	cause := &runwayv1.Cause{Code: string(is), Summary: u.Sentence(t.workload.Key().GetService()), Fix: is.Fix()}
	for _, reason := range u.Explain {
		cause.Evidence = append(cause.Evidence, fmt.Sprintf("%d nodes: %s", reason.Nodes, reason.Filter))
	}
	return cause
}

// codeOf is that of the last filter that turned nodes away: those came closest.
func codeOf(u scheduler.Unplaced) code.Code {
	if last := len(u.Explain) - 1; last >= 0 && u.Explain[last].Filter == scheduler.FilterPorts {
		return code.NodePortsExhausted
	}
	return code.Unplaceable
}

// worth tells whether a problem says something that the stored one does not.
func worth(stored *runwayv1.Wanted, problem *runwayv1.PlacementProblem, now time.Time) bool {
	switch {
	case stored.GetUnplaced() == nil || stored.GetUnplacedCount() != problem.GetCount():
		return true
	case proto.Equal(stored.GetUnplaced(), problem.GetCause()):
		return false
	default:
		return now.Sub(stored.GetMeta().GetModifiedAt().AsTime()) >= retell
	}
}
