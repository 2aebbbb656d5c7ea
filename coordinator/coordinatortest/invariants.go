package coordinatortest

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// CheckInvariants returns what must never be true of a state, joined, or nil: a
// node port given twice, a node over its capacity, an active deployment that is
// not its workload's, an object of something that does not exist.
func CheckInvariants(v *state.View) error {
	var broken []error
	for _, node := range v.Nodes() {
		broken = append(broken, checkPorts(v, node), checkCapacity(v, node))
	}
	for _, deployment := range v.ActiveDeployments() {
		broken = append(broken, checkActive(v, deployment))
	}
	for _, workload := range v.Workloads() {
		broken = append(broken, checkWorkload(v, workload))
	}
	for _, replica := range v.Replicas() {
		broken = append(broken, checkReplica(v, replica))
	}
	return errors.Join(broken...)
}

func checkPorts(v *state.View, node *runwayv1.Node) error {
	holders := map[uint32]string{}
	for _, replica := range v.ReplicasOn(node.GetId()) {
		port := replica.GetPlan().GetNodePort()
		if other, taken := holders[port]; taken && port != 0 {
			return fmt.Errorf("port %d of node %q belongs to replicas %q and %q", port, node.GetId(), other, replica.GetId())
		}
		holders[port] = replica.GetId()
	}
	return nil
}

func checkCapacity(v *state.View, node *runwayv1.Node) error {
	var cpu, memory, disk int64
	for _, replica := range v.ReplicasOn(node.GetId()) {
		if replica.GetStatus().GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED {
			continue
		}
		resources := v.Revision(state.IDOf(replica.GetWorkload()), replica.GetRevision()).GetSpec().GetResources()
		cpu += resources.GetCpuRequestMilli()
		memory += resources.GetMemoryBytes()
		disk += resources.GetDiskBytes()
	}
	facts := node.GetFacts()
	if cpu > facts.GetAllocatableCpuMilli() || memory > facts.GetAllocatableMemoryBytes() || disk > facts.GetAllocatableDiskBytes() {
		return fmt.Errorf("node %q gives %dm CPU, %d bytes of memory and %d of disk, which is more than it has", node.GetId(), cpu, memory, disk)
	}
	return nil
}

func checkActive(v *state.View, deployment *runwayv1.Deployment) error {
	workload := v.Workload(state.IDOf(deployment.GetWorkload()))
	if workload.GetActiveDeployment() != deployment.GetId() {
		return fmt.Errorf("deployment %q is active, but its workload has %q", deployment.GetId(), workload.GetActiveDeployment())
	}
	return nil
}

func checkWorkload(v *state.View, workload *runwayv1.Workload) error {
	id := state.IDOf(workload.GetKey())
	if v.Space(workload.GetKey().GetSpace()) == nil {
		return fmt.Errorf("workload %q is in no space", id)
	}
	for _, number := range []uint64{workload.GetLatestRevision(), workload.GetServingRevision()} {
		if number != 0 && v.Revision(id, number) == nil {
			return fmt.Errorf("workload %q has lost revision %d", id, number)
		}
	}
	if active := workload.GetActiveDeployment(); active != "" && state.Ended(v.Deployment(active).GetStatus().GetPhase()) {
		return fmt.Errorf("workload %q has the ended deployment %q", id, active)
	}
	return nil
}

func checkReplica(v *state.View, replica *runwayv1.Replica) error {
	id := state.IDOf(replica.GetWorkload())
	switch {
	case v.Workload(id) == nil:
		return fmt.Errorf("replica %q is of no workload", replica.GetId())
	case v.Revision(id, replica.GetRevision()) == nil:
		return fmt.Errorf("replica %q has lost revision %d", replica.GetId(), replica.GetRevision())
	case v.Node(replica.GetPlan().GetNode()) == nil:
		return fmt.Errorf("replica %q is on no node", replica.GetId())
	}
	return nil
}

// CheckChange returns what must never happen between two states, joined, or nil: a
// replica that gets another owner or goes back, an end that is taken back, a node
// whose epoch falls.
func CheckChange(before, after *state.View) error {
	var broken []error
	for _, old := range before.Replicas() {
		if replica := after.Replica(old.GetId()); replica != nil && replica != old {
			broken = append(broken, checkOwner(old, replica))
		}
	}
	for _, workload := range before.Workloads() {
		for _, old := range before.DeploymentsOf(state.IDOf(workload.GetKey())) {
			broken = append(broken, checkEnd(old, after.Deployment(old.GetId())))
		}
	}
	for _, old := range before.Nodes() {
		if node := after.Node(old.GetId()); node != nil && node.GetStatus().GetEpoch() < old.GetStatus().GetEpoch() {
			broken = append(broken, fmt.Errorf("node %q goes from epoch %d to %d", old.GetId(), old.GetStatus().GetEpoch(), node.GetStatus().GetEpoch()))
		}
	}
	return errors.Join(broken...)
}

func checkOwner(old, replica *runwayv1.Replica) error {
	was, is := old.GetPlan(), replica.GetPlan()
	same := was.GetNode() == is.GetNode() && was.GetNodeEpoch() == is.GetNodeEpoch() && was.GetNodePort() == is.GetNodePort() &&
		old.GetDeployment() == replica.GetDeployment() && old.GetRevision() == replica.GetRevision() &&
		proto.Equal(old.GetWorkload(), replica.GetWorkload())
	switch {
	case !same:
		return fmt.Errorf("replica %q was %v of %q and is %v of %q", old.GetId(), was, old.GetDeployment(), is, replica.GetDeployment())
	case is.GetGoal() < was.GetGoal():
		return fmt.Errorf("replica %q goes back from %v to %v", old.GetId(), was.GetGoal(), is.GetGoal())
	}
	return nil
}

func checkEnd(old, deployment *runwayv1.Deployment) error {
	if deployment == nil || deployment == old || !state.Ended(old.GetStatus().GetPhase()) || proto.Equal(old.GetStatus(), deployment.GetStatus()) {
		return nil
	}
	return fmt.Errorf("deployment %q had ended as %v and is %v", old.GetId(), old.GetStatus(), deployment.GetStatus())
}
