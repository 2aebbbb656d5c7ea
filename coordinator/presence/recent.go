package presence

import (
	"slices"
	"time"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// RecentWindow is how far back recent traffic reaches: what people mean by now.
	RecentWindow = time.Minute
	// slot is the grain at which it is forgotten. A message that covers more than one is
	// not of now: its session was away.
	slot = 10 * time.Second
	// maxRecent bounds the workloads with recent traffic.
	maxRecent = 10_000
)

// Traffic is what all ingresses served of one workload lately.
type Traffic struct {
	// Covers is the time that the counts are of.
	Covers   time.Duration
	Requests uint64
	// Failed are answers of replicas with a status of 500 or more.
	Failed uint64
	// Unserved are those that ingresses had to answer with such a status themselves, since
	// no replica took the request.
	Unserved uint64
	// Latency counts by LatencyBounds, with one more above all.
	Latency []uint64
}

// recent is the traffic of one workload by slots of time; those beyond the window are
// dropped when the next begins.
type recent struct{ slots []recentSlot }

type recentSlot struct {
	start time.Time
	Traffic
}

// lately adds samples of a message to the recent traffic.
func (p *Presence) lately(id state.WorkloadID, sample *runwayv1.WorkloadStats, covers time.Duration, now time.Time) {
	if covers > slot {
		return
	}
	r := p.recent[id]
	if r == nil {
		if len(p.recent) >= maxRecent {
			p.forgetIdle(now)
		}
		if len(p.recent) >= maxRecent {
			return
		}
		r = new(recent)
		p.recent[id] = r
	}
	r.slotAt(now).add(sample)
}

// forgetIdle drops the workloads that nobody asked for lately. Traffic is forgotten by slots,
// so that a second look within one would find no more.
func (p *Presence) forgetIdle(now time.Time) {
	if p.swept.Equal(now.Truncate(slot)) {
		return
	}
	p.swept = now.Truncate(slot)
	for id, r := range p.recent {
		if r.forgetOld(now); len(r.slots) == 0 {
			delete(p.recent, id)
		}
	}
}

// slotAt returns the slot of a time, a new one when the last is over.
func (r *recent) slotAt(now time.Time) *recentSlot {
	r.forgetOld(now)
	start := now.Truncate(slot)
	if n := len(r.slots); n == 0 || r.slots[n-1].start.Before(start) {
		r.slots = append(r.slots, recentSlot{start: start, Traffic: Traffic{Latency: make([]uint64, len(runwayv1.LatencyBounds())+1)}})
	}
	return &r.slots[len(r.slots)-1]
}

// forgetOld drops the slots that begin before the window.
func (r *recent) forgetOld(now time.Time) {
	r.slots = slices.DeleteFunc(r.slots, func(s recentSlot) bool { return s.start.Before(now.Add(-RecentWindow)) })
}

func (t *Traffic) add(sample *runwayv1.WorkloadStats) {
	for class, n := range sample.GetResponses() {
		t.Requests += n
		switch {
		case class != statusClasses-1:
		case sample.GetRevision() == 0:
			t.Unserved += n
		default:
			t.Failed += n
		}
	}
	for i, n := range sample.GetLatency() {
		t.Latency[min(i, len(t.Latency)-1)] += n
	}
}

// Recent returns what was served of a workload within the last RecentWindow, or since
// this leader began. The caller owns the result.
func (p *Presence) Recent(id state.WorkloadID) Traffic { return p.recentAt(id, time.Now()) }

func (p *Presence) recentAt(id state.WorkloadID, now time.Time) Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The slot that reaches beyond the window was dropped: the counts begin at a slot.
	from := now.Add(-RecentWindow).Truncate(slot).Add(slot)
	if p.since.After(from) {
		from = p.since
	}
	sum := Traffic{Covers: now.Sub(from), Latency: make([]uint64, len(runwayv1.LatencyBounds())+1)}
	r := p.recent[id]
	if r == nil {
		return sum
	}
	r.forgetOld(now)
	for _, s := range r.slots {
		sum.Requests, sum.Failed, sum.Unserved = sum.Requests+s.Requests, sum.Failed+s.Failed, sum.Unserved+s.Unserved
		for i, n := range s.Latency {
			sum.Latency[i] += n
		}
	}
	return sum
}

// Quantile returns a latency that a share of the requests did not exceed, rounded up to
// the next of LatencyBounds. It is not known without requests, or when it is above all.
func (t Traffic) Quantile(share float64) (time.Duration, bool) {
	var total, below uint64
	for _, n := range t.Latency {
		total += n
	}
	for i, bound := range runwayv1.LatencyBounds() {
		below += t.Latency[i]
		if below > 0 && float64(below) >= share*float64(total) {
			return bound, true
		}
	}
	return 0, false
}

// Slower returns how many requests took longer than one of LatencyBounds.
func (t Traffic) Slower(than time.Duration) uint64 {
	var n uint64
	bounds := runwayv1.LatencyBounds()
	for i, count := range t.Latency {
		if i >= len(bounds) || bounds[i] > than {
			n += count
		}
	}
	return n
}
