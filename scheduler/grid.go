package scheduler

import (
	"cmp"
	"slices"
)

// grid is the index of one region: its schedulable nodes by cell.
type grid struct {
	cells [cellCount]cell
	nodes int
	total Resources
	// even is set while a plan fills all nodes of the region side by side; see
	// widen.
	even bool
}

// cell holds nodes that are equally good for any one request.
type cell struct {
	nodes []*node // by ID
	// ceiling is at least the room of every node in each dimension, so that a
	// cell of full nodes is passed over without a look at them. Inserting raises
	// it; a look at all nodes that found no fit lowers it to what was seen.
	ceiling Resources
}

func byID(a, b *node) int { return cmp.Compare(a.ID, b.ID) }

func (g *grid) insert(n *node) {
	n.cell = cellOf(n)
	g.cells[n.cell].insert(n)
	g.nodes++
	g.total = g.total.plus(n.Allocatable)
}

func (g *grid) remove(n *node) {
	g.cells[n.cell].remove(n)
	n.cell = notIndexed
	g.nodes--
	g.total = g.total.minus(n.Allocatable)
}

// move puts the node where its present reservations belong.
func (g *grid) move(n *node) {
	to := cellOf(n)
	if to == n.cell {
		g.cells[to].raise(n)
		return
	}
	g.cells[n.cell].remove(n)
	g.cells[to].insert(n)
	n.cell = to
}

func (c *cell) insert(n *node) {
	at, _ := slices.BinarySearchFunc(c.nodes, n, byID)
	c.nodes = slices.Insert(c.nodes, at, n)
	c.raise(n)
}

func (c *cell) remove(n *node) {
	at, _ := slices.BinarySearchFunc(c.nodes, n, byID)
	c.nodes = slices.Delete(c.nodes, at, at+1)
	if len(c.nodes) == 0 {
		c.ceiling = Resources{}
	}
}

func (c *cell) raise(n *node) { c.ceiling = c.ceiling.max(n.room()) }

// lower sets the ceiling to the room that there is.
func (c *cell) lower() {
	c.ceiling = Resources{}
	for _, n := range c.nodes {
		c.raise(n)
	}
}
