package stats

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func bounds() []time.Duration {
	return []time.Duration{time.Millisecond, 10 * time.Millisecond, time.Second}
}

func webKey(revision uint64) Key {
	return Key{Space: "default", Service: "web", Environment: "production", Revision: revision}
}

func TestSeries_CountsByClassAndLatency(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		took   time.Duration
		class  int
		bound  int
	}{
		{"upgrade", 101, 0, 0, 0},
		{"success at the first bound", 200, time.Millisecond, 1, 0},
		{"redirect over the first bound", 308, time.Millisecond + 1, 2, 1},
		{"client gone", 499, 5 * time.Millisecond, 3, 1},
		{"above all bounds", 503, time.Minute, 4, 3},
		{"no status", 0, 0, 4, 0},
		{"odd status", 999, 0, 4, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := New(bounds())
			s := r.Series(webKey(1))
			s.Begin()
			s.End(tt.status, tt.took)
			want := Counts{Key: webKey(1), Latency: make([]uint64, 4), LatencySum: tt.took}
			want.Responses[tt.class] = 1
			want.Latency[tt.bound] = 1
			if diff := cmp.Diff([]Counts{want}, r.Snapshot()); diff != "" {
				t.Errorf("status %d after %v (-want +got):\n%s", tt.status, tt.took, diff)
			}
		})
	}
}

func TestSeries_DropCountsNothing(t *testing.T) {
	t.Parallel()
	r := New(bounds())
	s := r.Series(webKey(1))
	s.Begin()
	if got := r.Snapshot()[0].InFlight; got != 1 {
		t.Errorf("in flight = %d, want 1", got)
	}
	s.Drop()
	if got := r.Snapshot()[0]; got.InFlight != 0 || got.Total() != 0 {
		t.Errorf("after Drop: %+v", got)
	}
}

// No request is lost or counted twice, whenever the deltas are taken.
func TestDeltas_AddUpToTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := New(bounds())
		d := NewDeltas(r)
		var want, got uint64
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			s := r.Series(webKey(rapid.Uint64Range(1, 3).Draw(t, "revision")))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				for _, c := range d.Next() {
					got += c.Total()
				}
			case 1:
				for _, c := range d.Next() {
					got += c.Total()
				}
				d.Forget(func(k Key) bool { return k.Revision == 1 })
			default:
				s.Begin()
				s.End(200, time.Millisecond)
				want++
			}
		}
		for _, c := range d.Next() {
			got += c.Total()
		}
		if got != want {
			t.Fatalf("deltas add up to %d, want %d", got, want)
		}
	})
}

func TestDeltas_TellsThatNothingIsInFlightAnyMore(t *testing.T) {
	t.Parallel()
	r := New(bounds())
	s := r.Series(webKey(1))
	s.Begin()
	d := NewDeltas(r)
	if got := d.Next(); len(got) != 1 || got[0].InFlight != 1 {
		t.Fatalf("with a request in flight: %+v", got)
	}
	s.End(200, 0)
	if got := d.Next(); len(got) != 1 || got[0].InFlight != 0 || got[0].Total() != 1 {
		t.Fatalf("after its end: %+v", got)
	}
	if got := d.Next(); got != nil {
		t.Fatalf("with nothing new: %+v", got)
	}
}

func TestDeltas_ForgetKeepsWhatIsInFlightOrNotGivenOut(t *testing.T) {
	t.Parallel()
	r := New(bounds())
	r.Series(webKey(1))
	r.Series(webKey(2)).Begin()
	r.Series(webKey(3))
	d := NewDeltas(r)
	r.Series(webKey(4)).Begin()
	r.Series(webKey(4)).End(200, 0)
	d.Forget(func(k Key) bool { return k.Revision == 3 })
	var left []uint64
	for _, c := range r.Snapshot() {
		left = append(left, c.Revision)
	}
	if diff := cmp.Diff([]uint64{2, 3, 4}, left); diff != "" {
		t.Errorf("revisions left (-want +got):\n%s", diff)
	}
}

func TestRecorder_IsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	r := New(bounds())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				s := r.Series(webKey(1))
				s.Begin()
				s.End(200, time.Millisecond)
				r.Snapshot()
			}
		})
	}
	wg.Wait()
	if got := r.Snapshot()[0]; got.Total() != 4000 || got.InFlight != 0 {
		t.Errorf("after 4000 requests: %+v", got)
	}
}

func BenchmarkSeries(b *testing.B) {
	r := New(bounds())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s := r.Series(webKey(1))
			s.Begin()
			s.End(200, time.Millisecond)
		}
	})
}
