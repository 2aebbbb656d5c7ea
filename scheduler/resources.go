package scheduler

// maxQuantity bounds what is believed of any amount. Agents and users report
// them; a nonsensical one must not overflow a sum. 2^48 bytes are 256 TiB, which
// leaves room to add up 32,767 nodes.
const maxQuantity = 1 << 48

func (r Resources) plus(s Resources) Resources {
	return Resources{CPU: r.CPU + s.CPU, Memory: r.Memory + s.Memory, Disk: r.Disk + s.Disk}
}

func (r Resources) minus(s Resources) Resources {
	return Resources{CPU: r.CPU - s.CPU, Memory: r.Memory - s.Memory, Disk: r.Disk - s.Disk}
}

// max is the larger amount in each dimension.
func (r Resources) max(s Resources) Resources {
	return Resources{CPU: max(r.CPU, s.CPU), Memory: max(r.Memory, s.Memory), Disk: max(r.Disk, s.Disk)}
}

// within reports whether r is no larger than room in every dimension.
func (r Resources) within(room Resources) bool {
	return r.CPU <= room.CPU && r.Memory <= room.Memory && r.Disk <= room.Disk
}

// clamp forces every amount into 0..upper.
func (r Resources) clamp(upper int64) Resources {
	return Resources{
		CPU:    min(max(r.CPU, 0), MilliCPU(upper)),
		Memory: min(max(r.Memory, 0), Bytes(upper)),
		Disk:   min(max(r.Disk, 0), Bytes(upper)),
	}
}

// asAllocatable makes a reported node size safe to calculate with.
func (r Resources) asAllocatable() Resources { return r.clamp(maxQuantity) }

// asReservation makes an asked amount safe to calculate with. One that was out
// of bounds stays larger than every node, so that it is refused, not shrunk.
func (r Resources) asReservation() Resources { return r.clamp(maxQuantity + 1) }

// times is how often one reservation goes into room, at most limit.
func (r Resources) times(room Resources, limit int) int {
	n := int64(limit)
	for _, d := range [...][2]int64{
		{int64(r.CPU), int64(room.CPU)},
		{int64(r.Memory), int64(room.Memory)},
		{int64(r.Disk), int64(room.Disk)},
	} {
		if d[0] > 0 {
			n = min(n, max(d[1], 0)/d[0])
		}
	}
	return int(n)
}
