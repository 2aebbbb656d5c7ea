package scheduler

import (
	"fmt"
	"slices"
)

// check says what is wrong with a plan. It knows the rules from the doc comments
// alone and shares no code with the planner.
func check(in Input, result Result) error {
	k := newChecker(in)
	for _, a := range result.Assignments {
		if err := k.assign(in.Requests[a.Request], a); err != nil {
			return fmt.Errorf("assignment %+v of %+v: %w", a, in.Requests[a.Request], err)
		}
	}
	for _, u := range result.Unplaced {
		if err := k.leave(in.Requests[u.Request], u); err != nil {
			return fmt.Errorf("unplaced %+v of %+v: %w", u, in.Requests[u.Request], err)
		}
	}
	for i, r := range in.Requests {
		if k.answered[i] != max(r.Count, 0) {
			return fmt.Errorf("request %d is for %d replicas, answered %d", i, r.Count, k.answered[i])
		}
	}
	return nil
}

type checker struct {
	nodes    map[NodeID]Node
	free     map[NodeID]Resources
	ports    map[NodeID]map[int]bool // free ones
	answered map[int]int
}

func newChecker(in Input) *checker {
	k := &checker{map[NodeID]Node{}, map[NodeID]Resources{}, map[NodeID]map[int]bool{}, map[int]int{}}
	for _, n := range in.Nodes {
		k.nodes[n.ID], k.free[n.ID], k.ports[n.ID] = n, n.Allocatable, map[int]bool{}
		for port := n.PortFirst; port <= n.PortLast && port > 0; port++ {
			k.ports[n.ID][port] = !slices.Contains(n.QuarantinedPorts, port)
		}
	}
	for _, p := range in.Placed {
		k.take(p.Node, p.Reservation, p.Port)
	}
	return k
}

func (k *checker) take(id NodeID, r Resources, port int) {
	if _, known := k.nodes[id]; !known {
		return
	}
	free := k.free[id]
	free.CPU -= max(r.CPU, 0)
	free.Memory -= max(r.Memory, 0)
	free.Disk -= max(r.Disk, 0)
	k.free[id] = free
	k.ports[id][port] = false
}

func (k *checker) assign(r Request, a Assignment) error {
	n, ok := k.nodes[a.Node]
	switch {
	case !ok:
		return fmt.Errorf("unknown node")
	case !meant(n, r):
		return fmt.Errorf("node %+v is not for it", n)
	case !k.room(n, r):
		return fmt.Errorf("over capacity: %+v left", k.free[a.Node])
	case r.NeedsPort && !k.ports[a.Node][a.Port]:
		return fmt.Errorf("port is not free")
	case !r.NeedsPort && a.Port != 0:
		return fmt.Errorf("port not asked for")
	}
	k.take(a.Node, r.Reservation, a.Port)
	k.answered[a.Request]++
	return nil
}

// leave is asked after all assignments: at the end of the plan.
func (k *checker) leave(r Request, u Unplaced) error {
	for id, n := range k.nodes {
		if meant(n, r) && k.room(n, r) && (!r.NeedsPort || k.anyPort(id)) {
			return fmt.Errorf("fits on %+v with %+v left", n, k.free[id])
		}
	}
	explained := 0
	for _, reason := range u.Explain {
		explained += reason.Nodes
	}
	if explained != len(k.nodes) {
		return fmt.Errorf("explains %d of %d nodes", explained, len(k.nodes))
	}
	k.answered[u.Request] += u.Count
	return nil
}

func (k *checker) anyPort(id NodeID) bool {
	for _, free := range k.ports[id] {
		if free {
			return true
		}
	}
	return false
}

func (k *checker) room(n Node, r Request) bool {
	free := k.free[n.ID]
	return r.Reservation.CPU <= free.CPU && r.Reservation.Memory <= free.Memory && r.Reservation.Disk <= free.Disk
}

func meant(n Node, r Request) bool {
	for key, value := range r.Constraints {
		if got, ok := n.Labels[key]; !ok || got != value {
			return false
		}
	}
	return n.Ready && !n.Cordoned && (r.Region == "" || r.Region == n.Region) && (r.Pool == "" || r.Pool == n.Pool)
}
