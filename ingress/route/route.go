// Package route decides which replica answers a request: it holds the immutable
// table of names, workloads and replicas, swaps it atomically, and counts what is
// in flight at each replica. It knows no network, no clock and no wire format.
package route

import (
	"net/netip"
	"time"
)

// Limits on what a table takes. A set beyond them is refused, in part or whole,
// and never ends the process; the coordinator keeps the same numbers.
const (
	// MaxRoutes bounds the workloads of a table: 100,000 routes are about 100 MB.
	MaxRoutes = 100_000
	// MaxHosts bounds the names of one workload in one scope.
	MaxHosts = 100
	// MaxEndpoints bounds the replicas of one workload.
	MaxEndpoints = 5_000
)

// ReplicaID names a replica. It is never reused.
type ReplicaID string

// Key names a workload: one service of a space in one environment.
type Key struct {
	Space, Service, Environment string
}

// Protocol is what the replicas of a workload speak.
type Protocol uint8

// Protocols of replicas.
const (
	HTTP1 Protocol = iota
	// H2C is HTTP/2 without TLS, which gRPC back ends speak.
	H2C
)

// Scope tells from where a name can be reached. The names of one scope are
// never served in the other.
type Scope uint8

// Scopes of names.
const (
	Public Scope = iota
	Internal
	scopes
)

// String returns the scope in one word.
func (s Scope) String() string {
	if s == Internal {
		return "internal"
	}
	return "public"
}

// Workload is a route as it is desired.
type Workload struct {
	Key           Key
	Hosts         []string
	InternalHosts []string
	Protocol      Protocol
	// RequestTimeout bounds the wait for response headers; 0 means no bound.
	RequestTimeout time.Duration
	// BodyLimit bounds a request body in bytes; 0 means no bound.
	BodyLimit int64
	Endpoints []Endpoint
	// Vacant says that there is a reason for having no endpoint.
	Vacant bool
}

// Endpoint is a ready replica as the ingress reaches it.
type Endpoint struct {
	Replica  ReplicaID
	Address  netip.AddrPort
	Revision uint64
	// DrainTimeout is how long requests may go on without a route; 0 is not known.
	DrainTimeout time.Duration
}

// Set is a full set of routes, or what changed since an older one.
type Set struct {
	// Incarnation and Generation order sets; generations of different
	// incarnations are never compared.
	Incarnation string
	Generation  uint64
	// Force says that it is meant if most routes go with this set.
	Force bool
	// Withdrawn are workloads that have no route for a reason.
	Withdrawn []Key
	// At is when the set came; replicas that it adds are new since then.
	At time.Time
	// Full says that what is not in Workloads has no route.
	Full      bool
	Workloads []Workload
	Removed   []Key
}

// Problem is a part of a set that was refused. The rest of its workload applies,
// so that a bad name never pins replicas that are about to stop.
type Problem struct {
	Key Key
	// Host is the refused name; empty when it is not about a name.
	Host   string
	Reason string
}

// Route is a workload in a table. It is immutable.
type Route struct {
	Workload
	targets []*Target
}

// Target is an endpoint in a table together with its load. It is immutable but
// for the load, which all tables share.
type Target struct {
	Endpoint
	// Dial is Address as a string, made once.
	Dial string
	load *load
}

// InFlight returns the number of requests at the replica now.
func (t *Target) InFlight() int64 { return t.load.inFlight.Load() }

// Routed tells whether the present table has the replica.
func (t *Target) Routed() bool { return !t.load.unrouted.Load() }
