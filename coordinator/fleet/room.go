package fleet

import (
	"slices"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// RoomFor tells whether a node of the region has room for one more replica of a spec,
// now or once what is leaving it has stopped. It is for who waits; the scheduler decides.
func RoomFor(view *state.View, region string, spec *runwayv1.RevisionSpec) bool {
	return slices.ContainsFunc(view.Nodes(), func(n *runwayv1.Node) bool {
		usable := n.GetStatus().GetPhase() == runwayv1.NodePhase_NODE_PHASE_READY && !n.GetSpec().GetCordoned()
		return usable && n.GetFacts().GetRegion() == region && willFit(view, n, spec)
	})
}

func willFit(view *state.View, n *runwayv1.Node, spec *runwayv1.RevisionSpec) bool {
	facts, asked := n.GetFacts(), spec.GetResources()
	cpu, memory, disk := facts.GetAllocatableCpuMilli(), facts.GetAllocatableMemoryBytes(), facts.GetAllocatableDiskBytes()
	ports := int(facts.GetPortLast()) - int(facts.GetPortFirst()) + 1
	for _, r := range view.ReplicasOn(n.GetId()) {
		if r.GetPlan().GetGoal() != runwayv1.Goal_GOAL_SERVE || Ended(r) {
			continue
		}
		used := SpecOf(view, r).GetResources()
		cpu, memory, disk = cpu-used.GetCpuRequestMilli(), memory-used.GetMemoryBytes(), disk-used.GetDiskBytes()
		if r.GetPlan().GetNodePort() != 0 {
			ports--
		}
	}
	return cpu >= asked.GetCpuRequestMilli() && memory >= asked.GetMemoryBytes() && disk >= asked.GetDiskBytes() &&
		(ports > 0 || spec.GetContainerPort() == 0)
}
