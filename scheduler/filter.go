package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// filter is one rule on whether a node can run a replica of a request.
type filter struct {
	name    string
	rejects func(*node, *Request) bool
	// explain says how many nodes it turned away: "4 short of memory".
	explain func(nodes int, r *Request) string
	// advise says what an operator can do about it.
	advise func(r *Request) string
}

// FilterPorts is the name of the filter of node ports, in a Reason.
const FilterPorts = "ports"

// filters returns the rules in the order in which they are asked. A node counts
// for the first that turns it away, so the order is from "never runs anything
// now" over "not meant for this workload" to "has no room": the last ones are
// what an operator can most often do something about.
func filters() []filter {
	return []filter{
		{"ready", func(n *node, _ *Request) bool { return !n.Ready },
			say("not ready"), advice("bring a node back or add one")},
		{"cordoned", func(n *node, _ *Request) bool { return n.Cordoned },
			say("cordoned"), advice("uncordon a node or add one")},
		{"region", func(n *node, r *Request) bool { return r.Region != "" && n.Region != r.Region },
			func(nodes int, r *Request) string { return fmt.Sprintf("%d outside region %s", nodes, r.Region) },
			func(r *Request) string { return "add a node to region " + r.Region }},
		{"pool", func(n *node, r *Request) bool { return r.Pool != "" && n.Pool != r.Pool },
			func(nodes int, r *Request) string { return fmt.Sprintf("%d outside pool %s", nodes, r.Pool) },
			func(r *Request) string { return "add a node to pool " + r.Pool }},
		{"labels", lacksLabel,
			func(nodes int, r *Request) string { return fmt.Sprintf("%d without %s", nodes, labels(r)) },
			func(r *Request) string { return "label a node " + labels(r) + " or drop the constraint" }},
		{"cpu", func(n *node, r *Request) bool { return r.Reservation.CPU > n.Allocatable.CPU-n.used.CPU },
			say("short of CPU"), advice("add a node or lower the CPU reservation")},
		{"memory", func(n *node, r *Request) bool { return r.Reservation.Memory > n.Allocatable.Memory-n.used.Memory },
			say("short of memory"), advice("add a node or lower the memory reservation")},
		{"disk", func(n *node, r *Request) bool { return r.Reservation.Disk > n.Allocatable.Disk-n.used.Disk },
			say("short of disk"), advice("add a node or lower the disk reservation")},
		{FilterPorts, func(n *node, r *Request) bool { return r.NeedsPort && n.ports.free == 0 },
			say("without a free node port"), advice("add a node or widen the range of node ports")},
	}
}

func say(what string) func(int, *Request) string {
	return func(nodes int, _ *Request) string { return fmt.Sprintf("%d %s", nodes, what) }
}

func advice(what string) func(*Request) string {
	return func(*Request) string { return what }
}

func lacksLabel(n *node, r *Request) bool {
	for key, value := range r.Constraints {
		if got, ok := n.Labels[key]; !ok || got != value {
			return true
		}
	}
	return false
}

// labels writes the constraints of a request: "disk=ssd, zone=b".
func labels(r *Request) string {
	pairs := make([]string, 0, len(r.Constraints))
	for _, key := range slices.Sorted(maps.Keys(r.Constraints)) {
		pairs = append(pairs, key+"="+r.Constraints[key])
	}
	return strings.Join(pairs, ", ")
}
