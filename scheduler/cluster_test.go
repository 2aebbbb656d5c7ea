package scheduler

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

var whole1 = Resources{CPU: 1000, Memory: 1000}

func unplacedCount(c *Cluster, r Request) int {
	count := 0
	for _, u := range c.Plan([]Request{r}).Unplaced {
		count += u.Count
	}
	return count
}

func TestCluster_Differences(t *testing.T) {
	t.Parallel()
	full := func(c *Cluster) {
		c.UpsertNode(testNode("a"))
		c.Place(placed("1", "other", "a", whole1))
	}
	for _, tt := range []struct {
		name         string
		do           func(*Cluster)
		wantUnplaced int
	}{
		{"a full node takes nothing", full, 1},
		{"a removed replica gives its room back", func(c *Cluster) { full(c); c.Remove("1") }, 0},
		{"an unknown replica gives none", func(c *Cluster) { full(c); c.Remove("2") }, 1},
		{"removing twice gives back once", func(c *Cluster) { full(c); c.Place(placed("2", "other", "a", whole1)); c.Remove("1"); c.Remove("1") }, 1},
		{"placing again replaces the reservation", func(c *Cluster) { full(c); c.Place(placed("1", "other", "a", size1)) }, 0},
		{"placing elsewhere moves it", func(c *Cluster) { full(c); c.Place(placed("1", "other", "b", whole1)) }, 0},
		{"a grown node has room", func(c *Cluster) {
			full(c)
			c.UpsertNode(testNode("a", func(n *Node) { n.Allocatable = Resources{CPU: 2000, Memory: 2000} }))
		}, 0},
		{"a node that shrank below its reservations takes nothing", func(c *Cluster) {
			full(c)
			c.UpsertNode(testNode("a", func(n *Node) { n.Allocatable = Resources{CPU: 10, Memory: 10} }))
		}, 1},
		{"a node that moved counts in its new region", func(c *Cluster) {
			c.UpsertNode(testNode("a"))
			c.UpsertNode(testNode("a", func(n *Node) { n.Region = "us" }))
		}, 1},
		{"a cordoned node takes nothing", func(c *Cluster) {
			c.UpsertNode(testNode("a"))
			c.UpsertNode(testNode("a", func(n *Node) { n.Cordoned = true }))
		}, 1},
		{"an uncordoned one does again", func(c *Cluster) {
			c.UpsertNode(testNode("a", func(n *Node) { n.Cordoned = true }))
			c.UpsertNode(testNode("a"))
		}, 0},
		{"a removed node takes nothing", func(c *Cluster) { c.UpsertNode(testNode("a")); c.RemoveNode("a") }, 1},
		{"a node that comes back still has its replicas", func(c *Cluster) { full(c); c.RemoveNode("a"); c.UpsertNode(testNode("a")) }, 1},
		{"removing an unknown node changes nothing", func(c *Cluster) { c.UpsertNode(testNode("a")); c.RemoveNode("b") }, 0},
		{"a replica may be placed before its node is described", func(c *Cluster) {
			c.Place(placed("1", "other", "a", whole1))
			c.UpsertNode(testNode("a"))
		}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := New()
			tt.do(c)
			if got := unplacedCount(c, request("web", 1, size1)); got != tt.wantUnplaced {
				t.Errorf("unplaced = %d, want %d", got, tt.wantUnplaced)
			}
		})
	}
}

// What has gone must leave nothing behind, or a long-lived cluster grows.
func TestCluster_ForgetsWhatIsGone(t *testing.T) {
	t.Parallel()
	c := New()
	c.UpsertNode(testNode("a"))
	c.Place(placed("1", "web", "a", size1))
	c.Place(placed("2", "web", "never-described", size1))
	c.Plan([]Request{request("api", 2, size1)})
	c.RemoveNode("a")
	c.Remove("1")
	c.Remove("2")
	got := []int{len(c.nodes), len(c.grids), len(c.where), len(c.spread)}
	if diff := cmp.Diff([]int{0, 0, 0, 0}, got); diff != "" {
		t.Errorf("nodes, grids, replicas, workloads left (-want +got):\n%s", diff)
	}
}

// The caller may go on changing what it passed.
func TestCluster_KeepsItsOwnCopy(t *testing.T) {
	t.Parallel()
	n := testNode("a", func(n *Node) { n.QuarantinedPorts = []int{20000} })
	c := New()
	c.UpsertNode(n)
	n.Labels["disk"], n.QuarantinedPorts[0] = "hdd", 1
	r := request("web", 1, size1)
	r.Constraints = map[string]string{"disk": "ssd"}
	if got := unplacedCount(c, r); got != 0 {
		t.Errorf("unplaced = %d, want 0: a change of the passed labels reached the cluster", got)
	}
}
