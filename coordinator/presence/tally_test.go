package presence

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const web = state.WorkloadID("s/w/production")

// served is a message of an ingress about web: good and failed answers of a revision.
func served(request, revision, good, bad uint64) *runwayv1.IngressStats {
	return &runwayv1.IngressStats{Request: request, Workloads: []*runwayv1.WorkloadStats{{
		Workload: web.Key(), Revision: revision, Responses: []uint64{0, good, 0, 0, bad},
	}}}
}

func TestTally_AddsWhatIngressesServe(t *testing.T) {
	t.Parallel()
	p := New()
	p.Record("i1", served(0, 1, 100, 0)) // before it is open
	p.OpenTally("d1", web, start)
	p.OpenTally("d1", web, start.Add(time.Hour)) // changes nothing
	p.Record("i1", served(0, 1, 3, 1))
	p.Record("i2", served(0, 1, 4, 0))
	p.Record("i2", served(0, 2, 5, 2))
	p.Record("i1", &runwayv1.IngressStats{Workloads: []*runwayv1.WorkloadStats{
		{Workload: web.Key(), Revision: 0, Responses: []uint64{0, 0, 0, 2, 1}}, // of its own
		{Workload: &runwayv1.WorkloadKey{Space: "s", Service: "other", Environment: "production"}, Revision: 1, Responses: []uint64{0, 50}},
	}})
	want := Tally{Since: start, Revisions: map[uint64]Served{
		0: {Requests: 3, Failed: 3}, 1: {Requests: 8, Failed: 1}, 2: {Requests: 7, Failed: 2},
	}}
	if diff := cmp.Diff(want, p.Tallies()["d1"]); diff != "" {
		t.Errorf("tally (-want +got):\n%s", diff)
	}
}

// After the end, each ingress counts until it has answered, and no longer.
func TestTally_ClosesWhenEachIngressHasAnswered(t *testing.T) {
	t.Parallel()
	p := New()
	p.OpenTally("d1", web, start)
	settled := p.TallySettled()
	_, asked := p.Asked()
	p.CloseTally("d1", []string{"i1", "i2"}, start.Add(time.Minute))
	p.CloseTally("d1", nil, start.Add(time.Hour)) // changes nothing
	if !closed(asked) {
		t.Error("nobody was asked")
	}
	if request, _ := p.Asked(); request != 1 || !closed(settled) {
		t.Errorf("request %d, want 1; or the controller was not woken", request)
	}
	settled = p.TallySettled()
	p.Record("i1", served(0, 1, 5, 0)) // was under way
	p.Record("i3", served(1, 1, 90, 0))
	if closed(settled) {
		t.Error("a message that answers nothing settled something")
	}
	p.Record("i1", served(1, 1, 7, 0))
	p.Record("i1", served(1, 1, 90, 0)) // after its answer
	if got := p.Tallies()["d1"]; !closed(settled) || !cmp.Equal(got.Unanswered, []string{"i2"}) || got.Revisions[1].Requests != 12 {
		t.Errorf("tally = %+v, want 12 requests and i2 unanswered", got)
	}
	p.Record("i2", served(2, 1, 0, 0))
	if got := p.Tallies()["d1"]; len(got.Unanswered) != 0 || !got.Closed.Equal(start.Add(time.Minute)) {
		t.Errorf("tally = %+v, want it settled and closed when it was", got)
	}
	p.DropTally("d1")
	p.DropTally("d1")
	if got := p.Tallies(); len(got) != 0 || len(p.tallies.byWorkload) != 0 {
		t.Errorf("tallies after Drop: %v", got)
	}
}

// An answer to an earlier request says nothing about a later one.
func TestTally_OldAnswersDoNotSettle(t *testing.T) {
	t.Parallel()
	p := New()
	p.OpenTally("d1", web, start)
	p.OpenTally("d2", web, start)
	p.CloseTally("d1", []string{"i1"}, start)
	p.CloseTally("d2", []string{"i1"}, start)
	p.Record("i1", served(1, 1, 1, 0))
	all := p.Tallies()
	if len(all["d1"].Unanswered) != 0 || len(all["d2"].Unanswered) != 1 {
		t.Errorf("d1 %v, d2 %v; want only d1 settled", all["d1"], all["d2"])
	}
}

