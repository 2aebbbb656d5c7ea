package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/runway-platform/runway/scheduler"
)

const (
	packNodes    = 10_000
	packReplicas = 1_000_000
	// packFill leaves a tenth of the nodes spare, so that bad packing shows as more
	// nodes used and not as replicas left over.
	packFill = 0.9
	// increments of three replicas are placed to find the time of one.
	increments = 1000
)

// measureScheduler packs a whole cluster from empty on one core, then one small
// deployment after the other into the full one. The floor of time is next-fit,
// which fills one node after the other and looks at nothing twice; that of density
// is the sum of what is asked for by the size of a node.
func measureScheduler(r *report) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	requests, nodes := trace(packReplicas, packNodes, packFill), traceNodes(packNodes)
	base := timed(func() { nextFit(requests) })
	var result scheduler.Result
	took := timed(func() { result = scheduler.Plan(scheduler.Input{Nodes: nodes, Requests: requests}) })
	placed := float64(len(result.Assignments))
	r.add(row{
		what: "scheduler: 1,000,000 replicas on 10,000 nodes", unit: seconds, goal: goalPacking, measured: took.Seconds(), floor: base.Seconds(),
		detail: []string{fmt.Sprintf("%.0f replicas/s on one core; floor is next-fit", placed/took.Seconds())},
	})
	r.add(row{
		what: "scheduler: nodes used over the lower bound", unit: share, goal: goalDensity,
		measured: float64(nodesUsed(result)) / float64(lowerBound(requests)), floor: 1,
	})
	measureIncrements(r, requests, nodes, result)
}

// measureIncrements places small deployments on the packed cluster, as in daily life.
func measureIncrements(r *report, requests []scheduler.Request, nodes []scheduler.Node, packed scheduler.Result) {
	c := scheduler.New()
	for _, n := range nodes {
		c.UpsertNode(n)
	}
	for i, a := range packed.Assignments {
		c.Place(scheduler.Placed{
			Replica: scheduler.ReplicaID(fmt.Sprint("r-", i)), Workload: a.Workload, Node: a.Node,
			Reservation: requests[a.Request].Reservation, Port: a.Port, Index: uint64(i),
		})
	}
	one := []scheduler.Request{{Workload: "web", Reservation: scheduler.Resources{CPU: 100, Memory: gib / 2}, NeedsPort: true, Count: 3}}
	took := timed(func() {
		for range increments {
			c.Plan(one)
		}
	})
	r.add(row{what: "scheduler: a deployment of 3 on the full cluster", unit: seconds, measured: took.Seconds() / increments})
}

func timed(do func()) time.Duration {
	begin := time.Now()
	do()
	return time.Since(begin)
}
