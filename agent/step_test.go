package agent

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// noon is now in the tables below.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// replicaWith is an assigned replica that nothing was done for yet, changed step by step.
func replicaWith(changes ...func(*replica)) *replica {
	r := &replica{id: "a", want: assignment("a", 20001), assigned: true, past: history{FirstSeen: noon}}
	for _, change := range changes {
		change(r)
	}
	return r
}

func goal(g runwayv1.Goal) func(*replica) { return func(r *replica) { r.want.Goal = g } }

func pulled(r *replica) { r.seen.image = true }

func placed(r *replica) {
	r.seen.place = &network.Attachment{ReplicaID: "a", NetNSPath: "/ns/a", IP: netip.MustParseAddr("10.64.1.2")}
	r.seen.address = true
}

func inState(state runtime.State) func(*replica) {
	return func(r *replica) {
		r.past.Created = true
		r.seen.container = &runtime.Container{ID: "a-0", State: state, StartedAt: noon, PID: 7}
	}
}

func past(change func(*history)) func(*replica) { return func(r *replica) { change(&r.past) } }

func serving(r *replica) {
	for _, change := range []func(*replica){pulled, placed, inState(runtime.StateRunning)} {
		change(r)
	}
	r.seen.readiness.Ready, r.seen.published, r.seen.entered = true, true, true
	r.past.ReadySince, r.past.ReadyAt, r.past.WasReady = noon, noon, true
}

