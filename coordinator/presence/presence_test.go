package presence

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestPresence_NewLeaderStartsEveryTimerAfresh(t *testing.T) {
	t.Parallel()
	p := New()
	p.Beat("n1", start)
	p.AckRoutes("i1", Ack{Incarnation: "x", Generation: 7})
	later := start.Add(time.Hour)
	p.Reset(later)
	for _, id := range []string{"n1", "never-seen"} {
		if got := p.LastBeat(id); !got.Equal(later) {
			t.Errorf("LastBeat(%s) = %v, want %v", id, got, later)
		}
	}
	if got := p.Acks(); len(got) != 0 {
		t.Errorf("Acks after Reset = %v", got)
	}
}

func TestPresence_BeatsOnlyMoveForward(t *testing.T) {
	t.Parallel()
	p := New()
	p.Beat("n1", start)
	p.Beat("n1", start.Add(-time.Minute))
	if got := p.LastBeat("n1"); !got.Equal(start) {
		t.Errorf("LastBeat = %v, want %v", got, start)
	}
}

func TestPresence_ChangedWakesOnAcksOnly(t *testing.T) {
	t.Parallel()
	p := New()
	changed := p.Changed()
	p.Beat("i1", start)
	p.Record("i1", &runwayv1.IngressStats{})
	if closed(changed) {
		t.Error("a beat woke the controllers")
	}
	p.AckRoutes("i1", Ack{Incarnation: "x", Generation: 1, Held: []string{"r1"}})
	if !closed(changed) {
		t.Error("a confirmation woke nobody")
	}
	changed = p.Changed()
	p.AckRoutes("i1", Ack{Incarnation: "x", Generation: 1, Held: []string{"r1"}})
	if closed(changed) {
		t.Error("the same confirmation woke the controllers")
	}
	p.AckRoutes("i1", Ack{Incarnation: "x", Generation: 1})
	if !closed(changed) {
		t.Error("finished requests woke nobody")
	}
	changed = p.Changed()
	p.AckRoutes("i1", Ack{Incarnation: "x", Generation: 1, Stopping: true})
	if !closed(changed) {
		t.Error("an ingress that is to stop woke nobody")
	}
}

func TestPresence_UnconfirmKeepsTheIncarnation(t *testing.T) {
	t.Parallel()
	p := New()
	p.AckRoutes("i1", Ack{Incarnation: "x", Generation: 5, Held: []string{"r1"}, Stopping: true})
	p.Unconfirm("i1")
	want := map[string]Ack{"i1": {Incarnation: "x", Stopping: true}}
	if diff := cmp.Diff(want, p.Acks()); diff != "" {
		t.Errorf("Acks (-want +got):\n%s", diff)
	}
}

func TestPresence_ForgetRemovesAMachine(t *testing.T) {
	t.Parallel()
	p := New()
	p.Beat("i1", start)
	p.AckRoutes("i1", Ack{Generation: 5})
	p.Forget("i1")
	if len(p.Acks()) != 0 || p.LastBeat("i1").Equal(start) {
		t.Error("still remembered")
	}
}

func TestPresence_IsBounded(t *testing.T) {
	t.Parallel()
	p := New()
	for i := range maxMachines + 10 {
		id := fmt.Sprintf("n%d", i)
		p.Beat(id, start)
	}
	if got := len(p.beats); got != maxMachines {
		t.Errorf("%d machines remembered, want %d", got, maxMachines)
	}
	p.AckRoutes("i1", Ack{Held: make([]string, maxHeld+1)})
	if len(p.Acks()) != 0 {
		t.Error("an endless list of held replicas was taken")
	}
}

func stats(revision, inFlight uint64) *runwayv1.IngressStats {
	return &runwayv1.IngressStats{Workloads: []*runwayv1.WorkloadStats{{
		Workload: &runwayv1.WorkloadKey{Space: "s", Service: "w", Environment: "production"},
		Revision: revision, Responses: []uint64{0, 10, 0, 0, 1}, Latency: []uint64{4, 7}, LatencySum: 0.5, InFlight: inFlight,
	}}}
}

func TestTraffic_RefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	spoil := map[string]func(*runwayv1.WorkloadStats){
		"NaN":             func(s *runwayv1.WorkloadStats) { s.LatencySum = math.NaN() },
		"negative":        func(s *runwayv1.WorkloadStats) { s.LatencySum = -1 },
		"huge":            func(s *runwayv1.WorkloadStats) { s.LatencySum = 1e308 },
		"too many":        func(s *runwayv1.WorkloadStats) { s.Responses[1] = math.MaxUint64 },
		"six classes":     func(s *runwayv1.WorkloadStats) { s.Responses = make([]uint64, 6) },
		"endless buckets": func(s *runwayv1.WorkloadStats) { s.Latency = make([]uint64, 1000) },
		"in flight":       func(s *runwayv1.WorkloadStats) { s.InFlight = math.MaxUint64 },
	}
	for name, f := range spoil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := New()
			p.OpenTally("d1", "s/w/production", start)
			sample := stats(1, 1)
			f(sample.Workloads[0])
			if refused := p.Record("i1", sample); refused != 1 || len(p.Tallies()["d1"].Revisions) != 0 {
				t.Errorf("refused %d, kept %v", refused, p.Tallies())
			}
		})
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
