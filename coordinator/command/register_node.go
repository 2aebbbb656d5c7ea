package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	maxPort = 65535
	// maxMilliCPU is 10,000 cores and maxBytes one pebibyte: beyond, a machine has
	// misread itself, and sums could overflow.
	maxMilliCPU = 10_000_000
	maxBytes    = 1 << 50
	// maxNodes bounds the machines of a cluster.
	maxNodes = 20_000
)

// registerNode writes what an agent says of its machine and makes it ready. One
// that was down begins a new epoch.
func registerNode(tx *state.Tx, c *runwayv1.RegisterNode) (proto.Message, error) {
	if err := checkID("node", c.GetNode()); err != nil {
		return nil, err
	}
	if err := checkID("node name", c.GetName()); err != nil {
		return nil, err
	}
	if err := checkRegion(tx, c.GetFacts().GetRegion()); err != nil {
		return nil, err
	}
	if err := checkFacts(c.GetFacts()); err != nil {
		return nil, err
	}
	if err := checkNotRemoved(tx, c.GetNode()); err != nil {
		return nil, err
	}
	old := tx.Node(c.GetNode())
	if old == nil && tx.Count(state.TableNodes) >= maxNodes {
		return nil, reject(ErrInvalid, code.SpecInvalid, "the cluster has %d nodes, which is the most", maxNodes)
	}
	node := &runwayv1.Node{Id: c.GetNode(), Name: c.GetName(), Spec: old.GetSpec(), Facts: c.GetFacts(), Status: readyStatus(tx, old.GetStatus())}
	if old == nil {
		node.Spec = &runwayv1.NodeSpec{}
	}
	tx.PutNode(node)
	if old.GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_READY {
		tx.PutEvent(ofNode(node.GetId(), "node.ready", "node "+node.GetName()+" registered"))
	}
	if before, now := old.GetFacts().GetBootId(), c.GetFacts().GetBootId(); before != "" && now != "" && before != now {
		tx.PutEvent(ofNode(node.GetId(), "node.rebooted", "the machine of node "+node.GetName()+" was started again"))
	}
	return node, nil
}

// checkNotRemoved refuses a machine that an operator removed: its certificate may be
// valid for a while.
func checkNotRemoved(tx *state.Tx, id string) error {
	if tx.RemovedMachine(id) == nil {
		return nil
	}
	return reject(ErrConflict, code.MachineRemoved, "machine %q was removed from the cluster", id)
}

func checkFacts(facts *runwayv1.NodeFacts) error {
	switch {
	case facts.GetAddress() == "":
		return reject(ErrInvalid, code.SpecInvalid, "the node has no address")
	case !within(facts.GetAllocatableCpuMilli(), facts.GetCapacityCpuMilli(), maxMilliCPU),
		!within(facts.GetAllocatableMemoryBytes(), facts.GetCapacityMemoryBytes(), maxBytes),
		!within(facts.GetAllocatableDiskBytes(), facts.GetCapacityDiskBytes(), maxBytes):
		return reject(ErrInvalid, code.SpecInvalid, "the node's capacity is not believable: %v", facts)
	case facts.GetPortFirst() == 0 || facts.GetPortFirst() > facts.GetPortLast() || facts.GetPortLast() > maxPort:
		return reject(ErrInvalid, code.SpecInvalid, "the node's port range %d-%d is not one", facts.GetPortFirst(), facts.GetPortLast())
	case proto.Size(facts) > maxSpec:
		return reject(ErrInvalid, code.SpecInvalid, "the node's facts have more than %d bytes", maxSpec)
	}
	return nil
}

// within reports whether 0 <= allocatable <= capacity <= most.
func within(allocatable, capacity, most int64) bool {
	return 0 <= allocatable && allocatable <= capacity && capacity <= most
}

// readyStatus is the status of a node that is heard of. The epoch rises when it
// was given up before, because its replicas were replaced.
func readyStatus(tx *state.Tx, old *runwayv1.NodeStatus) *runwayv1.NodeStatus {
	ready := &runwayv1.NodeStatus{Phase: runwayv1.NodePhase_NODE_PHASE_READY, Epoch: old.GetEpoch(), PhaseSince: tx.At()}
	switch old.GetPhase() {
	case runwayv1.NodePhase_NODE_PHASE_READY:
		ready.PhaseSince = old.GetPhaseSince()
	case runwayv1.NodePhase_NODE_PHASE_DOWN, runwayv1.NodePhase_NODE_PHASE_UNSPECIFIED:
		ready.Epoch++
	}
	return ready
}
