package scheduler

import (
	"maps"
	"slices"
)

// notIndexed is the cell of a node that gets no new replicas.
const notIndexed = -1

// node is the packing state of one node: what is reserved on it and where the
// index keeps it.
type node struct {
	Node
	// known is false while only replicas speak of the node, not the node itself.
	known    bool
	replicas map[ReplicaID]Placed
	// used and load count the reservations, those of the plan in work too.
	used  Resources
	load  int
	ports portSet
	// newestIndex and newestPort are of the last placement that got a port.
	newestIndex uint64
	newestPort  int
	cell        int
	// opened is set while a plan counts the empty node as one in use; see widen.
	opened bool
}

func newNode(id NodeID) *node {
	return &node{Node: Node{ID: id}, replicas: map[ReplicaID]Placed{}, cell: notIndexed}
}

// describe takes over what is reported of the node.
func (n *node) describe(spec Node) {
	spec.Labels = maps.Clone(spec.Labels)
	spec.QuarantinedPorts = slices.Clone(spec.QuarantinedPorts)
	spec.Allocatable = spec.Allocatable.asAllocatable()
	n.Node, n.known = spec, true
	n.rebuildPorts()
}

// rebuildPorts starts from the range: it, or the quarantine, may have changed.
func (n *node) rebuildPorts() {
	n.ports = newPortSet(n.PortFirst, n.PortLast)
	for _, port := range n.QuarantinedPorts {
		n.ports.take(port)
	}
	for _, p := range n.replicas {
		n.ports.take(p.Port)
	}
	n.ports.seek(n.newestPort)
}

func (n *node) add(p Placed) {
	n.replicas[p.Replica] = p
	n.reserve(p.Reservation)
	if p.Port == 0 {
		return
	}
	n.ports.take(p.Port)
	if p.Index > n.newestIndex || p.Index == n.newestIndex && p.Port > n.newestPort {
		n.newestIndex, n.newestPort = p.Index, p.Port
		n.ports.seek(p.Port)
	}
}

func (n *node) drop(p Placed) {
	delete(n.replicas, p.Replica)
	n.unreserve(p.Reservation)
	if p.Port != 0 && !n.holds(p.Port) {
		n.ports.release(p.Port)
	}
}

// holds reports whether the port stays occupied whatever was just removed.
func (n *node) holds(port int) bool {
	if slices.Contains(n.QuarantinedPorts, port) {
		return true
	}
	for _, p := range n.replicas {
		if p.Port == port {
			return true
		}
	}
	return false
}

func (n *node) reserve(r Resources) {
	n.used = n.used.plus(r)
	n.load++
}

func (n *node) unreserve(r Resources) {
	n.used = n.used.minus(r)
	n.load--
}

// room is what is left; negative where a node shrank below its reservations.
func (n *node) room() Resources { return n.Allocatable.minus(n.used) }

// takes is how many replicas of the request there is room for, at most limit.
func (n *node) takes(r *Request, limit int) int {
	if r.NeedsPort {
		limit = min(limit, n.ports.free)
	}
	return r.Reservation.times(n.room(), limit)
}

// schedulable nodes are kept in the index.
func (n *node) schedulable() bool { return n.known && n.Ready && !n.Cordoned }
