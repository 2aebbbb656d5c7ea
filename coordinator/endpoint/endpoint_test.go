package endpoint

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/presence"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// rig is a leader's planner over a state with two ingresses, one node and one
// service, and a clock that moves when told.
type rig struct {
	*coordinatortest.State
	t       *testing.T
	now     time.Time
	acks    map[string]presence.Ack
	planner *planner
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, now: time.Now(), acks: map[string]presence.Ack{}}
	r.State = coordinatortest.NewState(t,
		coordinatortest.RegisterNode("n1"), coordinatortest.RegisterIngress("i1"), coordinatortest.RegisterIngress("i2"),
		coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 2),
		coordinatortest.Assign(coordinatortest.Replica("r1", "web", 1, "n1", 20000), coordinatortest.Replica("r2", "web", 1, "n1", 20001)),
	)
	r.elect()
	return r
}

// elect begins a new leadership: nothing is remembered, nobody has confirmed.
func (r *rig) elect() {
	clear(r.acks)
	c := New(Config{Views: r.View, Applier: r, Acks: func() map[string]presence.Ack { return r.acks }})
	r.planner = &planner{controller: c, guard: loop.NewGuard("endpoint", slog.New(slog.DiscardHandler))}
}

// look does what the planner wants until it wants nothing.
func (r *rig) look() {
	r.t.Helper()
	for range 10 {
		commands := r.planner.plan(r.View(), r.now)
		if len(commands) == 0 {
			return
		}
		r.Must(r.t, commands...)
	}
	r.t.Fatal("the planner never rests")
}

func (r *rig) settle() { r.now = r.now.Add(settling); r.look() }

func (r *rig) set() *runwayv1.RouteSet {
	set, _ := r.planner.controller.Current()
	return set
}

// ack lets ingresses confirm the present set.
func (r *rig) ack(ingresses ...string) {
	r.t.Helper()
	for _, id := range ingresses {
		r.acks[id] = r.confirmation()
	}
	r.look()
}

// stop lets an ingress say that it was asked to stop.
func (r *rig) stop(ingress string) {
	r.t.Helper()
	ack := r.acks[ingress]
	ack.Stopping = true
	r.acks[ingress] = ack
	r.look()
}

func (r *rig) confirmation() presence.Ack {
	return presence.Ack{Incarnation: "first", Generation: r.set().GetGeneration(), Saved: r.set().GetGeneration()}
}

func (r *rig) ready(id string, ready bool) {
	r.t.Helper()
	report := coordinatortest.Report("n1", id, runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING)
	report.Reports[0].Status.Ready = ready
	r.Must(r.t, report)
	r.look()
}

func (r *rig) drain(id string) {
	r.t.Helper()
	r.Must(r.t, &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: id, Goal: runwayv1.Goal_GOAL_DRAIN}}})
	r.look()
}

func (r *rig) lose(ingress string) {
	r.t.Helper()
	r.Must(r.t, &runwayv1.SetIngressPhase{Ingress: ingress, Phase: runwayv1.IngressPhase_INGRESS_PHASE_LOST, Reason: "test"})
	r.look()
}

func (r *rig) want(id string, serving, drained, released bool) {
	r.t.Helper()
	got := r.View().Replica(id).GetRouting()
	want := &runwayv1.ReplicaRouting{Serving: serving, Drained: drained, Released: released, Unrouted: drained || released}
	if !proto.Equal(got, want) {
		r.t.Errorf("routing of %s: got {%v}, want {%v}", id, got, want)
	}
}

func (r *rig) published() (names []string) {
	for _, i := range r.set().GetIngresses() {
		names = append(names, i.GetName())
	}
	return names
}

func (r *rig) routed() (replicas []string) {
	for id := range endpointsOf(r.set()) {
		replicas = append(replicas, id)
	}
	slices.Sort(replicas)
	return replicas
}

