package main

import "time"

// goal is what a figure should be at most, on a machine with two cores that does
// nothing else. A run with -check fails only when it is missed by more than the
// tolerance, and by more than the machine explains.
type goal struct {
	most      float64
	tolerance float64 // as a share of most
	why       string  // of the tolerance
	// ratio is the goal as a multiple of the floor where it was set, 0 when there is
	// no such floor. Where the parts alone are slower, the platform may be as much
	// slower; what it adds may not grow.
	ratio float64
}

// exceeded tells whether a value misses the goal.
func (g goal) exceeded(value float64) bool { return g.most != 0 && value > g.most }

// broken tells whether it misses the goal by more than noise and machine explain.
func (g goal) broken(value, floor float64) bool {
	limit := g.most
	if g.ratio != 0 && floor != 0 {
		limit = max(limit, g.ratio*floor)
	}
	return g.exceeded(value) && value > limit*(1+g.tolerance)
}

// The floors that the goals were set by, in seconds: one container with the CNI
// bridge, and 40 at once without.
const (
	setByDeploy = 0.083
	setByBurst  = 1.7
)

// The goals. Times are in seconds, amounts of memory in bytes.
var (
	goalDeploy = goal{most: 0.20, ratio: 0.20 / setByDeploy, tolerance: 0.25,
		why: "floor and platform are measured moments apart, and other work on the machine comes and goes"}
	goalBurst = goal{most: 3.5, ratio: 3.5 / setByBurst, tolerance: 0.25, why: "it is measured once"}

	goalCoordinator = goal{most: 35 * mega, tolerance: 0.15, why: "the heap doubles between two collections, and a run ends at any point between"}
	goalAgent       = goal{most: 25 * mega, tolerance: 0.15, why: "as for the coordinator"}
	goalIngress     = goal{most: 45 * mega, tolerance: 0.15, why: "as for the coordinator"}
	goalTogether    = goal{most: 160 * mega, tolerance: 0.10, why: "shared pages of the binary count by who else maps them"}
	goalPerReplica  = goal{most: 0.5 * mega, tolerance: 0.25, why: "a difference of two measurements of a garbage-collected heap"}

	goalPacking = goal{most: 10, tolerance: 0.10, why: "one core of a shared machine"}
	goalDensity = goal{most: 1.02, tolerance: 0, why: "packing is a pure function: there is no noise"}
)

const (
	mega = 1_000_000
	// settle is how long processes get to come to rest before their memory counts.
	settle = 5 * time.Second
)
