package scheduler

import (
	"cmp"
	"container/heap"
	"slices"
)

// rankedCell is a cell with its score for the request at hand.
type rankedCell struct {
	*cell
	score int
}

// rank sorts the cells in which the request may look, best first.
func (p *planner) rank(r *Request) {
	p.ranked = p.ranked[:0]
	shape := shape(r.Reservation, p.cluster.total(r.Region))
	for region, g := range p.cluster.grids {
		if r.Region != "" && region != r.Region {
			continue
		}
		for i := range g.cells {
			if len(g.cells[i].nodes) > 0 {
				p.ranked = append(p.ranked, rankedCell{&g.cells[i], score(i, shape, g.even)})
			}
		}
	}
	slices.SortFunc(p.ranked, func(a, b rankedCell) int { return cmp.Compare(b.score, a.score) })
}

// fill places replicas, best cells first, on nodes that hold fewer than limit of
// the workload. It returns how many are left over.
func (p *planner) fill(r *Request, limit, left int) int {
	for cells := p.ranked; len(cells) > 0 && left > 0; {
		tier := 1
		for tier < len(cells) && cells[tier].score == cells[0].score {
			tier++
		}
		p.gather(r, cells[:tier], limit, left)
		left = p.distribute(r, limit, left)
		cells = cells[tier:]
	}
	return left
}

// distribute hands replicas to the gathered candidates in turn.
func (p *planner) distribute(r *Request, limit, left int) int {
	heap.Init(&p.candidates)
	for left > 0 && len(p.candidates) > 0 {
		best := &p.candidates[0]
		p.assign(best.node, r)
		best.holds++
		left--
		if best.holds < limit && p.cluster.fits(best.node, r) {
			heap.Fix(&p.candidates, 0)
		} else {
			heap.Pop(&p.candidates)
		}
	}
	return left
}

func (p *planner) assign(n *node, r *Request) {
	port := 0
	if r.NeedsPort {
		port = n.ports.next()
	}
	n.reserve(r.Reservation)
	p.cluster.count(r.Workload, n, 1)
	p.decisions = append(p.decisions, decision{n, port})
}

// gather collects the nodes of equally good cells that can take a replica; of
// each cell only as many as can be of use.
func (p *planner) gather(r *Request, cells []rankedCell, limit, left int) {
	p.candidates = p.candidates[:0]
	holds := p.cluster.spread[r.Workload]
	for _, c := range cells {
		if !r.Reservation.within(c.ceiling) {
			continue
		}
		if c.score == emptyScore {
			p.gatherEmpty(r, c.cell, holds, limit, left)
			continue
		}
		p.gatherUsed(r, c.cell, holds, limit, left)
	}
}

// gatherUsed stops after as many nodes without the workload as there are replicas
// left: a later one could not be chosen.
func (p *planner) gatherUsed(r *Request, c *cell, holds map[*node]int, limit, left int) {
	anyFits := false
	for _, n := range c.nodes {
		if !r.Reservation.within(n.room()) || !p.cluster.fits(n, r) {
			continue // most have no room: that is asked first, as it is cheap
		}
		anyFits = true
		held := holds[n]
		if held >= limit {
			continue
		}
		p.candidates = append(p.candidates, candidate{n, held})
		if held == 0 {
			if left--; left == 0 {
				return
			}
		}
	}
	if !anyFits {
		c.lower()
	}
}

// gatherEmpty opens no more empty nodes than it takes to hold the replicas left.
func (p *planner) gatherEmpty(r *Request, c *cell, holds map[*node]int, limit, left int) {
	for _, n := range c.nodes {
		if left <= 0 {
			return
		}
		held := holds[n]
		if held >= limit || !p.cluster.fits(n, r) {
			continue
		}
		p.candidates = append(p.candidates, candidate{n, held})
		left -= n.takes(r, min(limit-held, left))
	}
}

// candidate is a node that can take one more replica of the request at hand.
type candidate struct {
	node *node
	// holds is how many replicas of the workload it has.
	holds int
}

// candidates is a heap: fewest of the workload first, then by region and ID.
type candidates []candidate

// heap.Interface

func (h candidates) Len() int { return len(h) }

func (h candidates) Less(i, j int) bool {
	a, b := h[i], h[j]
	if a.holds != b.holds {
		return a.holds < b.holds
	}
	return cmp.Or(cmp.Compare(a.node.Region, b.node.Region), cmp.Compare(a.node.ID, b.node.ID)) < 0
}

func (h candidates) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *candidates) Push(x any) { *h = append(*h, x.(candidate)) }

func (h *candidates) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
