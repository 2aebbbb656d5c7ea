package scheduler

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// traceSeed makes the synthetic traces the same in every run.
const traceSeed = 20240607

const gib = Bytes(1 << 30)

// traceNode is a node of the synthetic cluster: 32 cores, 128 GiB, 1 TB of disk.
var traceNode = Resources{CPU: 32_000, Memory: 128 * gib, Disk: 1000 * gib}

// traceNodes are ready nodes of one region with the default port range.
func traceNodes(count int) []Node {
	nodes := make([]Node, count)
	for i := range nodes {
		nodes[i] = Node{
			ID: NodeID(fmt.Sprintf("node-%05d", i)), Region: "eu", Pool: "general",
			Allocatable: traceNode, Ready: true, PortFirst: 20000, PortLast: 29999,
		}
	}
	return nodes
}

// trace draws workloads until there are that many replicas. Sizes follow what is
// seen in shared clusters: most are small, few are large, CPU and memory are
// only loosely related, and counts are skewed. CPU and memory are scaled so that
// both sums are fill of that many nodes: the hardest case for packing, as no
// dimension has slack that would hide waste in the other.
func trace(replicas, nodes int, fill float64) []Request {
	random := rand.New(rand.NewPCG(traceSeed, traceSeed))
	var requests []Request
	var cpu, memory []float64
	for left := replicas; left > 0; {
		count := min(1+int(random.ExpFloat64()*60), left, replicas/20+1)
		left -= count
		size := random.NormFloat64()
		cpu = append(cpu, math.Exp(0.8*size+0.6*random.NormFloat64()))
		memory = append(memory, math.Exp(0.8*size+0.6*random.NormFloat64()))
		requests = append(requests, Request{
			Workload: WorkloadID(fmt.Sprintf("workload-%05d", len(requests))), Region: "eu",
			NeedsPort: true, Count: count,
		})
	}
	scale(requests, cpu, float64(traceNode.CPU)*float64(nodes)*fill, func(r *Request, v float64) { r.Reservation.CPU = MilliCPU(max(v, 1)) })
	scale(requests, memory, float64(traceNode.Memory)*float64(nodes)*fill, func(r *Request, v float64) { r.Reservation.Memory = Bytes(max(v, 1)) })
	return requests
}

// scale sets one dimension of all requests so that it sums up to want. No replica
// gets more than a quarter of a node, as VMs are chosen for what they run.
func scale(requests []Request, sizes []float64, want float64, set func(*Request, float64)) {
	sum := 0.0
	for i, r := range requests {
		sizes[i] = min(sizes[i], 20)
		sum += sizes[i] * float64(r.Count)
	}
	for i := range requests {
		set(&requests[i], sizes[i]*want/sum)
	}
}

// lowerBound is the number of trace nodes that no packing can do without.
func lowerBound(requests []Request) int {
	var cpu, memory float64
	for _, r := range requests {
		cpu += float64(r.Reservation.CPU) * float64(r.Count)
		memory += float64(r.Reservation.Memory) * float64(r.Count)
	}
	return int(math.Ceil(max(cpu/float64(traceNode.CPU), memory/float64(traceNode.Memory))))
}

// nodesUsed counts the nodes that a plan puts anything on.
func nodesUsed(result Result) int {
	used := map[NodeID]bool{}
	for _, a := range result.Assignments {
		used[a.Node] = true
	}
	return len(used)
}