func TestConfirm_ServesOnceEveryLiveIngressHasIt(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.want("r1", false, false, false)
	r.ack("i1")
	r.want("r1", false, false, false)
	r.ack("i2")
	r.want("r1", true, false, false)
	r.want("r2", false, false, false)
}

func TestConfirm_NoIngressIsNoAgreement(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.settle()
	r.lose("i1")
	r.lose("i2")
	r.want("r1", false, false, false)
}

func TestConfirm_JoiningIngressTakesNothingBack(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1", "i2")
	r.Must(t, coordinatortest.RegisterIngress("i3"))
	r.look()
	r.want("r1", true, false, false)
	r.drain("r1")
	r.ack("i1", "i2")
	r.want("r1", true, false, false) // the new one may still send requests to it
	r.ack("i3")
	r.want("r1", false, true, true)
}

func TestConfirm_ReplicaThatCameBackServesOnlyWhenEverybodyHasItAgain(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1", "i2")
	r.ready("r1", false)
	r.ack("i1")
	r.want("r1", true, false, false) // i2 still routes to it
	r.ready("r1", true)
	r.want("r1", false, false, false) // i1 does not
	r.ack("i1", "i2")
	r.want("r1", true, false, false)
}

// One that returned to the routes and is told to go before all have it again gets
// requests from some, although it does not serve.
func TestConfirm_ReplicaThatCameBackIsUnroutedWhenEverybodyGaveItUp(t *testing.T) {
	r := newRig(t)
	unrouted := func(want bool) {
		t.Helper()
		if got := r.View().Replica("r1").GetRouting(); got.GetServing() || got.GetUnrouted() != want {
			t.Errorf("got {%v}, want unrouted %v", got, want)
		}
	}
	r.ready("r1", true)
	r.ack("i1", "i2")
	r.ready("r1", false)
	r.ack("i1", "i2")
	unrouted(false) // it may return
	r.ready("r1", true)
	r.ack("i1")
	r.drain("r1")
	r.ack("i2")
	unrouted(false) // i1 still routes to it
	ack := r.confirmation()
	ack.Held = []string{"r1"}
	r.acks["i1"] = ack
	r.look()
	unrouted(true)
	if r.View().Replica("r1").GetRouting().GetDrained() {
		t.Error("drained while i1 waits for answers")
	}
}

func TestConfirm_DrainsWhenRequestsAreDoneOrTheDeadlineHasPassed(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1", "i2")
	r.now = time.Now()
	r.drain("r1")
	r.ack("i1")
	r.want("r1", true, false, false)
	ack := r.confirmation()
	ack.Held = []string{"r1"}
	r.acks["i2"] = ack
	r.look()
	r.want("r1", false, false, true) // nobody routes to it, one still waits for answers
	r.now = r.View().Replica("r1").GetPlan().GetDrainSince().AsTime().Add(30*time.Second - 1)
	r.look()
	r.want("r1", false, false, true)
	r.now = r.now.Add(1)
	r.look()
	r.want("r1", false, true, true)
}

func TestConfirm_LostIngressBlocksNothingButItsPorts(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1", "i2")
	r.settle()
	r.lose("i2")
	r.acks["i2"] = presence.Ack{Incarnation: "first"} // its session ended
	r.drain("r1")
	r.ack("i1")
	r.want("r1", false, true, false)
	r.ack("i2")
	r.want("r1", false, true, true)
}

func TestConfirm_RemovedIngressReleasesItsPorts(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1", "i2")
	r.settle()
	r.lose("i2")
	delete(r.acks, "i2")
	r.drain("r1")
	r.ack("i1")
	r.want("r1", false, true, false)
	r.Must(t, &runwayv1.RemoveIngress{Ingress: "i2"})
	r.look()
	r.want("r1", false, true, true)
}

func TestConfirm_OtherIncarnationConfirmsNothing(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1")
	r.acks["i2"] = presence.Ack{Incarnation: "before the restore", Generation: 1 << 40, Saved: 1 << 40}
	r.look()
	r.want("r1", false, false, false)
}

