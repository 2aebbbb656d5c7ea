package scheduler

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ports plans count replicas and lists the ports they get.
func ports(c *Cluster, count int) []int {
	var list []int
	for _, a := range c.Plan([]Request{{Workload: "web", Count: count, NeedsPort: true}}).Assignments {
		list = append(list, a.Port)
	}
	return list
}

func TestPlan_Ports(t *testing.T) {
	t.Parallel()
	on := func(port int, index uint64) Placed {
		return Placed{Replica: ReplicaID(rune('a' + port - 20000)), Workload: "other", Node: "a", Port: port, Index: index}
	}
	for _, tt := range []struct {
		name        string
		quarantined []int
		placed      []Placed
		remove      []ReplicaID
		count       int
		want        []int
	}{
		{name: "lowest first", count: 2, want: []int{20000, 20001}},
		{name: "never more than there are", count: 5, want: []int{20000, 20001, 20002, 20003}},
		{name: "behind the newest, then round", placed: []Placed{on(20001, 5), on(20002, 3)}, count: 2, want: []int{20003, 20000}},
		{name: "newest of one command is the highest port", placed: []Placed{on(20002, 5), on(20001, 5)}, count: 1, want: []int{20003}},
		{name: "round at the end of the range", placed: []Placed{on(20003, 5)}, count: 1, want: []int{20000}},
		{name: "not a quarantined one", quarantined: []int{20000, 20002}, count: 3, want: []int{20001, 20003}},
		{name: "one just given back is used last", placed: []Placed{on(20000, 1)}, remove: []ReplicaID{"a"}, count: 4, want: []int{20001, 20002, 20003, 20000}},
		{name: "one given back in quarantine stays there", quarantined: []int{20000}, placed: []Placed{on(20000, 1)}, remove: []ReplicaID{"a"}, count: 4, want: []int{20001, 20002, 20003}},
		{name: "one held outside the range takes none from it", placed: []Placed{on(20009, 1)}, count: 4, want: []int{20000, 20001, 20002, 20003}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := New()
			c.UpsertNode(testNode("a", func(n *Node) { n.QuarantinedPorts = tt.quarantined }))
			for _, p := range tt.placed {
				c.Place(p)
			}
			for _, id := range tt.remove {
				c.Remove(id)
			}
			if diff := cmp.Diff(tt.want, ports(c, tt.count)); diff != "" {
				t.Errorf("ports of %d replicas beside %+v (-want +got):\n%s", tt.count, tt.placed, diff)
			}
		})
	}
}

func TestCluster_PortHeldTwiceIsFreeAfterBothAreGone(t *testing.T) {
	t.Parallel()
	c := New()
	c.UpsertNode(testNode("a", func(n *Node) { n.PortLast = n.PortFirst }))
	c.Place(Placed{Replica: "1", Node: "a", Port: 20000})
	c.Place(Placed{Replica: "2", Node: "a", Port: 20000})
	c.Remove("1")
	if got := ports(c, 1); got != nil {
		t.Errorf("ports = %v while a replica holds the only one", got)
	}
	c.Remove("2")
	if diff := cmp.Diff([]int{20000}, ports(c, 1)); diff != "" {
		t.Errorf("ports after both are gone (-want +got):\n%s", diff)
	}
}

func TestCluster_QuarantineEndsWithUpsert(t *testing.T) {
	t.Parallel()
	c := New()
	c.UpsertNode(testNode("a", func(n *Node) { n.PortLast, n.QuarantinedPorts = 20000, []int{20000} }))
	if got := ports(c, 1); got != nil {
		t.Errorf("ports = %v, want none: the only one is in quarantine", got)
	}
	c.UpsertNode(testNode("a", func(n *Node) { n.PortLast = 20000 }))
	if diff := cmp.Diff([]int{20000}, ports(c, 1)); diff != "" {
		t.Errorf("ports after quarantine (-want +got):\n%s", diff)
	}
}

// A range as large as the default crosses words of the bit map.
func TestPortSet_HandsOutWholeRangeOnce(t *testing.T) {
	t.Parallel()
	set := newPortSet(20000, 29999)
	set.seek(25000)
	for i := range 10_000 {
		want := 20000 + (5001+i)%10_000
		if got := set.next(); got != want {
			t.Fatalf("port %d in turn = %d, want %d", i, got, want)
		}
	}
	if got := set.next(); got != 0 {
		t.Errorf("port of an exhausted set = %d, want 0", got)
	}
}
