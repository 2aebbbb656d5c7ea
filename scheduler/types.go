// Package scheduler packs replicas onto nodes: it answers which node, and which
// node port, each wanted replica gets, and explains what fits nowhere.
//
// It is pure: standard library only, no clock, no randomness, no logging, no
// I/O. The same input gives the same plan. It decides where, never whether: how
// many replicas are wanted, and what becomes of a lost node, is the caller's.
package scheduler

// NodeID names a node.
type NodeID string

// ReplicaID names a replica.
type ReplicaID string

// WorkloadID names what is spread over nodes together. The scheduler only
// compares it: a caller that passes workload and revision as one ID keeps the
// replicas of an outgoing revision from deciding where the incoming one goes.
type WorkloadID string

// MilliCPU is processor time in thousandths of a core.
type MilliCPU int64

// Bytes is an amount of memory or disk.
type Bytes int64

// Resources is what a node has, or what a replica reserves, in each dimension
// that is packed.
type Resources struct {
	CPU    MilliCPU
	Memory Bytes
	Disk   Bytes
}

// Node is what the scheduler has to know of a node.
type Node struct {
	ID     NodeID
	Region string
	Pool   string
	Labels map[string]string
	// Allocatable is the capacity less what the system needs.
	Allocatable Resources
	// Ready is false when the node is down, joining or otherwise unable to run
	// a new replica.
	Ready bool
	// Cordoned nodes keep what they run and get nothing new; so do drained ones.
	Cordoned bool
	// PortFirst and PortLast bound the node ports, both inclusive; 0 and 0 is
	// no port at all.
	PortFirst, PortLast int
	// QuarantinedPorts must not be handed out: something foreign holds them, or
	// an ingress may still send requests there.
	QuarantinedPorts []int
}

// Placed is a replica that already holds a reservation, running or not.
type Placed struct {
	Replica     ReplicaID
	Workload    WorkloadID
	Node        NodeID
	Reservation Resources
	// Port is its node port; 0 is none.
	Port int
	// Index orders the placements of a node, oldest first: the Raft index at
	// which the replica was made. The next port is looked for behind the newest.
	Index uint64
}

// Request asks for Count more replicas of a workload.
type Request struct {
	Workload WorkloadID
	// Region and Pool limit the choice of nodes; empty is any.
	Region string
	Pool   string
	// Constraints are labels that the node must carry with these values.
	Constraints map[string]string
	Reservation Resources
	NeedsPort   bool
	Count       int
}

// Input is everything that a plan depends on.
type Input struct {
	Nodes    []Node
	Placed   []Placed
	Requests []Request
}

// Result is a plan. Count of a request = its assignments + what is unplaced.
type Result struct {
	// Assignments are ordered by request, then by the order of decision.
	Assignments []Assignment
	// Unplaced is ordered by request and holds only requests with a remainder.
	Unplaced []Unplaced
}

// Assignment gives one replica of a request its node.
type Assignment struct {
	// Request is the index of the request in the input.
	Request  int
	Workload WorkloadID
	Node     NodeID
	// Port is the node port; 0 when the request needs none.
	Port int
}

// Unplaced is the part of a request that fits on no node.
type Unplaced struct {
	// Request is the index of the request in the input.
	Request  int
	Workload WorkloadID
	// Count of replicas without a node.
	Count int
	// Explain says for every node why not; its counts add up to all nodes.
	Explain []Reason
}

// Reason is one filter's part in an explanation.
type Reason struct {
	// Filter that turned the nodes away; stable, for machines.
	Filter string
	// Nodes that it turned away and no earlier filter did.
	Nodes int
	// Sentence says it to people: "4 short of memory".
	Sentence string
	// Advice is what an operator can do about it.
	Advice string
}