func TestTally_NotesWhatMayBeMissing(t *testing.T) {
	t.Parallel()
	p := New()
	p.OpenTally("d1", web, start)
	p.Interrupt("i1")
	p.CloseTally("d1", []string{"i2", "i3"}, start)
	p.Record("i2", served(1, 1, 1, 0))
	p.Interrupt("i2") // has answered
	p.Forget("i3")    // was removed and will never answer
	got := p.Tallies()["d1"]
	if !cmp.Equal(got.Interrupted, []string{"i1", "i3"}) || len(got.Unanswered) != 0 {
		t.Errorf("tally = %+v, want i1 and i3 interrupted", got)
	}
}

func TestTally_BeginsWithTheLeader(t *testing.T) {
	t.Parallel()
	p := New()
	p.OpenTally("d1", web, start)
	p.CloseTally("d1", nil, start)
	_, asked := p.Asked()
	settled := p.TallySettled()
	p.Reset(start.Add(time.Minute))
	if !closed(asked) || !closed(settled) {
		t.Error("the old leader's waiters were not woken")
	}
	p.OpenTally("d1", web, start)
	if got := p.Tallies()["d1"]; !got.Since.Equal(start.Add(time.Minute)) || !got.Closed.IsZero() {
		t.Errorf("tally = %+v, want one that begins with the leader", got)
	}
	if request, _ := p.Asked(); request != 0 {
		t.Errorf("request %d of the old leader", request)
	}
}

func TestTally_IsBounded(t *testing.T) {
	t.Parallel()
	p := New()
	p.OpenTally("d1", web, start)
	for revision := range uint64(maxTallied + 5) {
		refused := p.Record("i1", served(0, revision, 1, 0))
		if want := revision >= maxTallied; (refused == 1) != want {
			t.Fatalf("revision %d: refused %d", revision, refused)
		}
	}
	p.Record("i1", served(0, 1, math.MaxUint64, 0))
	if got := p.Tallies()["d1"]; len(got.Revisions) != maxTallied || got.Revisions[1].Requests != 1 {
		t.Errorf("%d revisions, %v", len(got.Revisions), got.Revisions[1])
	}
	for i := range maxTallies + 10 {
		p.OpenTally(fmt.Sprint(i), web+state.WorkloadID(fmt.Sprint(i)), start)
	}
	if got := len(p.Tallies()); got != maxTallies {
		t.Errorf("%d tallies, want %d", got, maxTallies)
	}
}

// Whatever comes in whatever order: a tally has each request of its time once.
func TestTally_CountsEachRequestOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := New()
		pending := map[string]uint64{} // served by an ingress and not yet sent
		var want uint64
		send := func(ingress string, request uint64) {
			p.Record(ingress, served(request, 1, pending[ingress], 0))
			pending[ingress] = 0
		}
		ingresses := []string{"i1", "i2", "i3"}
		p.OpenTally("d1", web, start)
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			ingress := rapid.SampledFrom(ingresses).Draw(t, "ingress")
			if rapid.Bool().Draw(t, "serve") {
				n := rapid.Uint64Range(1, 9).Draw(t, "n")
				pending[ingress] += n
				want += n
				continue
			}
			send(ingress, 0)
		}
		p.CloseTally("d1", ingresses, start)
		for _, ingress := range rapid.Permutation(ingresses).Draw(t, "order") {
			send(ingress, 1)
			pending[ingress] = 1000 // after the end
			send(ingress, 1)
		}
		if got := p.Tallies()["d1"].Revisions[1].Requests; got != want {
			t.Fatalf("%d requests, want %d", got, want)
		}
	})
}
