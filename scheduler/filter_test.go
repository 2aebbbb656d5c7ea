package scheduler

import "testing"

// One node, and one request that only the filter at hand is against.
func TestFilters(t *testing.T) {
	t.Parallel()
	plain := func(r *Request) {}
	for _, tt := range []struct {
		filter       string
		node         func(*Node)
		request      func(*Request)
		wantSentence string
		wantAdvice   string
	}{
		{"ready", func(n *Node) { n.Ready = false }, plain,
			"1 not ready", "bring a node back or add one"},
		{"cordoned", func(n *Node) { n.Cordoned = true }, plain,
			"1 cordoned", "uncordon a node or add one"},
		{"region", func(n *Node) { n.Region = "us" }, plain,
			"1 outside region eu", "add a node to region eu"},
		{"pool", func(n *Node) {}, func(r *Request) { r.Pool = "gpu" },
			"1 outside pool gpu", "add a node to pool gpu"},
		{"labels", func(n *Node) {}, func(r *Request) { r.Constraints = map[string]string{"zone": "b", "disk": "ssd"} },
			"1 without disk=ssd, zone=b", "label a node disk=ssd, zone=b or drop the constraint"},
		{"labels", func(n *Node) {}, func(r *Request) { r.Constraints = map[string]string{"zone": ""} },
			"1 without zone=", "label a node zone= or drop the constraint"},
		{"cpu", func(n *Node) {}, func(r *Request) { r.Reservation.CPU = 901 },
			"1 short of CPU", "add a node or lower the CPU reservation"},
		{"memory", func(n *Node) {}, func(r *Request) { r.Reservation.Memory = 901 },
			"1 short of memory", "add a node or lower the memory reservation"},
		{"disk", func(n *Node) {}, func(r *Request) { r.Reservation.Disk = 1001 },
			"1 short of disk", "add a node or lower the disk reservation"},
		{"ports", func(n *Node) { n.QuarantinedPorts = []int{20000, 20001, 20003} }, plain,
			"1 without a free node port", "add a node or widen the range of node ports"},
	} {
		t.Run(tt.wantSentence, func(t *testing.T) {
			t.Parallel()
			// Holds a tenth of CPU and memory, and port 20002.
			occupant := placed("1", "other", "a", size1)
			occupant.Port = 20002
			rejected, accepted := request("web", 1, size1), request("web", 1, Resources{CPU: 900, Memory: 900, Disk: 1000})
			rejected.NeedsPort, accepted.NeedsPort = true, true
			tt.request(&rejected)

			got := Plan(Input{Nodes: []Node{testNode("a", tt.node)}, Placed: []Placed{occupant}, Requests: []Request{rejected}})
			if len(got.Unplaced) != 1 || len(got.Unplaced[0].Explain) != 1 {
				t.Fatalf("Plan(%+v) = %+v, want it unplaced for one reason", rejected, got)
			}
			want := Reason{Filter: tt.filter, Nodes: 1, Sentence: tt.wantSentence, Advice: tt.wantAdvice}
			if reason := got.Unplaced[0].Explain[0]; reason != want {
				t.Errorf("reason = %+v\nwant     %+v", reason, want)
			}
			got = Plan(Input{Nodes: []Node{testNode("a")}, Placed: []Placed{occupant}, Requests: []Request{accepted}})
			if len(got.Assignments) != 1 {
				t.Errorf("Plan(%+v) = %+v, want it to use the last bit of the node", accepted, got)
			}
		})
	}
}

func TestUnplaced_Sentence(t *testing.T) {
	t.Parallel()
	full := func(id string) Placed { return placed("on-"+id, "other", id, Resources{Memory: 1000}) }
	cordoned := func(n *Node) { n.Cordoned = true }
	elsewhere := func(n *Node) { n.Region = "us" }
	for _, tt := range []struct {
		name    string
		nodes   []Node
		placed  []Placed
		request Request
		want    string
	}{
		{
			"most nodes first, advice on those that came closest",
			[]Node{testNode("a"), testNode("b"), testNode("c"), testNode("d"), testNode("e", cordoned)},
			[]Placed{full("a"), full("b"), full("c"), full("d")},
			request("web", 3, size1),
			"no node fits web (3 replicas pending): 4 short of memory, 1 cordoned; add a node or lower the memory reservation",
		},
		{
			"nodes that were never meant for it outnumber the rest",
			[]Node{testNode("a"), testNode("b", elsewhere), testNode("c", elsewhere)},
			[]Placed{full("a")},
			request("web", 1, size1),
			"no node fits web (1 replica pending): 2 outside region eu, 1 short of memory; add a node or lower the memory reservation",
		},
		{
			"only what is left over is pending",
			[]Node{testNode("a")},
			nil,
			request("web", 12, size1),
			"no node fits web (2 replicas pending): 1 short of CPU; add a node or lower the CPU reservation",
		},
		{
			"no node at all",
			nil,
			[]Placed{full("a")},
			request("web", 2, size1),
			"no node fits web (2 replicas pending): the cluster has no nodes; add a node",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Plan(Input{Nodes: tt.nodes, Placed: tt.placed, Requests: []Request{tt.request}})
			if len(got.Unplaced) != 1 {
				t.Fatalf("unplaced = %+v, want one", got.Unplaced)
			}
			if sentence := got.Unplaced[0].Sentence("web"); sentence != tt.want {
				t.Errorf("sentence = %s\nwant       %s", sentence, tt.want)
			}
		})
	}
}
