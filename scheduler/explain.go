package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Sentence explains to people why replicas have no node and what to do:
//
//	no node fits web (3 replicas pending): 4 short of memory, 1 cordoned; add a node or lower the memory reservation
//
// The name is the caller's word for the workload. The advice is about the last
// filter that turned nodes away, as those nodes came closest.
func (u Unplaced) Sentence(name string) string {
	head := fmt.Sprintf("no node fits %s (%s pending): ", name, replicas(u.Count))
	if len(u.Explain) == 0 {
		return head + "the cluster has no nodes; add a node"
	}
	byNodes := slices.Clone(u.Explain)
	slices.SortStableFunc(byNodes, func(a, b Reason) int { return cmp.Compare(b.Nodes, a.Nodes) })
	parts := make([]string, len(byNodes))
	for i, reason := range byNodes {
		parts[i] = reason.Sentence
	}
	return head + strings.Join(parts, ", ") + "; " + u.Explain[len(u.Explain)-1].Advice
}

func replicas(count int) string {
	if count == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", count)
}

// explain counts every known node under the first filter that turns it away, in
// the order of the filters.
func (c *Cluster) explain(r *Request) []Reason {
	turnedAway := make([]int, len(c.filters))
	for _, n := range c.nodes {
		if !n.known {
			continue
		}
		if at := c.firstRejecting(n, r); at < len(c.filters) {
			turnedAway[at]++
		}
	}
	var reasons []Reason
	for i, f := range c.filters {
		if nodes := turnedAway[i]; nodes > 0 {
			reasons = append(reasons, Reason{Filter: f.name, Nodes: nodes, Sentence: f.explain(nodes, r), Advice: f.advise(r)})
		}
	}
	return reasons
}

// firstRejecting is the position of the first filter against the node;
// len(c.filters) when it can run the replica.
func (c *Cluster) firstRejecting(n *node, r *Request) int {
	for i := range c.filters {
		if c.filters[i].rejects(n, r) {
			return i
		}
	}
	return len(c.filters)
}

func (c *Cluster) fits(n *node, r *Request) bool { return c.firstRejecting(n, r) == len(c.filters) }
