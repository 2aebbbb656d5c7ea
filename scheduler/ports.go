package scheduler

import "math/bits"

// maxPort is the largest TCP port.
const maxPort = 65535

// portSet hands out the ports first..last of one node, round and round, so that
// a port just given back is the last to be used again.
type portSet struct {
	first, last int
	taken       []uint64 // bit i = port first+i
	free        int
	cursor      int // where the next search starts
}

// newPortSet is empty when the bounds make no sense.
func newPortSet(first, last int) portSet {
	if first < 1 || last > maxPort || first > last {
		return portSet{}
	}
	size := last - first + 1
	return portSet{first: first, last: last, taken: make([]uint64, (size+63)/64), free: size, cursor: first}
}

// take marks a port as held; ports outside the range are nobody's concern.
func (s *portSet) take(port int) {
	if word, bit, ok := s.locate(port); ok && s.taken[word]&bit == 0 {
		s.taken[word] |= bit
		s.free--
	}
}

// release gives a port back.
func (s *portSet) release(port int) {
	if word, bit, ok := s.locate(port); ok && s.taken[word]&bit != 0 {
		s.taken[word] &^= bit
		s.free++
	}
}

// seek makes the next search start behind port.
func (s *portSet) seek(port int) {
	s.cursor = port + 1
	if s.cursor < s.first || s.cursor > s.last {
		s.cursor = s.first
	}
}

// next takes the lowest free port from the cursor on, wrapping round once. It
// returns 0 when there is none.
func (s *portSet) next() int {
	if s.free == 0 {
		return 0
	}
	port := s.lowestFree(s.cursor)
	if port > s.last {
		port = s.lowestFree(s.first)
	}
	s.take(port)
	s.seek(port)
	return port
}

// lowestFree is the first free port at or above from; above last means none.
func (s *portSet) lowestFree(from int) int {
	at := from - s.first
	word := at / 64
	below := uint64(1)<<(at%64) - 1 // bits before from count as taken
	for ; word < len(s.taken); word++ {
		if free := ^(s.taken[word] | below); free != 0 {
			return s.first + word*64 + bits.TrailingZeros64(free)
		}
		below = 0
	}
	return s.last + 1
}

func (s *portSet) locate(port int) (word int, bit uint64, ok bool) {
	if port < s.first || port > s.last || s.free == 0 && len(s.taken) == 0 {
		return 0, 0, false
	}
	at := port - s.first
	return at / 64, 1 << (at % 64), true
}
