package scheduler

// A node's score for a request is how full it is, less how much worse the
// request would make its balance between CPU and memory. Both are rounded to
// levels: nodes of one (fullness, skew) cell are equally good. That lets the
// spread of a workload decide between them, and lets the index find the best
// without looking at each node.
const (
	// full is a share of 100 %; shares are integers so that plans do not depend
	// on how a processor rounds.
	full = 1000
	// fullnessLevels divide a node that runs something; level 0 is an empty one.
	fullnessLevels = 16
	// skewLevels lie on each side of balanced, one per skewStep of difference
	// between the shares of CPU and memory; the outermost is open-ended.
	skewLevels = 8
	skewStep   = 25
	// skewWeight is how much fullness one unit of balance is worth: at the
	// outermost skew up to 40 % of a node. Measured: see DESIGN.md.
	skewWeight = 2

	skewCells = 2*skewLevels + 1
	cellCount = 1 + fullnessLevels*skewCells
	emptyCell = 0
	// emptyScore is below every other: no empty node is opened while one that
	// already runs something fits.
	emptyScore = -1 << 40
)

// share is how much of total is part, 0..full.
func share(part, total int64) int {
	switch {
	case part <= 0:
		return 0
	case part >= total:
		return full
	}
	return int(part * full / total)
}

// cellOf is the cell that a node belongs to by what is reserved on it.
func cellOf(n *node) int {
	if n.load == 0 && !n.opened {
		return emptyCell
	}
	cpu := share(int64(n.used.CPU), int64(n.Allocatable.CPU))
	memory := share(int64(n.used.Memory), int64(n.Allocatable.Memory))
	disk := share(int64(n.used.Disk), int64(n.Allocatable.Disk))
	fullness := min(max(cpu, memory, disk)*fullnessLevels/full, fullnessLevels-1)
	skew := min(max((cpu-memory)/skewStep, -skewLevels), skewLevels)
	return 1 + fullness*skewCells + skew + skewLevels
}

// shape is how lopsided a reservation is for nodes of these totals: +full is
// CPU only, 0 in proportion, -full memory only.
func shape(r, total Resources) int {
	cpu := fraction(int64(r.CPU), int64(total.CPU))
	memory := fraction(int64(r.Memory), int64(total.Memory))
	if cpu+memory == 0 {
		return 0
	}
	return int((cpu - memory) * full / (cpu + memory))
}

// whole is the unit of fractions: fine enough for one replica among millions. A
// power of two, so that scaling a quotient by it rounds alike everywhere.
const whole = 1 << 36

// fraction is part of total, at most whole.
func fraction(part, total int64) int64 {
	if part >= total {
		return min(part, 1) * whole
	}
	return int64(float64(part) / float64(total) * whole)
}

// score is how good the nodes of a cell are for a reservation of that shape;
// higher is better. A full node is better than an emptier one, except where even
// is asked for: see widen.
func score(cell, shape int, even bool) int {
	if cell == emptyCell {
		return emptyScore
	}
	fullness := (cell - 1) / skewCells
	skew := (cell-1)%skewCells - skewLevels
	if even {
		fullness = -fullness
	}
	return fullness*full*full/fullnessLevels - skewWeight*skew*skewStep*shape
}
