package scheduler

// Cluster is the packing state: nodes and what is reserved on them, kept in an
// index by score. It is built once and then told the differences; each costs the
// one node it is about. The differences may come in any order: a replica may be
// placed on a node that is described later.
//
// A Cluster must not be used by several goroutines at once.
type Cluster struct {
	filters []filter
	nodes   map[NodeID]*node
	grids   map[string]*grid
	where   map[ReplicaID]*node
	// spread counts the replicas of a workload per node, those of the plan in
	// work too.
	spread map[WorkloadID]map[*node]int
}

// New returns an empty cluster.
func New() *Cluster {
	return &Cluster{
		filters: filters(),
		nodes:   map[NodeID]*node{},
		grids:   map[string]*grid{},
		where:   map[ReplicaID]*node{},
		spread:  map[WorkloadID]map[*node]int{},
	}
}

// UpsertNode adds a node or takes over its changed description; what is placed
// on it stays. Amounts below zero count as zero.
func (c *Cluster) UpsertNode(spec Node) {
	n := c.node(spec.ID)
	c.unindex(n)
	n.describe(spec)
	c.index(n)
}

// RemoveNode forgets the description of a node, so that nothing more is placed
// there. What is placed on it counts until it is removed. An unknown node is no
// error.
func (c *Cluster) RemoveNode(id NodeID) {
	n, ok := c.nodes[id]
	if !ok {
		return
	}
	c.unindex(n)
	n.known = false
	c.forgetIfUnused(n)
}

// Place records a replica that holds a reservation. A replica that is already
// placed is moved to what is said now.
func (c *Cluster) Place(p Placed) {
	c.Remove(p.Replica)
	p.Reservation = p.Reservation.asReservation()
	n := c.node(p.Node)
	n.add(p)
	c.where[p.Replica] = n
	c.count(p.Workload, n, 1)
	c.reindex(n)
}

// Remove gives back what a replica holds. An unknown replica is no error.
func (c *Cluster) Remove(id ReplicaID) {
	n, ok := c.where[id]
	if !ok {
		return
	}
	p := n.replicas[id]
	n.drop(p)
	delete(c.where, id)
	c.count(p.Workload, n, -1)
	c.reindex(n)
	c.forgetIfUnused(n)
}

func (c *Cluster) node(id NodeID) *node {
	n, ok := c.nodes[id]
	if !ok {
		n = newNode(id)
		c.nodes[id] = n
	}
	return n
}

func (c *Cluster) forgetIfUnused(n *node) {
	if !n.known && len(n.replicas) == 0 {
		delete(c.nodes, n.ID)
	}
}

// count changes how many replicas of a workload a node has. Nothing is kept for
// zero, so that what has gone takes no memory.
func (c *Cluster) count(w WorkloadID, n *node, by int) {
	on := c.spread[w]
	if on == nil {
		on = map[*node]int{}
		c.spread[w] = on
	}
	on[n] += by
	if on[n] == 0 {
		delete(on, n)
	}
	if len(on) == 0 {
		delete(c.spread, w)
	}
}

func (c *Cluster) index(n *node) {
	if !n.schedulable() {
		return
	}
	g := c.grids[n.Region]
	if g == nil {
		g = &grid{}
		c.grids[n.Region] = g
	}
	g.insert(n)
}

func (c *Cluster) unindex(n *node) {
	if n.cell == notIndexed {
		return
	}
	g := c.grids[n.Region]
	g.remove(n)
	if g.nodes == 0 {
		delete(c.grids, n.Region)
	}
}

func (c *Cluster) reindex(n *node) {
	if n.cell != notIndexed {
		c.grids[n.Region].move(n)
	}
}
