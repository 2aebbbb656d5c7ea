package scheduler

import (
	"cmp"
	"slices"
)

const (
	// maxShareOfNode: a node is to hold no more than one in so many replicas of
	// a workload while others can take them, so that its loss leaves two thirds.
	maxShareOfNode = 3
	// maxCount bounds what is believed of a request's count.
	maxCount = 1 << 24
)

// Plan answers one input from scratch.
func Plan(in Input) Result {
	c := New()
	for _, n := range in.Nodes {
		c.UpsertNode(n)
	}
	for _, p := range in.Placed {
		c.Place(p)
	}
	return c.Plan(in.Requests)
}

// Plan gives every replica asked for a node, as far as they fit. It leaves the
// cluster as it was: what the caller goes on to commit comes back through Place.
// A count or an amount below zero counts as zero. The requests of one call are
// planned together; each sees what the others take.
func (c *Cluster) Plan(requests []Request) Result {
	p := &planner{cluster: c, ends: make([][2]int, len(requests))}
	var unplaced []Unplaced
	p.widen(requests)
	for _, i := range order(requests, c.total("")) {
		r := requests[i]
		r.Reservation = r.Reservation.asReservation()
		r.Count = replicaCount(&r)
		if left := p.place(i, &r); left > 0 {
			unplaced = append(unplaced, Unplaced{Request: i, Workload: r.Workload, Count: left, Explain: c.explain(&r)})
		}
	}
	slices.SortFunc(unplaced, func(a, b Unplaced) int { return cmp.Compare(a.Request, b.Request) })
	result := Result{Assignments: p.assignments(requests), Unplaced: unplaced}
	p.undo(requests)
	return result
}

// replicaCount is the count of a request in bounds.
func replicaCount(r *Request) int { return min(max(r.Count, 0), maxCount) }

// total is the allocatable sum of the schedulable nodes of a region, or of all.
func (c *Cluster) total(region string) Resources {
	if region != "" {
		if g := c.grids[region]; g != nil {
			return g.total
		}
		return Resources{}
	}
	var sum Resources
	for _, g := range c.grids {
		sum = sum.plus(g.total)
	}
	return sum
}

// planner is one Plan in work. Its decisions are reserved in the cluster, so that
// each request sees those before it, and taken back at the end.
type planner struct {
	cluster   *Cluster
	decisions []decision
	// ends are the first and last+1 decision of each request.
	ends [][2]int
	// opened are the empty nodes that the plan counts as in use from its start.
	opened []*node
	// The rest is scratch space of the request at hand.
	ranked     []rankedCell
	candidates candidates
}

type decision struct {
	node *node
	port int
}

// place puts as many replicas of the request as fit and returns the remainder.
// Nodes are ranked once per request, so that its own replicas do not make the
// first node chosen the best for all that follow. The limit per node doubles
// until all are placed or nothing more fits.
func (p *planner) place(index int, r *Request) (left int) {
	first := len(p.decisions)
	p.rank(r)
	left = r.Count
	all := p.existing(r) + r.Count
	for limit := fairShare(all); left > 0; limit *= 2 {
		left = p.fill(r, limit, left)
		if limit >= all {
			break
		}
	}
	p.ends[index] = [2]int{first, len(p.decisions)}
	for _, d := range p.decisions[first:] {
		p.cluster.reindex(d.node)
	}
	return left
}

// fairShare is how many replicas of a workload a node may hold before every other
// node that fits is preferred, even an empty one.
func fairShare(replicas int) int { return max(replicas/maxShareOfNode, 1) }

// existing counts the workload's replicas on nodes that could get more of them;
// those on a lost or drained node are about to be replaced.
func (p *planner) existing(r *Request) int {
	sum := 0
	for n, count := range p.cluster.spread[r.Workload] {
		if n.cell != notIndexed && (r.Region == "" || n.Region == r.Region) {
			sum += count
		}
	}
	return sum
}

// assignments lists the decisions by request.
func (p *planner) assignments(requests []Request) []Assignment {
	if len(p.decisions) == 0 {
		return nil
	}
	list := make([]Assignment, 0, len(p.decisions))
	for i := range requests {
		for _, d := range p.decisions[p.ends[i][0]:p.ends[i][1]] {
			list = append(list, Assignment{Request: i, Workload: requests[i].Workload, Node: d.node.ID, Port: d.port})
		}
	}
	return list
}

// undo takes the decisions out of the cluster again.
func (p *planner) undo(requests []Request) {
	for i := range requests {
		for _, d := range p.decisions[p.ends[i][0]:p.ends[i][1]] {
			d.node.unreserve(requests[i].Reservation.asReservation())
			p.cluster.count(requests[i].Workload, d.node, -1)
			d.node.ports.release(d.port)
			d.node.ports.seek(d.node.newestPort)
		}
	}
	for _, d := range p.decisions {
		p.cluster.reindex(d.node)
	}
	p.narrow()
}
