package presence

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// lately puts a message of one second into the memory of p at a time.
func lately(p *Presence, id state.WorkloadID, at time.Time, sample *runwayv1.WorkloadStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lately(id, sample, time.Second, at)
}

func TestRecent_TellsOfTheLastMinute(t *testing.T) {
	t.Parallel()
	p := New()
	p.Reset(start.Add(-time.Hour))
	fast, slow := make([]uint64, len(runwayv1.LatencyBounds())+1), make([]uint64, len(runwayv1.LatencyBounds())+1)
	fast[0], slow[10] = 9, 1 // within 1 ms and within 2 s
	lately(p, web, start.Add(-70*time.Second), &runwayv1.WorkloadStats{Revision: 1, Responses: []uint64{0, 1000, 0, 0, 1000}})
	lately(p, web, start.Add(-30*time.Second), &runwayv1.WorkloadStats{Revision: 1, Responses: []uint64{0, 4, 0, 2, 3}, Latency: fast})
	lately(p, web, start.Add(-time.Second), &runwayv1.WorkloadStats{Revision: 0, Responses: []uint64{0, 0, 0, 5, 1}, Latency: slow})
	got := p.recentAt(web, start)
	if got.Requests != 15 || got.Failed != 3 || got.Unserved != 1 || got.Slower(time.Second) != 1 {
		t.Errorf("recent %+v, want 15 requests, 3 failed, 1 unserved, 1 slower than a second", got)
	}
	if got.Covers > RecentWindow || got.Covers < RecentWindow-slot {
		t.Errorf("covers %s, want a minute less at most a slot", got.Covers)
	}
	for share, want := range map[float64]time.Duration{0: time.Millisecond, 0.9: time.Millisecond, 0.91: 2 * time.Second, 1: 2 * time.Second} {
		if bound, ok := got.Quantile(share); !ok || bound != want {
			t.Errorf("quantile %g is %s %v, want %s", share, bound, ok, want)
		}
	}
	if later := p.recentAt(web, start.Add(2*RecentWindow)); later.Requests != 0 {
		t.Errorf("two minutes later: %+v", later)
	}
	if other := p.recentAt("s/other/production", start); other.Requests != 0 || other.Covers != got.Covers {
		t.Errorf("of another workload: %+v", other)
	}
}

func TestRecent_BeginsWithTheLeader(t *testing.T) {
	t.Parallel()
	p := New()
	lately(p, web, start.Add(-5*time.Second), &runwayv1.WorkloadStats{Revision: 1, Responses: []uint64{0, 7}})
	p.Reset(start.Add(-2 * time.Second))
	if got := p.recentAt(web, start); got.Requests != 0 || got.Covers != 2*time.Second {
		t.Errorf("recent %+v, want nothing of 2 s", got)
	}
}

// Counts of a session that was away are of another time.
func TestRecent_LeavesOutWhatIsOld(t *testing.T) {
	t.Parallel()
	p := New()
	stats := served(0, 1, 5, 0)
	p.Record("i1", stats)
	stats.Covers = durationpb.New(slot + time.Second)
	p.Record("i1", stats)
	if got := p.Recent(web); got.Requests != 5 {
		t.Errorf("%d requests, want the 5 of the first message", got.Requests)
	}
}

func TestRecent_IsBounded(t *testing.T) {
	t.Parallel()
	p := New()
	sample := &runwayv1.WorkloadStats{Revision: 1, Responses: []uint64{0, 1}}
	for i := range maxRecent + 1 {
		lately(p, state.WorkloadID(fmt.Sprintf("s/%d/production", i)), start, sample)
	}
	if got := p.recentAt("s/10000/production", start); len(p.recent) != maxRecent || got.Requests != 0 {
		t.Errorf("%d workloads are remembered, want %d", len(p.recent), maxRecent)
	}
	lately(p, web, start.Add(2*RecentWindow), sample)
	if got := p.recentAt(web, start.Add(2*RecentWindow)); len(p.recent) != 1 || got.Requests != 1 {
		t.Errorf("%d workloads are remembered after a silence, want 1", len(p.recent))
	}
}

// Everybody's beats wait while the memory is looked through for room: a slot in which there
// was none has none to its end, however many more workloads come.
func TestRecent_IsLookedThroughOnceInASlot(t *testing.T) {
	t.Parallel()
	p := New()
	sample := &runwayv1.WorkloadStats{Revision: 1, Responses: []uint64{0, 1}}
	for i := range maxRecent + 1 {
		lately(p, state.WorkloadID(fmt.Sprintf("s/%d/production", i)), start, sample)
	}
	for id := range p.recent {
		p.recent[id] = new(recent) // idle, so that the next look drops it
	}
	end := start.Truncate(slot).Add(slot)
	for at := start; at.Before(end); at = at.Add(time.Second) {
		lately(p, web, at, sample)
	}
	if len(p.recent) != maxRecent || p.recent[web] != nil {
		t.Errorf("%d workloads are remembered in the same slot, want %d: it was looked through again", len(p.recent), maxRecent)
	}
	lately(p, web, end, sample)
	if len(p.recent) != 1 || p.recent[web] == nil {
		t.Errorf("%d workloads are remembered in the next slot, want the new one", len(p.recent))
	}
}

func TestQuantile_IsUnknownWithoutRequestsAndAboveAll(t *testing.T) {
	t.Parallel()
	counts := make([]uint64, len(runwayv1.LatencyBounds())+1)
	if bound, ok := (Traffic{Latency: counts}).Quantile(0.5); ok {
		t.Errorf("quantile of nothing is %s", bound)
	}
	counts[len(counts)-1] = 1
	if bound, ok := (Traffic{Latency: counts}).Quantile(0.5); ok || (Traffic{Latency: counts}).Slower(time.Second) != 1 {
		t.Errorf("quantile above all bounds is %s", bound)
	}
}