func TestConfirm_SettlingLeaderCountsLostIngressesAsLive(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1", "i2")
	r.lose("i1")
	r.lose("i2")
	r.elect()
	r.drain("r1")
	r.want("r1", true, false, false) // both may be on their way to the new leader
	r.settle()
	r.want("r1", false, true, false)
}

func TestConfirm_WorkerIsNobodysToRelease(t *testing.T) {
	r := newRig(t)
	worker := coordinatortest.Spec()
	worker.ContainerPort, worker.Public, worker.Internal = 0, false, false
	r.Must(t, coordinatortest.Deploy("d2", "worker", worker, 1), coordinatortest.Assign(coordinatortest.Replica("w1", "worker", 1, "n1", 0)))
	r.look()
	r.drain("w1")
	r.want("w1", false, true, true)
}

// A generation is an index of the log and has one content for ever: a new leader, or
// a confirmation that changes the list of ingresses, first moves the index.
func TestPublish_GenerationNamesOneContentAcrossLeaders(t *testing.T) {
	r := newRig(t)
	contents := map[uint64]*runwayv1.RouteSet{}
	note := func(when string) {
		t.Helper()
		set := r.set()
		if set.GetGeneration() > r.View().Cluster().GetGenerationBase()+r.View().Index() {
			t.Errorf("%s: generation %d is younger than the log's index %d", when, set.GetGeneration(), r.View().Index())
		}
		if before := contents[set.GetGeneration()]; before != nil && !proto.Equal(before, set) {
			t.Errorf("%s: generation %d has two contents: %s", when, set.GetGeneration(), cmp.Diff(before.String(), set.String()))
		}
		contents[set.GetGeneration()] = set
	}
	r.look()
	note("first leader")
	for range 3 {
		newest := r.set().GetGeneration()
		r.elect()
		r.look()
		note("new leader")
		if r.set().GetGeneration() <= newest {
			t.Errorf("a new leader begins with generation %d, the one before had %d", r.set().GetGeneration(), newest)
		}
		r.settle()
		note("settled")
		r.ack("i1")
		note("an ingress confirmed")
		r.ack("i2")
		note("both confirmed")
	}
}

func TestPublish_SameRoutesKeepTheirGeneration(t *testing.T) {
	r := newRig(t)
	r.look()
	before := r.set()
	r.Must(t, coordinatortest.Deploy("d9", "other", func() *runwayv1.RevisionSpec {
		s := coordinatortest.Spec()
		s.Public, s.Internal = false, false
		return s
	}(), 1))
	r.look()
	if r.set() != before {
		t.Errorf("a service without a route, which is withdrawn, made generation %d of %d", r.set().GetGeneration(), before.GetGeneration())
	}
}

func TestRoutes_IngressIsInDNSWhileItKnowsTheRoutes(t *testing.T) {
	r := newRig(t)
	r.look()
	steps := []struct {
		when string
		do   func()
		want []string
	}{
		{"a new leader withdraws none", func() {}, []string{"i1", "i2"}},
		{"settled, and only one has come", func() { r.acks["i1"] = presence.Ack{Incarnation: "first"}; r.settle() }, []string{"i1"}},
		{"the other comes", func() { r.ack("i2") }, []string{"i1", "i2"}},
		{"one is to stop", func() { r.stop("i1") }, []string{"i2"}},
		{"the other too: better an address than none", func() { r.stop("i2") }, []string{"i1", "i2"}},
		{"it is started again", func() { r.ack("i2") }, []string{"i2"}},
		{"the first, too", func() { r.ack("i1") }, []string{"i1", "i2"}},
		{"one is lost", func() { r.lose("i1") }, []string{"i2"}},
	}
	for _, step := range steps {
		step.do()
		if diff := cmp.Diff(step.want, r.published()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.when, diff)
		}
	}
}

