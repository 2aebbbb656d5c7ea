package scheduler

// widen looks ahead: where the requests need more than the nodes in use have
// left, it counts as many empty nodes as in use as they will need in any case,
// and has the region filled evenly. All those nodes will be full at the end. To
// fill them one after the other would leave each with what happened to come just
// then, and CPU or memory that nothing can use; side by side, every replica can
// go where it evens out the two.
func (p *planner) widen(requests []Request) {
	for region, demand := range p.demand(requests) {
		g := p.cluster.grids[region]
		missing := g.beyondRoomInUse(demand)
		g.even = missing != Resources{}
		for _, n := range g.cells[emptyCell].nodes {
			if missing == (Resources{}) {
				break
			}
			missing = missing.minus(n.Allocatable).clamp(maxDemand)
			p.opened = append(p.opened, n)
		}
	}
	for _, n := range p.opened {
		n.opened = true
		p.cluster.reindex(n)
	}
}

// narrow takes widen back.
func (p *planner) narrow() {
	for _, g := range p.cluster.grids {
		g.even = false
	}
	for _, n := range p.opened {
		n.opened = false
		p.cluster.reindex(n)
	}
}

// maxDemand keeps sums of demand from overflowing. It is out of reach of real
// clusters, and all it could upset is a preference.
const maxDemand = 1 << 61

// demand sums up what is asked for in each region that has nodes. Requests for
// any region are not counted: they will find room where the others left it.
func (p *planner) demand(requests []Request) map[string]Resources {
	demand := map[string]Resources{}
	for i := range requests {
		r := &requests[i]
		g := p.cluster.grids[r.Region]
		if g == nil {
			continue
		}
		reservation := r.Reservation.asReservation()
		count := reservation.times(g.total, replicaCount(r))
		demand[r.Region] = demand[r.Region].plus(Resources{
			CPU:    reservation.CPU * MilliCPU(count),
			Memory: reservation.Memory * Bytes(count),
			Disk:   reservation.Disk * Bytes(count),
		}).clamp(maxDemand)
	}
	return demand
}

// beyondRoomInUse is the part of a demand for which the nodes that already run
// something have no room. It stops looking once there is enough.
func (g *grid) beyondRoomInUse(demand Resources) Resources {
	for i := emptyCell + 1; i < len(g.cells); i++ {
		for _, n := range g.cells[i].nodes {
			if demand == (Resources{}) {
				return demand
			}
			demand = demand.minus(n.room().clamp(maxQuantity)).clamp(maxDemand)
		}
	}
	return demand
}
