package scheduler

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The generators draw from few values, so that full nodes, used-up ports and
// equal scores come up all the time.
var (
	amounts  = rapid.Int64Range(0, 6)
	sizes    = rapid.Custom(func(t *rapid.T) Resources { return drawResources(t, amounts) })
	regions  = rapid.SampledFrom([]string{"eu", "us"})
	pools    = rapid.SampledFrom([]string{"general", "gpu"})
	anyOr    = func(g *rapid.Generator[string]) *rapid.Generator[string] { return rapid.OneOf(rapid.Just(""), g, g) }
	labelled = rapid.SampledFrom([]map[string]string{nil, {"disk": "ssd"}, {"disk": "hdd", "zone": "b"}})
	mostly   = rapid.SampledFrom([]bool{true, true, true, false})

	inputs = rapid.Custom(drawInput)
)

func drawResources(t *rapid.T, amount *rapid.Generator[int64]) Resources {
	return Resources{CPU: MilliCPU(amount.Draw(t, "cpu")), Memory: Bytes(amount.Draw(t, "memory")), Disk: Bytes(amount.Draw(t, "disk"))}
}

func drawNode(t *rapid.T, id int) Node {
	first := rapid.IntRange(20000, 20001).Draw(t, "first port")
	return Node{
		ID: NodeID(fmt.Sprintf("n%d", id)), Region: regions.Draw(t, "region"), Pool: pools.Draw(t, "pool"),
		Labels: labelled.Draw(t, "labels"), Allocatable: drawResources(t, rapid.Int64Range(0, 20)),
		Ready: mostly.Draw(t, "ready"), Cordoned: !mostly.Draw(t, "uncordoned"),
		PortFirst: first, PortLast: first + rapid.IntRange(0, 4).Draw(t, "ports"),
		QuarantinedPorts: rapid.SliceOfN(rapid.IntRange(19999, 20006), 0, 2).Draw(t, "quarantined"),
	}
}

// drawPlaced may be on a node that does not exist.
func drawPlaced(t *rapid.T, id, nodes int) Placed {
	return Placed{
		Replica: ReplicaID(fmt.Sprintf("r%d", id)), Workload: drawWorkload(t),
		Node: NodeID(fmt.Sprintf("n%d", rapid.IntRange(0, nodes).Draw(t, "node"))), Reservation: sizes.Draw(t, "reservation"),
		Port: rapid.SampledFrom([]int{0, 20000, 20001, 20002, 20003}).Draw(t, "port"), Index: uint64(rapid.IntRange(0, 9).Draw(t, "index")),
	}
}

func drawWorkload(t *rapid.T) WorkloadID {
	return WorkloadID(rapid.SampledFrom([]string{"web", "api", "job"}).Draw(t, "workload"))
}

func drawRequest(t *rapid.T) Request {
	return Request{
		Workload: drawWorkload(t), Region: anyOr(regions).Draw(t, "region"), Pool: anyOr(pools).Draw(t, "pool"),
		Constraints: labelled.Draw(t, "constraints"), Reservation: sizes.Draw(t, "reservation"),
		NeedsPort: mostly.Draw(t, "needs port"), Count: rapid.IntRange(0, 12).Draw(t, "count"),
	}
}

func drawInput(t *rapid.T) Input {
	var in Input
	for i := range rapid.IntRange(0, 8).Draw(t, "nodes") {
		in.Nodes = append(in.Nodes, drawNode(t, i))
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "placed") {
		in.Placed = append(in.Placed, drawPlaced(t, i, len(in.Nodes)))
	}
	in.Requests = drawRequests(t)
	return in
}

func drawRequests(t *rapid.T) []Request {
	var requests []Request
	for range rapid.IntRange(0, 6).Draw(t, "requests") {
		requests = append(requests, drawRequest(t))
	}
	return requests
}

// Never over capacity, no port twice, nothing lost, and what is unplaced fits on
// no node at the end.
func TestPlan_KeepsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := inputs.Draw(t, "input")
		if err := check(in, Plan(in)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPlan_SameInputSamePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := inputs.Draw(t, "input")
		shuffled := Input{
			Nodes:    rapid.Permutation(in.Nodes).Draw(t, "nodes in another order"),
			Placed:   rapid.Permutation(in.Placed).Draw(t, "placed in another order"),
			Requests: in.Requests,
		}
		want := Plan(in)
		if diff := cmp.Diff(want, Plan(shuffled)); diff != "" {
			t.Fatalf("another plan for the same input (-want +got):\n%s", diff)
		}
	})
}

