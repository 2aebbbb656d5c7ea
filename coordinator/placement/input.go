package placement

import (
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/runway-platform/runway/scheduler"
)

// input translates the state into the scheduler's own words.
func input(view *state.View, missing []target) scheduler.Input {
	var in scheduler.Input
	for _, n := range view.Nodes() {
		in.Nodes = append(in.Nodes, node(n))
	}
	for _, r := range view.Replicas() {
		in.Placed = append(in.Placed, placed(view, r))
	}
	for _, t := range missing {
		in.Requests = append(in.Requests, request(view, t))
	}
	return in
}

func node(n *runwayv1.Node) scheduler.Node {
	facts := n.GetFacts()
	return scheduler.Node{
		ID:     scheduler.NodeID(n.GetId()),
		Region: facts.GetRegion(),
		Pool:   facts.GetPool(),
		Labels: facts.GetLabels(),
		Allocatable: scheduler.Resources{
			CPU:    scheduler.MilliCPU(facts.GetAllocatableCpuMilli()),
			Memory: scheduler.Bytes(facts.GetAllocatableMemoryBytes()),
			Disk:   scheduler.Bytes(facts.GetAllocatableDiskBytes()),
		},
		Ready:     n.GetStatus().GetPhase() == runwayv1.NodePhase_NODE_PHASE_READY,
		Cordoned:  n.GetSpec().GetCordoned(),
		PortFirst: int(facts.GetPortFirst()),
		PortLast:  int(facts.GetPortLast()),
	}
}

// placed counts a replica until its row is purged: its port may still be known to
// an ingress, or something foreign holds it. The rows are therefore the quarantine of
// ports, and survive a change of leaders. What has stopped no longer uses the node's
// resources.
func placed(view *state.View, r *runwayv1.Replica) scheduler.Placed {
	id := state.IDOf(r.GetWorkload())
	p := scheduler.Placed{
		Replica:  scheduler.ReplicaID(r.GetId()),
		Workload: set(id, r.GetDeployment()),
		Node:     scheduler.NodeID(r.GetPlan().GetNode()),
		Port:     int(r.GetPlan().GetNodePort()),
		Index:    r.GetMeta().GetCreatedIndex(),
	}
	if r.GetStatus().GetPhase() != runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
		p.Reservation = reservation(fleet.SpecOf(view, r).GetResources())
	}
	return p
}

func request(view *state.View, t target) scheduler.Request {
	spec := view.Revision(t.workload, t.revision).GetSpec()
	return scheduler.Request{
		Workload:    set(t.workload, t.deployment),
		Region:      t.region,
		Reservation: reservation(spec.GetResources()),
		NeedsPort:   spec.GetContainerPort() != 0,
		Count:       t.missing(),
	}
}

// set keeps replicas of an outgoing revision from deciding where the incoming one
// is spread.
func set(id state.WorkloadID, deployment string) scheduler.WorkloadID {
	return scheduler.WorkloadID(string(id) + "@" + deployment)
}

func reservation(r *runwayv1.Resources) scheduler.Resources {
	return scheduler.Resources{
		CPU:    scheduler.MilliCPU(r.GetCpuRequestMilli()),
		Memory: scheduler.Bytes(r.GetMemoryBytes()),
		Disk:   scheduler.Bytes(r.GetDiskBytes()),
	}
}