func TestRoutes_EndpointsAreReadyReplicasOnNodesThatAreHeardOf(t *testing.T) {
	r := newRig(t)
	node := func(phase runwayv1.NodePhase) func() {
		return func() { r.Must(t, &runwayv1.SetNodePhase{Node: "n1", Phase: phase}); r.look() }
	}
	steps := []struct {
		when string
		do   func()
		want []string
	}{
		{"none is ready", r.look, nil},
		{"one is ready", func() { r.ready("r1", true) }, []string{"r1"}},
		{"both are", func() { r.ready("r2", true) }, []string{"r1", "r2"}},
		{"one drains", func() { r.drain("r2") }, []string{"r1"}},
		{"the node is suspect", node(runwayv1.NodePhase_NODE_PHASE_SUSPECT), nil},
		{"it is heard of again", node(runwayv1.NodePhase_NODE_PHASE_READY), []string{"r1"}},
		{"the service is deleted", func() {
			r.Must(t, &runwayv1.DeleteWorkload{Workload: coordinatortest.Key("web")})
			r.look()
		}, nil},
	}
	for _, step := range steps {
		step.do()
		if diff := cmp.Diff(step.want, r.routed()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.when, diff)
		}
	}
}

// unconfirmed returns since when an ingress owes a confirmation, and whether it follows.
func (r *rig) unconfirmed(ingress string) (since time.Time, follows bool) {
	s := r.planner.controller.Standing(ingress)
	return s.Since, s.Follows()
}

func TestUnconfirmed_CountsFromTheOldestDebt(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1")
	first := r.now
	for range 3 { // changes do not hide a silence
		r.now = r.now.Add(time.Second)
		r.ready("r2", r.now.Second()%2 == 0)
		r.ack("i1")
	}
	if got, _ := r.unconfirmed("i2"); !got.Equal(first) {
		t.Errorf("i2 owes since %s, want %s", got, first)
	}
	if got, _ := r.unconfirmed("i1"); !got.IsZero() {
		t.Errorf("i1 owes since %s, want nothing", got)
	}
	r.ack("i2")
	r.ack("i2") // the first one put it into DNS, which is another set
	if got, _ := r.unconfirmed("i2"); !got.IsZero() {
		t.Errorf("i2 has confirmed and owes since %s", got)
	}
}

// What was told to go has been given up by the live ingresses only. One that was lost
// must give it up as well before it is one of them again, however short its debt.
func TestUnconfirmed_LostIngressStillRoutesToWhatTheOthersGaveUp(t *testing.T) {
	r := newRig(t)
	r.look()
	r.settle()
	r.ready("r1", true)
	r.ready("r2", true)
	r.ack("i1", "i2")
	r.lose("i2")
	r.drain("r1")
	if _, confirmed := r.unconfirmed("i2"); !confirmed {
		t.Error("before the others gave it up, what i2 routes to is as good as what they do")
	}
	r.ack("i1")
	r.want("r1", false, true, false)
	if _, confirmed := r.unconfirmed("i2"); confirmed {
		t.Error("i2 routes to r1, which may stop, and could be live")
	}
	r.ack("i2")
	if _, confirmed := r.unconfirmed("i2"); !confirmed {
		t.Error("i2 has given r1 up, and cannot be live")
	}
}

// A standing is of the state that it was looked at with, until the next look.
func TestStanding_NamesTheStateItIsOf(t *testing.T) {
	r := newRig(t)
	r.look()
	looked := r.View().Index()
	r.Must(t, &runwayv1.RecordEvents{Events: []*runwayv1.Event{{Kind: "test"}}})
	if got := r.planner.controller.Standing("i1").Seen; got != looked {
		t.Errorf("standing of index %d, looked at %d", got, looked)
	}
	r.look()
	if got, want := r.planner.controller.Standing("i1").Seen, r.View().Index(); got != want {
		t.Errorf("standing of index %d after another look at %d", got, want)
	}
}
