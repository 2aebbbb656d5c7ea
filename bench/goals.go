package main

import "time"

// goal is what a figure should be at most. A run with -check fails only when it is
// missed by more than the tolerance.
type goal struct {
	most      float64
	tolerance float64 // as a share of most
	why       string  // of the tolerance
}

// exceeded tells whether a value misses the goal.
func (g goal) exceeded(value float64) bool { return g.most != 0 && value > g.most }

// broken tells whether it misses the goal by more than noise explains.
func (g goal) broken(value float64) bool { return g.exceeded(value) && value > g.most*(1+g.tolerance) }

// The goals. Times are in seconds, amounts of memory in bytes.
var (
	goalDeploy = goal{0.20, 0.25, "the floor alone moves by a quarter between two runs on a shared machine"}
	goalBurst  = goal{3.5, 0.25, "as for one deployment"}

	goalCoordinator = goal{35 * mega, 0.15, "the heap doubles between two collections, and a run ends at any point between"}
	goalAgent       = goal{25 * mega, 0.15, "as for the coordinator"}
	goalIngress     = goal{45 * mega, 0.15, "as for the coordinator"}
	goalTogether    = goal{160 * mega, 0.10, "shared pages of the binary count by who else maps them"}
	goalPerReplica  = goal{0.5 * mega, 0.25, "a difference of two measurements of a garbage-collected heap"}

	goalPacking = goal{10, 0.10, "one core of a shared machine"}
	goalDensity = goal{1.02, 0, "packing is a pure function: there is no noise"}
)

const (
	mega = 1_000_000
	// settle is how long processes get to come to rest before their memory counts.
	settle = 5 * time.Second
)
