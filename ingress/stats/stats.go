// Package stats counts requests per workload and revision: how many, with which
// class of answer, how slow, and how many now. Counting is atomic adds on
// counters that a request looks up once; reading takes a snapshot.
package stats

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Classes is the number of response classes, 1xx to 5xx.
const Classes = 5

// Key names what is counted together.
type Key struct {
	Space, Service, Environment string
	Revision                    uint64
}

// Counts is the state of one series. Responses and Latency only rise.
type Counts struct {
	Key
	// Responses counts by status class, 1xx first.
	Responses [Classes]uint64
	// Latency counts by bound, one more above all.
	Latency []uint64
	// LatencySum is the sum of all latencies.
	LatencySum time.Duration
	// InFlight is the number of requests now.
	InFlight int64
}

// Total returns the number of requests that were answered.
func (c Counts) Total() uint64 {
	var total uint64
	for _, n := range c.Responses {
		total += n
	}
	return total
}

// Since returns c with what was counted after old.
func (c Counts) Since(old Counts) Counts {
	c.Latency = slices.Clone(c.Latency)
	for i, n := range old.Responses {
		c.Responses[i] -= n
	}
	for i, n := range old.Latency {
		c.Latency[i] -= n
	}
	c.LatencySum -= old.LatencySum
	return c
}

// Recorder holds the series of a process. It is safe for concurrent use.
type Recorder struct {
	bounds []time.Duration
	series sync.Map // Key -> *Series
}

// Series counts the requests of one revision of a workload.
type Series struct {
	bounds     []time.Duration
	inFlight   atomic.Int64
	responses  [Classes]atomic.Uint64
	latency    []atomic.Uint64
	latencySum atomic.Int64
}

// New returns a Recorder whose latency counts have the given upper bounds, in
// ascending order.
func New(bounds []time.Duration) *Recorder {
	return &Recorder{bounds: slices.Clone(bounds)}
}

// Bounds returns the upper bounds of latency counts.
func (r *Recorder) Bounds() []time.Duration { return slices.Clone(r.bounds) }

// Series returns the counters of a key, new ones at its first request.
func (r *Recorder) Series(key Key) *Series {
	if s, ok := r.series.Load(key); ok {
		return s.(*Series)
	}
	s, _ := r.series.LoadOrStore(key, &Series{bounds: r.bounds, latency: make([]atomic.Uint64, len(r.bounds)+1)})
	return s.(*Series)
}

// Begin counts a request in flight. Each is followed by one End or Drop.
func (s *Series) Begin() { s.inFlight.Add(1) }

// Drop ends a request that this series did not answer.
func (s *Series) Drop() { s.inFlight.Add(-1) }

// End ends a request with its status and how long it took. Statuses outside 100
// to 599 count as 5xx.
func (s *Series) End(status int, took time.Duration) {
	class := status/100 - 1
	if class < 0 || class >= Classes {
		class = Classes - 1
	}
	s.responses[class].Add(1)
	bound, _ := slices.BinarySearch(s.bounds, took)
	s.latency[bound].Add(1)
	s.latencySum.Add(int64(took))
	s.inFlight.Add(-1)
}

// Snapshot returns all series, ordered by key. Counts of requests that end
// meanwhile may be in one field and not yet in the other.
func (r *Recorder) Snapshot() []Counts {
	var all []Counts
	r.series.Range(func(key, value any) bool {
		all = append(all, value.(*Series).counts(key.(Key)))
		return true
	})
	slices.SortFunc(all, func(a, b Counts) int { return compareKeys(a.Key, b.Key) })
	return all
}

func (s *Series) counts(key Key) Counts {
	c := Counts{Key: key, Latency: make([]uint64, len(s.latency)), InFlight: s.inFlight.Load()}
	for i := range s.responses {
		c.Responses[i] = s.responses[i].Load()
	}
	for i := range s.latency {
		c.Latency[i] = s.latency[i].Load()
	}
	c.LatencySum = time.Duration(s.latencySum.Load())
	return c
}

func compareKeys(a, b Key) int {
	return cmp.Or(
		cmp.Compare(a.Space, b.Space),
		cmp.Compare(a.Service, b.Service),
		cmp.Compare(a.Environment, b.Environment),
		cmp.Compare(a.Revision, b.Revision),
	)
}
