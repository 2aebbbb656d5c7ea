package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func statusWith(attempt uint32) *runwayv1.ReplicaStatus {
	return &runwayv1.ReplicaStatus{Attempt: attempt}
}

// sent describes the next message.
func sent(p *reporter) []string {
	message := p.next()
	if message == nil {
		return nil
	}
	var what []string
	if message.GetFull() {
		what = append(what, "full")
	}
	for _, r := range message.GetReplicas() {
		what = append(what, r.GetReplica()+" "+string(rune('0'+r.GetStatus().GetAttempt())))
	}
	for _, e := range message.GetEvents() {
		what = append(what, e.GetKind())
	}
	return what
}

func expectSent(t *testing.T, p *reporter, when string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, sent(p)); diff != "" {
		t.Errorf("%s: sent (-want +got):\n%s", when, diff)
	}
}

func TestReporter_SendsLatestUntilAcknowledged(t *testing.T) {
	t.Parallel()
	p := newReporter()
	p.put("a", 1, statusWith(0))
	expectSent(t, p, "before the first round")
	p.begin()
	p.reset()
	p.put("b", 1, statusWith(0))
	p.event("replica.oom", "a", code.OutOfMemory, "x")
	expectSent(t, p, "new session", "full", "a 0", "b 0", "replica.oom")
	expectSent(t, p, "nothing new")
	p.put("a", 1, statusWith(0))
	expectSent(t, p, "same status")
	p.put("a", 1, statusWith(1))
	p.put("a", 1, statusWith(2))
	expectSent(t, p, "only the latest", "a 2")
	p.ack(1)
	p.reset()
	expectSent(t, p, "second session: everything but the acknowledged event", "full", "a 2", "b 0")
	p.drop("a")
	p.reset()
	expectSent(t, p, "third session", "full", "b 0")
}

func TestReporter_BoundsWhatWaits(t *testing.T) {
	t.Parallel()
	p := newReporter()
	p.begin()
	p.reset()
	for i := range 3 * maxEvents {
		p.event("e", "", "", string(rune('a'+i%26)))
	}
	if got := len(p.next().GetEvents()); got != maxEvents {
		t.Errorf("%d events wait, want %d", got, maxEvents)
	}
	for i := range 2 * maxUnacked {
		p.put("a", 1, statusWith(uint32(i)))
		p.next()
	}
	if got := p.unacked(); got != maxUnacked {
		t.Errorf("%d messages on their way, want %d", got, maxUnacked)
	}
	p.ack(99) // never sent
	p.put("a", 1, statusWith(9))
	expectSent(t, p, "after the acknowledgement", "a 9")
}