// A cluster that was told the differences plans like one made from what is there
// now. Only ports may differ, once a replica that had one is gone: the cluster
// remembers where it was, which its remaining replicas do not tell.
func TestCluster_DifferencesEqualFromScratch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		told := newHistory()
		t.Repeat(map[string]func(*rapid.T){
			"upsert": func(t *rapid.T) { told.upsert(drawNode(t, rapid.IntRange(0, 5).Draw(t, "id"))) },
			"remove": func(t *rapid.T) { told.removeNode(NodeID(fmt.Sprintf("n%d", rapid.IntRange(0, 5).Draw(t, "id")))) },
			"place":  func(t *rapid.T) { told.place(drawPlaced(t, rapid.IntRange(0, 9).Draw(t, "id"), 5)) },
			"free":   func(t *rapid.T) { told.remove(ReplicaID(fmt.Sprintf("r%d", rapid.IntRange(0, 9).Draw(t, "id")))) },
			"": func(t *rapid.T) {
				in := told.input(drawRequests(t))
				got, want := told.cluster.Plan(in.Requests), Plan(in)
				if err := check(in, got); err != nil {
					t.Fatal(err)
				}
				if told.portsForgotten {
					clearPorts(got)
					clearPorts(want)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("plan after differences (-from scratch +from differences):\n%s", diff)
				}
			},
		})
	})
}

// history is a cluster and, beside it, what a cluster from scratch would be told.
type history struct {
	cluster        *Cluster
	nodes          map[NodeID]Node
	placed         map[ReplicaID]Placed
	portsForgotten bool
}

func newHistory() *history {
	return &history{New(), map[NodeID]Node{}, map[ReplicaID]Placed{}, false}
}

func (h *history) upsert(n Node) {
	h.nodes[n.ID] = n
	h.cluster.UpsertNode(n)
}

func (h *history) removeNode(id NodeID) {
	delete(h.nodes, id)
	h.cluster.RemoveNode(id)
}

func (h *history) place(p Placed) {
	h.forget(p.Replica)
	h.placed[p.Replica] = p
	h.cluster.Place(p)
}

func (h *history) remove(id ReplicaID) {
	h.forget(id)
	h.cluster.Remove(id)
}

func (h *history) forget(id ReplicaID) {
	h.portsForgotten = h.portsForgotten || h.placed[id].Port != 0
	delete(h.placed, id)
}

func (h *history) input(requests []Request) Input {
	in := Input{Requests: requests}
	for _, n := range h.nodes {
		in.Nodes = append(in.Nodes, n)
	}
	for _, p := range h.placed {
		in.Placed = append(in.Placed, p)
	}
	return in
}

func clearPorts(r Result) {
	for i := range r.Assignments {
		r.Assignments[i].Port = 0
	}
}

// A broken filter must not get past check: else the properties prove nothing.
func TestCheck_FindsBrokenFilter(t *testing.T) {
	t.Parallel()
	always := func(verdict bool) func(*node, *Request) bool { return func(*node, *Request) bool { return verdict } }
	for i, f := range filters() {
		for _, verdict := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s rejects %v", f.name, verdict), func(t *testing.T) {
				t.Parallel()
				if !foundBroken(i, always(verdict)) {
					t.Errorf("no plan with filter %q always answering %v was found wrong", f.name, verdict)
				}
			})
		}
	}
}

func foundBroken(filter int, rejects func(*node, *Request) bool) bool {
	// Enough for the rarest, in a fraction of a second.
	const tries = 3000
	for seed := range tries {
		in := inputs.Example(seed)
		c := New()
		c.filters[filter].rejects = rejects
		for _, n := range in.Nodes {
			c.UpsertNode(n)
		}
		for _, p := range in.Placed {
			c.Place(p)
		}
		if check(in, c.Plan(in.Requests)) != nil {
			return true
		}
	}
	return false
}

// So must a plan that was tampered with.
func TestCheck_FindsWrongPlan(t *testing.T) {
	t.Parallel()
	in := Input{
		Nodes:    []Node{testNode("a"), testNode("b"), testNode("us", func(n *Node) { n.Region = "us" })},
		Placed:   []Placed{placed("1", "other", "b", Resources{CPU: 950})},
		Requests: []Request{request("web", 3, Resources{CPU: 500}), request("job", 1, Resources{})},
	}
	in.Requests[0].NeedsPort = true
	for _, tt := range []struct {
		name   string
		tamper func(*Result)
	}{
		{"over capacity", func(r *Result) { r.Assignments[1].Node = "b" }},
		{"a node of another region", func(r *Result) { r.Assignments[1].Node = "us" }},
		{"a node that does not exist", func(r *Result) { r.Assignments[1].Node = "c" }},
		{"a port twice", func(r *Result) { r.Assignments[1].Port = r.Assignments[0].Port }},
		{"a port out of range", func(r *Result) { r.Assignments[1].Port = 30000 }},
		{"a port that was not asked for", func(r *Result) { r.Assignments[2].Port = 20003 }},
		{"a replica lost", func(r *Result) { r.Assignments = r.Assignments[:2] }},
		{"a replica too many", func(r *Result) { r.Assignments = append(r.Assignments, r.Assignments[2]) }},
		{"what fits called unplaced", func(r *Result) { r.Assignments, r.Unplaced[0].Count = r.Assignments[1:], 2 }},
		{"a node unexplained", func(r *Result) { r.Unplaced[0].Explain = r.Unplaced[0].Explain[1:] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			result := Plan(in)
			if err := check(in, result); err != nil {
				t.Fatalf("before tampering: %v", err)
			}
			tt.tamper(&result)
			if check(in, result) == nil {
				t.Errorf("check found nothing wrong with %+v", result)
			}
		})
	}
}
