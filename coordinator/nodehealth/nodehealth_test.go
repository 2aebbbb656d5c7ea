package nodehealth

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/presence"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	ready   = runwayv1.NodePhase_NODE_PHASE_READY
	suspect = runwayv1.NodePhase_NODE_PHASE_SUSPECT
	down    = runwayv1.NodePhase_NODE_PHASE_DOWN
	live    = runwayv1.IngressPhase_INGRESS_PHASE_LIVE
	lost    = runwayv1.IngressPhase_INGRESS_PHASE_LOST
)

func TestNodePhase(t *testing.T) {
	for _, row := range []struct {
		phase  runwayv1.NodePhase
		silent time.Duration
		heard  bool
		want   runwayv1.NodePhase
	}{
		{ready, 0, true, ready},
		{ready, 0, false, ready}, // an election is no mass failure
		{ready, suspectAfter - 1, true, ready},
		{ready, suspectAfter, true, suspect},
		{suspect, 0, true, ready},
		{suspect, 0, false, suspect}, // and raises nobody
		{suspect, downAfter - 1, true, suspect},
		{suspect, downAfter, false, down},
		{ready, downAfter, true, down},
		{down, 0, true, down}, // a beat is no registration
	} {
		if got := nodePhase(row.phase, row.silent, row.heard); got != row.want {
			t.Errorf("%v silent for %s, heard of %v: got %v, want %v", row.phase, row.silent, row.heard, got, row.want)
		}
	}
}

// rig is a judge with one node, one ingress and a clock of its own.
type rig struct {
	*coordinatortest.State
	t     *testing.T
	now   time.Time
	beats *presence.Presence
	owes  time.Time
	// silent ones confirm nothing.
	silent bool
	// seen is the index at which it was last looked how far the ingress follows.
	seen  uint64
	judge *judge
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, now: time.Now(), beats: presence.New()}
	r.State = coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.RegisterIngress("i1"))
	r.beats.Reset(r.now)
	r.judge = &judge{Config: Config{LastBeat: r.beats.LastBeat, Heard: r.beats.Heard, Standing: r.standing}}
	return r
}

// standing is what was found at the last look at the routes.
func (r *rig) standing(string) presence.Standing {
	s := presence.Standing{Generation: 1, Since: r.owes, Seen: r.seen}
	if r.silent {
		s.Generation = 0
	}
	return s
}

// pass looks four times a second, as the loop does, and beats while told to.
func (r *rig) pass(d time.Duration, machines ...string) (done []proto.Message) {
	r.t.Helper()
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(resync)
		for _, id := range machines {
			r.beats.Beat(id, r.now)
		}
		commands := r.judge.plan(r.View(), r.now)
		r.Must(r.t, commands...)
		done = append(done, commands...)
	}
	return done
}

func (r *rig) want(node runwayv1.NodePhase, ingress runwayv1.IngressPhase) {
	r.t.Helper()
	if got := r.View().Node("n1").GetStatus().GetPhase(); got != node {
		r.t.Errorf("node: got %v, want %v", got, node)
	}
	if got := r.View().Ingress("i1").GetStatus().GetPhase(); got != ingress {
		r.t.Errorf("ingress: got %v, want %v", got, ingress)
	}
}

func TestJudge_FollowsTheBeats(t *testing.T) {
	r := newRig(t)
	if done := r.pass(time.Minute, "n1", "i1"); len(done) != 0 {
		t.Errorf("all is well, but %v", done)
	}
	r.pass(suspectAfter - resync)
	r.want(ready, live)
	r.pass(resync)
	r.want(suspect, lost)
	r.pass(resync, "n1", "i1")
	r.want(ready, live)
	r.pass(downAfter, "i1")
	r.want(down, live)
	r.pass(time.Minute, "n1", "i1")
	r.want(down, live)
	r.Must(t, coordinatortest.RegisterNode("n1"))
	r.want(ready, live)
	if got := r.View().Node("n1").GetStatus().GetEpoch(); got != 2 {
		t.Errorf("epoch after the return: got %d, want 2", got)
	}
}

func TestJudge_SaysWhy(t *testing.T) {
	r := newRig(t)
	r.pass(resync, "n1", "i1")
	done := r.pass(downAfter)
	done = append(done, r.pass(resync, "n1", "i1")...)
	var got []string
	for _, payload := range done {
		switch c := payload.(type) {
		case *runwayv1.SetNodePhase:
			got = append(got, c.GetPhase().String()+" "+c.GetReason())
		case *runwayv1.SetIngressPhase:
			got = append(got, c.GetPhase().String()+" "+c.GetReason())
		}
	}
	want := []string{
		"NODE_PHASE_SUSPECT not heard of for 3s",
		"INGRESS_PHASE_LOST not heard of for 3s",
		"NODE_PHASE_DOWN not heard of for 12s",
		"INGRESS_PHASE_LIVE has confirmed its routes",
	}
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}

func TestJudge_LiveIngressThatConfirmsNothingIsLost(t *testing.T) {
	r := newRig(t)
	r.pass(time.Minute, "n1", "i1")
	r.owes = r.now
	r.pass(silentAfter-resync, "n1", "i1")
	r.want(ready, live)
	done := r.pass(resync, "n1", "i1")
	r.want(ready, lost)
	want := "is heard of, but has not confirmed its routes for 5s"
	if got := done[0].(*runwayv1.SetIngressPhase); got.GetReason() != want || got.GetCause().GetCode() != "RW-4203" {
		t.Errorf("reason: got %v, want %q", got, want)
	}
	if done := r.pass(time.Minute, "n1", "i1"); len(done) != 0 {
		t.Errorf("it beats but confirms nothing: %v", done)
	}
	r.owes = time.Time{}
	r.pass(resync, "n1", "i1")
	r.want(ready, live)
}

