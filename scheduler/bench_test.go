package scheduler

import (
	"fmt"
	"testing"
)

// BenchmarkPlan_FromEmpty packs a whole cluster at once and reports, beside the
// throughput, how far the number of used nodes is above the lower bound.
func BenchmarkPlan_FromEmpty(b *testing.B) {
	for _, size := range []struct{ replicas, nodes int }{
		{10_000, 500},
		{100_000, 1_000},
		{1_000_000, 10_000},
	} {
		b.Run(fmt.Sprintf("replicas=%d/nodes=%d", size.replicas, size.nodes), func(b *testing.B) {
			// A tenth of the nodes is spare, so that imperfect packing shows as more
			// nodes used and not as replicas left over.
			requests := trace(size.replicas, size.nodes, 0.9)
			nodes := traceNodes(size.nodes)
			bound := lowerBound(requests)
			var result Result
			for b.Loop() {
				result = Plan(Input{Nodes: nodes, Requests: requests})
			}
			if len(result.Unplaced) > 0 {
				b.Fatalf("unplaced: %s", result.Unplaced[0].Sentence("the first"))
			}
			used := nodesUsed(result)
			b.ReportMetric(float64(size.replicas*b.N)/b.Elapsed().Seconds(), "replicas/s")
			b.ReportMetric(100*float64(used-bound)/float64(bound), "%over-bound")
			b.ReportMetric(float64(used), "nodes-used")
		})
	}
}

// benchCluster is a cluster with all requests of a trace placed.
func benchCluster(b *testing.B, replicas, nodes int, fill float64) *Cluster {
	b.Helper()
	requests := trace(replicas, nodes, fill)
	c := New()
	for _, n := range traceNodes(nodes) {
		c.UpsertNode(n)
	}
	for i, a := range c.Plan(requests).Assignments {
		c.Place(Placed{
			Replica: ReplicaID(fmt.Sprintf("replica-%07d", i)), Workload: a.Workload, Node: a.Node,
			Reservation: requests[a.Request].Reservation, Port: a.Port, Index: uint64(i),
		})
	}
	return c
}

var benchSizes = []struct{ replicas, nodes int }{{10_000, 500}, {1_000_000, 10_000}}

// BenchmarkPlan_Incremental plans one deployment of three replicas on a cluster
// that is 80 % full and already indexed.
func BenchmarkPlan_Incremental(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("replicas=%d/nodes=%d", size.replicas, size.nodes), func(b *testing.B) {
			c := benchCluster(b, size.replicas, size.nodes, 0.8)
			requests := []Request{{Workload: "web", Region: "eu", NeedsPort: true, Count: 3, Reservation: Resources{CPU: 100, Memory: gib / 2}}}
			for b.Loop() {
				if got := c.Plan(requests); len(got.Assignments) != 3 {
					b.Fatalf("unplaced: %+v", got.Unplaced)
				}
			}
		})
	}
}

// BenchmarkPlan_Explain asks for what fits nowhere: a look at every node.
func BenchmarkPlan_Explain(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("replicas=%d/nodes=%d", size.replicas, size.nodes), func(b *testing.B) {
			c := benchCluster(b, size.replicas, size.nodes, 0.8)
			requests := []Request{{Workload: "web", Region: "eu", Count: 3, Reservation: Resources{CPU: 1, Memory: traceNode.Memory + 1}}}
			for b.Loop() {
				if got := c.Plan(requests); len(got.Unplaced) != 1 {
					b.Fatalf("placed what is larger than a node: %+v", got.Assignments)
				}
			}
		})
	}
}

// BenchmarkPlan_OneByOne places the same trace a request at a time, in the order
// of arrival, as a cluster does in daily life: the loss of packing beside the
// whole trace at once is what not knowing the future costs.
func BenchmarkPlan_OneByOne(b *testing.B) {
	const replicas, nodes = 100_000, 1_000
	requests := trace(replicas, nodes, 0.8)
	for b.Loop() {
		c, used := New(), map[NodeID]bool{}
		for _, n := range traceNodes(nodes) {
			c.UpsertNode(n)
		}
		for i := range requests {
			for j, a := range c.Plan(requests[i : i+1]).Assignments {
				used[a.Node] = true
				c.Place(Placed{Replica: ReplicaID(fmt.Sprintf("%d-%d", i, j)), Workload: a.Workload, Node: a.Node, Reservation: requests[i].Reservation, Port: a.Port, Index: uint64(i)})
			}
		}
		bound := lowerBound(requests)
		b.ReportMetric(100*float64(len(used)-bound)/float64(bound), "%over-bound")
	}
	b.ReportMetric(float64(replicas*b.N)/b.Elapsed().Seconds(), "replicas/s")
}

// BenchmarkPlan_SingleReplicas is the worst case for an index per request: as
// many workloads as replicas.
func BenchmarkPlan_SingleReplicas(b *testing.B) {
	for _, size := range []struct{ replicas, nodes int }{{100_000, 1_000}, {1_000_000, 10_000}} {
		b.Run(fmt.Sprintf("replicas=%d/nodes=%d", size.replicas, size.nodes), func(b *testing.B) {
			in := Input{Nodes: traceNodes(size.nodes), Requests: singles(trace(size.replicas, size.nodes, 0.9))}
			for b.Loop() {
				if got := Plan(in); len(got.Assignments) != size.replicas {
					b.Fatalf("placed %d of %d", len(got.Assignments), size.replicas)
				}
			}
			b.ReportMetric(float64(size.replicas*b.N)/b.Elapsed().Seconds(), "replicas/s")
		})
	}
}

// singles makes a workload of each replica.
func singles(requests []Request) []Request {
	var list []Request
	for _, r := range requests {
		for i := range r.Count {
			single := r
			single.Workload, single.Count = WorkloadID(fmt.Sprintf("%s-%d", r.Workload, i)), 1
			list = append(list, single)
		}
	}
	return list
}

// BenchmarkCluster_PlaceRemove is one replica's difference.
func BenchmarkCluster_PlaceRemove(b *testing.B) {
	for _, size := range benchSizes {
		b.Run(fmt.Sprintf("replicas=%d/nodes=%d", size.replicas, size.nodes), func(b *testing.B) {
			c := benchCluster(b, size.replicas, size.nodes, 0.8)
			p := Placed{Replica: "new", Workload: "web", Node: "node-00007", Reservation: Resources{CPU: 100, Memory: gib / 2}, Port: 29999, Index: 1 << 40}
			for b.Loop() {
				c.Place(p)
				c.Remove(p.Replica)
			}
		})
	}
}
