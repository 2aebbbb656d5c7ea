package scheduler

import "testing"

func TestScore_Prefers(t *testing.T) {
	t.Parallel()
	using := func(cpu, memory int) *node {
		return &node{Node: Node{Allocatable: Resources{CPU: 1000, Memory: 1000}}, used: Resources{CPU: MilliCPU(cpu), Memory: Bytes(memory)}, load: 1}
	}
	empty := &node{Node: Node{Allocatable: Resources{CPU: 1000, Memory: 1000}}}
	const cpuOnly, balanced, memoryOnly = full, 0, -full
	for _, tt := range []struct {
		name        string
		better      *node
		than        *node
		shape       int
		even, equal bool
	}{
		{name: "fuller", better: using(700, 700), than: using(300, 300)},
		{name: "fuller in one dimension", better: using(700, 100), than: using(300, 300)},
		{name: "emptier when filling evenly", better: using(300, 300), than: using(700, 700), even: true},
		{name: "in use", better: using(0, 0), than: empty},
		{name: "in use when filling evenly", better: using(1000, 1000), than: empty, even: true},
		{name: "more CPU left for what needs CPU", better: using(300, 500), than: using(500, 300), shape: cpuOnly},
		{name: "more memory left for what needs memory", better: using(500, 300), than: using(300, 500), shape: memoryOnly},
		{name: "no side for what needs both", better: using(500, 300), than: using(300, 500), shape: balanced, equal: true},
		{name: "a small difference decides nothing", better: using(300, 300), than: using(310, 305), equal: true},
		{name: "far fuller in spite of imbalance", better: using(900, 700), than: using(200, 300), shape: cpuOnly},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			better, than := score(cellOf(tt.better), tt.shape, tt.even), score(cellOf(tt.than), tt.shape, tt.even)
			if tt.equal && better != than || !tt.equal && better <= than {
				t.Errorf("scores of %+v and %+v for shape %d: %d and %d", tt.better.used, tt.than.used, tt.shape, better, than)
			}
		})
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	total := Resources{CPU: 1000, Memory: 1 << 40}
	for _, tt := range []struct {
		name string
		r    Resources
		want int
	}{
		{"CPU only", Resources{CPU: 1}, full},
		{"memory only", Resources{Memory: 1 << 20}, -full},
		{"in proportion", Resources{CPU: 500, Memory: 1 << 39}, 0},
		{"three parts CPU", Resources{CPU: 750, Memory: 1 << 38}, full / 2},
		{"nothing", Resources{}, 0},
		{"more than there is", Resources{CPU: maxQuantity, Memory: maxQuantity}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := shape(tt.r, total); got != tt.want {
				t.Errorf("shape(%+v) = %d, want %d", tt.r, got, tt.want)
			}
		})
	}
}

// Every node must have a cell, whatever it reports.
func TestCellOf_InBounds(t *testing.T) {
	t.Parallel()
	amounts := []int64{-5, 0, 1, 999, 1000, 1001, maxQuantity}
	for _, whole := range amounts {
		for _, cpu := range amounts {
			for _, memory := range amounts {
				n := &node{Node: Node{Allocatable: Resources{CPU: MilliCPU(whole), Memory: Bytes(whole)}}, used: Resources{CPU: MilliCPU(cpu), Memory: Bytes(memory)}, load: 1}
				if cell := cellOf(n); cell <= emptyCell || cell >= cellCount {
					t.Errorf("cellOf(used %+v of %+v) = %d, want within 1..%d", n.used, n.Allocatable, cell, cellCount-1)
				}
			}
		}
	}
}