func TestJudge_RegistrationGivesANewIngressItsTime(t *testing.T) {
	r := newRig(t)
	r.now = time.Now() // commands are stamped with it
	r.owes = r.now.Add(-time.Hour)
	r.pass(resync, "n1", "i1")
	r.want(ready, live)
}

func TestJudge_OwnPauseIsNobodysSilence(t *testing.T) {
	r := newRig(t)
	r.pass(time.Minute, "n1", "i1")
	r.now = r.now.Add(time.Hour) // the process was stopped
	if done := r.pass(resync); len(done) != 0 {
		t.Errorf("after a pause of its own: %v", done)
	}
	r.pass(downAfter)
	r.want(down, lost)
}

func TestJudge_NewLeaderStartsEveryTimerAfresh(t *testing.T) {
	r := newRig(t)
	r.pass(time.Minute, "n1", "i1")
	r.beats.Reset(r.now)
	r.judge = &judge{Config: r.judge.Config}
	if done := r.pass(suspectAfter - 2*resync); len(done) != 0 {
		t.Errorf("right after an election: %v", done)
	}
}

// A new leader has heard of nobody: who was lost or suspect stays so until it has, and
// an ingress until it has confirmed routes to it.
func TestJudge_ElectionRaisesNobody(t *testing.T) {
	r := newRig(t)
	r.pass(time.Minute, "n1", "i1")
	r.pass(suspectAfter)
	r.want(suspect, lost)
	r.beats.Reset(r.now)
	r.silent = true
	r.judge = &judge{Config: r.judge.Config}
	if done := r.pass(suspectAfter - resync); len(done) != 0 {
		t.Errorf("right after an election: %v", done)
	}
	r.pass(resync, "n1", "i1")
	r.want(ready, lost)
	r.silent = false
	r.pass(resync, "n1", "i1")
	r.want(ready, live)
}

// An ingress that refuses its routes is lost at once, says why, and stays lost over
// beats, registrations and elections until it takes routes.
func TestJudge_IngressThatRefusesIsLostUntilItConfirms(t *testing.T) {
	r := newRig(t)
	r.pass(time.Minute, "n1", "i1")
	r.Must(t, &runwayv1.ReportIngress{Ingress: "i1", Refusal: &runwayv1.RouteRefusal{Generation: 9, GoingTotal: 6}})
	r.owes, r.silent = r.now, true
	r.pass(resync, "n1", "i1")
	r.want(ready, lost)
	cause := r.View().Ingress("i1").GetStatus().GetCause()
	if cause.GetCode() != "RW-4202" || cause.GetSummary() != "refuses its routes: 6 would go without a reason" || cause.GetFix() == "" {
		t.Errorf("cause = %v", cause)
	}
	for _, again := range []func(){
		func() {},
		func() { r.Must(t, coordinatortest.RegisterIngress("i1")) },
		func() { r.beats.Reset(r.now); r.judge = &judge{Config: r.judge.Config} },
	} {
		again()
		if done := r.pass(30*time.Second, "n1", "i1"); len(done) != 0 {
			t.Errorf("it refuses, and flaps: %v", done)
		}
		r.want(ready, lost)
	}
	r.Must(t, &runwayv1.ReportIngress{Ingress: "i1"})
	r.owes, r.silent = time.Time{}, false
	r.pass(resync, "n1", "i1")
	r.want(ready, live)
	if got := r.View().Ingress("i1").GetStatus().GetCause(); got != nil {
		t.Errorf("cause of a live ingress: %v", got)
	}
}

// How far an ingress follows was looked at before a replica was given up by the live ones:
// it may route to that one, so that it is not live by that look.
func TestJudge_ReturnIsDecidedOnTheStateThatWasLookedAt(t *testing.T) {
	r := newRig(t)
	r.Must(t, coordinatortest.RegisterIngress("i2"), coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 1),
		coordinatortest.Assign(coordinatortest.Replica("r1", "web", 1, "n1", 20000)))
	r.pass(time.Minute, "n1", "i1", "i2")
	r.pass(lostAfter, "n1", "i2")
	r.want(ready, lost)
	r.Must(t, &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: "r1", Goal: runwayv1.Goal_GOAL_DRAIN}}})
	r.seen = r.View().Index()
	r.Must(t, &runwayv1.ConfirmRoutes{Unrouted: []string{"r1"}, Drained: []string{"r1"}, Seen: r.seen})
	r.beats.Beat("i1", r.now)
	commands := r.judge.plan(r.View(), r.now)
	if len(commands) != 1 {
		t.Fatalf("plan = %v, want the return of i1", commands)
	}
	if _, err := r.Apply(t.Context(), commands[0]); !errors.Is(err, command.ErrConflict) {
		t.Errorf("i1 became live by a look from before r1 was given up: %v", err)
	}
	r.seen = r.View().Index()
	r.pass(resync, "n1", "i1", "i2")
	r.want(ready, live)
}

// One that follows a stream of changes is live, though it always owes the newest; one
// that confirmed once and then fell silent is not.
func TestJudge_LostIngressThatFollowsIsLive(t *testing.T) {
	r := newRig(t)
	r.pass(time.Minute, "n1", "i1")
	r.pass(lostAfter)
	r.want(suspect, lost)
	r.owes = r.now.Add(-silentAfter)
	r.pass(resync, "i1")
	r.want(suspect, lost)
	r.owes = r.now.Add(-silentAfter + 2*resync)
	r.pass(resync, "i1")
	r.want(suspect, live)
}
