package runwayv1

import "time"

// LatencyBounds returns the upper bounds of WorkloadStats.latency, in ascending
// order: each about double the one before, from what a local answer takes to
// what a request timeout allows. The last count of the message has no bound.
func LatencyBounds() []time.Duration {
	return []time.Duration{
		time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
		10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2 * time.Second, 5 * time.Second,
		10 * time.Second, 30 * time.Second, 60 * time.Second,
	}
}
