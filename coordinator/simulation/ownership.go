package simulation

// fresh: an ID names one replica for ever.
func (c *checker) fresh(ch change) {
	for _, r := range ch.after.Replicas() {
		if ch.before.Replica(r.GetId()) != nil {
			continue
		}
		if c.used[r.GetId()] {
			c.world.Broken.Add("replica %s is made for the second time", r.GetId())
		}
		c.used[r.GetId()] = true
	}
}

// runs checks the moment at which a process starts: its replica belongs to this
// machine, runs nowhere else, and no other process has its port.
func (c *checker) runs(started *container) {
	id, port := started.row.GetId(), started.row.GetPlan().GetNodePort()
	if owner := started.row.GetPlan().GetNode(); owner != started.node.id {
		c.world.Broken.Add("replica %s of node %s is started on node %s", id, owner, started.node.id)
	}
	for _, n := range c.world.nodes {
		for _, other := range n.all() {
			if other == started || n.off || !other.running() {
				continue
			}
			if other.row.GetId() == id {
				c.world.Broken.Add("replica %s runs on node %s and on node %s", id, n.id, started.node.id)
			}
			if n == started.node && port != 0 && other.row.GetPlan().GetNodePort() == port {
				c.world.Broken.Add("replicas %s and %s run on node %s with port %d", id, other.row.GetId(), n.id, port)
			}
		}
	}
}