func TestStep(t *testing.T) {
	t.Parallel()
	stop, drain := goal(runwayv1.Goal_GOAL_STOP), goal(runwayv1.Goal_GOAL_DRAIN)
	running := inState(runtime.StateRunning)
	bad := newCause(code.ProbeFailed, "bad")
	for _, row := range []struct {
		name    string
		replica *replica
		at      time.Duration
		want    verb
		until   time.Duration
		phase   string
	}{
		{"nothing done: pull", replicaWith(), 0, doPull, 0, "PULLING"},
		{"pulled: attach", replicaWith(pulled), 0, doAttach, 0, "STARTING"},
		{"attached: create", replicaWith(pulled, placed), 0, doCreate, 0, "STARTING"},
		{"created: start", replicaWith(pulled, placed, inState(runtime.StateCreated)), 0, doStart, 0, "STARTING"},
		{"running: wait for its port", replicaWith(pulled, placed, running), 0, doNothing, bindBudget, "RUNNING"},
		{"running too long: look at its sockets", replicaWith(pulled, placed, running), bindBudget, doInspect, 0, "RUNNING"},
		{"no socket: fail", replicaWith(pulled, placed, running, func(r *replica) { r.seen.sockets = &sockets{at: noon.Add(bindBudget)} }), bindBudget, doFail, 0, "RUNNING"},
		{"no socket, but was ready before: again", replicaWith(pulled, placed, running, past(func(h *history) { h.WasReady = true }), func(r *replica) { r.seen.sockets = &sockets{at: noon.Add(bindBudget)} }), bindBudget, doCondemn, 0, "RUNNING"},
		{"ready: nothing", replicaWith(serving), time.Hour, doNothing, 0, "RUNNING"},
		{"ready after crashes: look again to forget them", replicaWith(serving, past(func(h *history) { h.Crashes = 2 })), 0, doNothing, healthyAfter, "RUNNING"},
		{"liveness fails: condemn", replicaWith(serving, func(r *replica) { r.seen.liveness = probe.Verdict{Failing: true} }), 0, doCondemn, 0, "RUNNING"},
		{"condemned: terminate", replicaWith(serving, past(func(h *history) { h.Condemned = bad })), 0, doTerminate, 0, "RUNNING"},
		{"condemned and terminated: wait", replicaWith(serving, past(func(h *history) { h.Condemned, h.TermAt = bad, noon })), time.Second, doNothing, 5 * time.Second, "RUNNING"},
		{"condemned and deaf: kill", replicaWith(serving, past(func(h *history) { h.Condemned, h.TermAt = bad, noon })), 5 * time.Second, doKill, 0, "RUNNING"},
		{"killed and still there: kill again later", replicaWith(serving, past(func(h *history) { h.Condemned, h.TermAt, h.KillAt = bad, noon, noon })), 5 * time.Second, doNothing, killAgain, "RUNNING"},
		{"exited: bury", replicaWith(pulled, placed, inState(runtime.StateExited)), 0, doBury, 0, "RUNNING"},
		{"lost: bury", replicaWith(pulled, placed, inState(runtime.StateUnknown)), 0, doBury, 0, "RUNNING"},
		{"vanished: bury", replicaWith(pulled, placed, past(func(h *history) { h.Created = true })), 0, doBury, 0, "RUNNING"},
		{"back-off: wait", replicaWith(pulled, placed, past(func(h *history) { h.Attempt, h.NotBefore = 1, noon.Add(time.Second) })), 0, doNothing, time.Second, "STARTING"},
		{"back-off over: create", replicaWith(pulled, placed, past(func(h *history) { h.Attempt, h.NotBefore = 1, noon.Add(time.Second) })), time.Second, doCreate, 0, "STARTING"},
		{"failed step: wait", replicaWith(past(func(h *history) { h.RetryAt = noon.Add(time.Second) })), 0, doNothing, time.Second, "PULLING"},
		{"start budget over: fail", replicaWith(), startBudget, doFail, 0, "PULLING"},
		{"start budget of one that was ready: never over", replicaWith(past(func(h *history) { h.WasReady = true })), 24 * time.Hour, doPull, 0, "PULLING"},
		{"namespace gone: condemn", replicaWith(pulled, running), 0, doCondemn, 0, "RUNNING"},
		{"container of an earlier attempt: bury it", replicaWith(serving, func(r *replica) { r.seen.others = []runtime.ContainerID{"a-9"} }), 0, doBury, 0, "RUNNING"},
		{"drain: go on", replicaWith(serving, drain), time.Hour, doNothing, 0, "RUNNING"},
		{"drain and exited: bury", replicaWith(placed, inState(runtime.StateExited), drain), 0, doBury, 0, "STOPPING"},
		{"drain and never started: nothing is left", replicaWith(drain), 0, doNothing, 0, "STOPPED"},
		{"stop: terminate", replicaWith(serving, stop), 0, doTerminate, 0, "STOPPING"},
		{"stop: grace", replicaWith(serving, stop, past(func(h *history) { h.TermAt = noon })), time.Second, doNothing, 5 * time.Second, "STOPPING"},
		{"stop: kill", replicaWith(serving, stop, past(func(h *history) { h.TermAt = noon })), 5 * time.Second, doKill, 0, "STOPPING"},
		{"stop: bury", replicaWith(placed, inState(runtime.StateExited), stop), 0, doBury, 0, "STOPPING"},
		{"stop: wait for the port map", replicaWith(placed, stop, func(r *replica) { r.seen.entered = true }), 0, doNothing, 0, "STOPPING"},
		{"stop: detach", replicaWith(placed, stop), 0, doDetach, 0, "STOPPING"},
		{"stop: done", replicaWith(stop), 0, doNothing, 0, "STOPPED"},
		{"not assigned any more: terminate", replicaWith(serving, func(r *replica) { r.assigned = false }), 0, doTerminate, 0, "STOPPING"},
		{"not assigned, nothing left: forget", replicaWith(func(r *replica) { r.assigned = false }), 0, doForget, 0, "STOPPED"},
		{"failed while running: terminate", replicaWith(serving, past(func(h *history) { h.Failure = bad })), 0, doTerminate, 0, "FAILED"},
		{"failed, nothing left: wait for the coordinator", replicaWith(past(func(h *history) { h.Failure = bad })), 0, doNothing, 0, "FAILED"},
		{"failed, then stopped", replicaWith(stop, past(func(h *history) { h.Failure = bad })), 0, doNothing, 0, "STOPPED"},
	} {
		now := noon.Add(row.at)
		got, status := step(row.replica, now)
		until := time.Duration(0)
		if !got.until.IsZero() {
			until = got.until.Sub(noon)
		}
		if got.do != row.want || until != row.until {
			t.Errorf("%s: got %q until %s, want %q until %s", row.name, got.do, until, row.want, row.until)
		}
		if phase := "REPLICA_PHASE_" + row.phase; status.GetPhase().String() != phase {
			t.Errorf("%s: phase %s, want %s", row.name, status.GetPhase(), phase)
		}
		again, sameStatus := step(row.replica, now)
		if diff := cmp.Diff(status, sameStatus, protocmp.Transform()); diff != "" || again.do != got.do {
			t.Errorf("%s: the same question was answered differently: %q then %q\n%s", row.name, got.do, again.do, diff)
		}
	}
}

func TestReady_NeedsProcessPortAndProbe(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		change func(*replica)
		want   bool
	}{
		{"all", func(*replica) {}, true},
		{"no process", func(r *replica) { r.seen.container = nil }, false},
		{"exited", func(r *replica) { r.seen.container.State = runtime.StateExited }, false},
		{"not published", func(r *replica) { r.seen.published = false }, false},
		{"probe fails", func(r *replica) { r.seen.readiness.Ready = false }, false},
		{"condemned", func(r *replica) { r.past.Condemned = lostNamespace() }, false},
		{"stopping", func(r *replica) { r.want.Goal = runwayv1.Goal_GOAL_STOP }, false},
		{"draining", func(r *replica) { r.want.Goal = runwayv1.Goal_GOAL_DRAIN }, true},
		{"no node port", func(r *replica) { r.want.NodePort, r.seen.published = 0, false }, true},
		{"no port, just started", func(r *replica) { r.want.Spec.ContainerPort = 0 }, false},
		{"no port, settled", func(r *replica) {
			r.want.Spec.ContainerPort = 0
			r.seen.container.StartedAt = noon.Add(-workerSettle)
		}, true},
	} {
		r := replicaWith(serving, row.change)
		if got := r.ready(noon); got != row.want {
			t.Errorf("%s: ready %t, want %t", row.name, got, row.want)
		}
	}
}
