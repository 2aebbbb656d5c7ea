package command

import (
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// room is what a node still has to give while one command places replicas on it.
type room struct {
	node                *runwayv1.Node
	cpu, memory, disk   int64
	ports               map[uint32]bool
	firstPort, lastPort uint32
}

// roomOn counts what the replicas of a node reserve. A stopped replica has given
// back everything but its node port, which stays taken until it is purged: an
// ingress may still hold a route to it.
func roomOn(tx *state.Tx, node *runwayv1.Node) *room {
	facts := node.GetFacts()
	r := &room{
		node:      node,
		cpu:       facts.GetAllocatableCpuMilli(),
		memory:    facts.GetAllocatableMemoryBytes(),
		disk:      facts.GetAllocatableDiskBytes(),
		ports:     map[uint32]bool{},
		firstPort: facts.GetPortFirst(),
		lastPort:  facts.GetPortLast(),
	}
	for _, replica := range tx.ReplicasOn(node.GetId()) {
		r.ports[replica.GetPlan().GetNodePort()] = true
		if replica.GetStatus().GetPhase() != runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
			revision := tx.Revision(state.IDOf(replica.GetWorkload()), replica.GetRevision())
			r.reserve(revision.GetSpec().GetResources())
		}
	}
	return r
}

func (r *room) reserve(resources *runwayv1.Resources) {
	r.cpu -= resources.GetCpuRequestMilli()
	r.memory -= resources.GetMemoryBytes()
	r.disk -= resources.GetDiskBytes()
}

// take reserves room for one more replica, or says what is missing.
func (r *room) take(plan *runwayv1.ReplicaPlan, spec *runwayv1.RevisionSpec) *Rejection {
	resources, name := spec.GetResources(), r.node.GetName()
	switch {
	case r.cpu < resources.GetCpuRequestMilli():
		return reject(ErrConflict, code.Unplaceable, "node %q has %d milli CPU left of %d asked", name, r.cpu, resources.GetCpuRequestMilli())
	case r.memory < resources.GetMemoryBytes():
		return reject(ErrConflict, code.Unplaceable, "node %q has %d bytes of memory left of %d asked", name, r.memory, resources.GetMemoryBytes())
	case r.disk < resources.GetDiskBytes():
		return reject(ErrConflict, code.Unplaceable, "node %q has %d bytes of disk left of %d asked", name, r.disk, resources.GetDiskBytes())
	}
	if rejection := r.takePort(plan.GetNodePort(), spec.GetContainerPort() != 0); rejection != nil {
		return rejection
	}
	r.reserve(resources)
	return nil
}

// takePort reserves a node port for a replica that has an endpoint.
func (r *room) takePort(port uint32, endpoint bool) *Rejection {
	switch {
	case !endpoint && port == 0:
		return nil
	case !endpoint:
		return reject(ErrInvalid, code.SpecInvalid, "a replica without an endpoint has no node port, not %d", port)
	case port < r.firstPort || port > r.lastPort || port == 0:
		return reject(ErrConflict, code.NodePortsExhausted, "port %d is outside %d-%d of node %q", port, r.firstPort, r.lastPort, r.node.GetName())
	case r.ports[port]:
		return reject(ErrConflict, code.NodePortTaken, "port %d of node %q is taken", port, r.node.GetName())
	}
	r.ports[port] = true
	return nil
}
