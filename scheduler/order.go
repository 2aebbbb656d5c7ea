package scheduler

import (
	"cmp"
	"slices"
)

// order is the sequence in which requests are placed: large replicas first, as
// they fit in the fewest gaps; small ones then fill what is left. Large is by
// the dimension of which a replica takes the largest fraction of the total.
func order(requests []Request, total Resources) []int {
	sizes := make([]int64, len(requests))
	sequence := make([]int, len(requests))
	for i := range requests {
		sizes[i], sequence[i] = size(requests[i].Reservation.asReservation(), total), i
	}
	slices.SortFunc(sequence, func(a, b int) int {
		return cmp.Or(cmp.Compare(sizes[b], sizes[a]), cmp.Compare(a, b))
	})
	return sequence
}

func size(r, total Resources) int64 {
	return max(
		fraction(int64(r.CPU), int64(total.CPU)),
		fraction(int64(r.Memory), int64(total.Memory)),
		fraction(int64(r.Disk), int64(total.Disk)),
	)
}
