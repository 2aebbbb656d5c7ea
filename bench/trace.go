package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/runway-platform/runway/scheduler"
)

const gib = 1 << 30

// traceNode is a machine of 32 cores and 128 GiB.
var traceNode = scheduler.Resources{CPU: 32_000, Memory: 128 * gib, Disk: 1 << 40}

func traceNodes(count int) []scheduler.Node {
	nodes := make([]scheduler.Node, count)
	for i := range nodes {
		nodes[i] = scheduler.Node{
			ID: scheduler.NodeID(fmt.Sprintf("node-%05d", i)), Allocatable: traceNode, Ready: true, PortFirst: 20000, PortLast: 29999,
		}
	}
	return nodes
}

// trace makes workloads of log-normal size and exponential count, CPU and memory
// loosely related, scaled so that both fill the given share of the nodes: the
// hardest case, since neither hides the waste of the other. The seed is fixed.
func trace(replicas, nodes int, fill float64) []scheduler.Request {
	const seed, meanCount, spread = 42, 60, 0.7
	random := rand.New(rand.NewPCG(seed, seed))
	var requests []scheduler.Request
	var cpu, memory []float64
	var cpuSum, memorySum float64
	for left := replicas; left > 0; {
		count := min(left, 1+int(random.ExpFloat64()*meanCount))
		size := spread * random.NormFloat64()
		c, m := math.Exp(size+spread/2*random.NormFloat64()), math.Exp(size+spread/2*random.NormFloat64())
		requests = append(requests, scheduler.Request{Workload: scheduler.WorkloadID(fmt.Sprintf("w-%05d", len(requests))), NeedsPort: true, Count: count})
		cpu, memory = append(cpu, c), append(memory, m)
		cpuSum, memorySum, left = cpuSum+c*float64(count), memorySum+m*float64(count), left-count
	}
	for i := range requests {
		requests[i].Reservation = scheduler.Resources{
			CPU:    scheduler.MilliCPU(cpu[i] / cpuSum * fill * float64(nodes) * float64(traceNode.CPU)),
			Memory: scheduler.Bytes(memory[i] / memorySum * fill * float64(nodes) * float64(traceNode.Memory)),
		}
	}
	return requests
}

// nextFit returns how many nodes the simplest packing takes: a node is left as soon
// as something does not fit, and never looked at again.
func nextFit(requests []scheduler.Request) (used int) {
	var left scheduler.Resources
	for _, r := range requests {
		for range r.Count {
			if left.CPU < r.Reservation.CPU || left.Memory < r.Reservation.Memory {
				used, left = used+1, traceNode
			}
			left.CPU, left.Memory = left.CPU-r.Reservation.CPU, left.Memory-r.Reservation.Memory
		}
	}
	return used
}

// lowerBound is the number of nodes that no packing can go below, and often none
// can reach.
func lowerBound(requests []scheduler.Request) int {
	var cpu, memory float64
	for _, r := range requests {
		cpu += float64(r.Count) * float64(r.Reservation.CPU)
		memory += float64(r.Count) * float64(r.Reservation.Memory)
	}
	return int(math.Ceil(max(cpu/float64(traceNode.CPU), memory/float64(traceNode.Memory))))
}

func nodesUsed(result scheduler.Result) int {
	used := map[scheduler.NodeID]bool{}
	for _, a := range result.Assignments {
		used[a.Node] = true
	}
	return len(used)
}
