package dispatch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func ids(set *runwayv1.AssignmentSet) string {
	var list []string
	for _, a := range set.GetAssignments() {
		list = append(list, a.GetReplica())
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestAgent_RegistersItself(t *testing.T) {
	t.Parallel()
	b := newBench(t, coordinatortest.NewState(t), nil)
	a := b.agent("n7")
	node := b.state.View().Node("n7")
	if node.GetFacts().GetAddress() != "10.0.0.1" || node.GetStatus().GetEpoch() != 1 {
		t.Errorf("node = %v", node)
	}
	if set := a.assignments(); !set.GetFull() || len(set.GetAssignments()) != 0 {
		t.Errorf("first set = %v, want full and empty", set)
	}
	if !b.d.Connected("n7") || b.d.Connected("n8") {
		t.Error("Connected is wrong")
	}
}

// The pool is that of the join token, which is in the certificate: a node cannot put
// itself where other services run.
func TestAgent_IsInThePoolOfItsCertificate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ bound, declared, want string }{
		{"gpu", "", "gpu"},
		{"gpu", "gpu", "gpu"},
		{"gpu", "default", ""},
		{"", "", "default"},
		{"", "big", "big"}, // a certificate from before pools were bound
	} {
		b := newBench(t, coordinatortest.NewState(t), nil)
		stream, err := runwayv1.NewAgentSessionClient(b.conn).Connect(b.as(runwayv1.Role_ROLE_NODE, "n1", "pool", tt.bound))
		if err != nil {
			t.Fatal(err)
		}
		facts := coordinatortest.NodeFacts()
		facts.Pool = tt.declared
		if err := stream.Send(&runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Hello{Hello: &runwayv1.AgentHello{Name: "n1", Facts: facts}}}); err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		if refused := status.Code(err) == codes.PermissionDenied; refused != (tt.want == "") {
			t.Errorf("bound to %q, declares %q: %v", tt.bound, tt.declared, err)
		}
		if got := b.state.View().Node("n1").GetFacts().GetPool(); got != tt.want {
			t.Errorf("bound to %q, declares %q: in pool %q, want %q", tt.bound, tt.declared, got, tt.want)
		}
	}
}

func TestAgent_UnchangedFactsAreNotWrittenAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 0), nil)
	before := len(b.state.Log())
	b.agent("n1").assignments()
	if got := len(b.state.Log()); got != before {
		t.Errorf("reconnecting wrote %d commands", got-before)
	}
}

func TestAgent_ReceivesItsOwnAndOnlyDifferences(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 2), nil)
	mine, other := b.agent("n1"), b.agent("n2")
	set := mine.assignments()
	if !set.GetFull() || ids(set) != "r1 r2" {
		t.Fatalf("full set = %v", set)
	}
	first := set.GetAssignments()[0]
	if first.GetSpec().GetContainerPort() != 8080 || first.GetNodePort() != 20000 || first.GetNodeEpoch() != 1 || first.GetGoal() != runwayv1.Goal_GOAL_SERVE {
		t.Errorf("assignment = %v", first)
	}
	if got := ids(other.assignments()); got != "" {
		t.Errorf("n2 sees %q of n1", got)
	}
	b.state.Must(t, coordinatortest.Assign(coordinatortest.Replica("r3", "web", 1, "n1", 20009)))
	next := mine.assignments()
	if next.GetFull() || ids(next) != "r3" || next.GetGeneration() <= set.GetGeneration() {
		t.Errorf("difference = %v", next)
	}
	b.state.Must(t, &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: "r1", Goal: runwayv1.Goal_GOAL_DRAIN}}})
	if next := mine.assignments(); ids(next) != "r1" || next.GetAssignments()[0].GetGoal() != runwayv1.Goal_GOAL_DRAIN {
		t.Errorf("difference = %v", next)
	}
}

// Replicas are sent to an ingress as long as DNS names it; one that was asked to stop
// keeps its access to node ports.
func TestC5_ReplicasAreNotSentToAnIngressThatStops(t *testing.T) {
	t.Parallel()
	s := withReplicas(t, 0)
	for _, id := range []string{"i1", "i2"} {
		ingress := coordinatortest.RegisterIngress(id)
		ingress.Facts.InternalHttp = "10.0.0.100:10080"
		s.Must(t, ingress)
	}
	b := newBench(t, s, nil)
	a := b.agent("n1")
	if got := sentTo(a.assignments()); got != "i1 i2" {
		t.Fatalf("before the first routes replicas are sent to %q", got)
	}
	b.routes.publish(&runwayv1.RouteSet{Generation: 1, Full: true, Ingresses: []*runwayv1.IngressRecord{{Name: "i2"}}})
	set := a.assignments()
	if got := sentTo(set); got != "i2" || len(set.GetIngresses()) != 2 {
		t.Errorf("while i1 stops replicas are sent to %q, ingresses %v", got, set.GetIngresses())
	}
	b.routes.publish(&runwayv1.RouteSet{Generation: 2, Full: true, Ingresses: []*runwayv1.IngressRecord{{Name: "i1"}, {Name: "i2"}}})
	if got := sentTo(a.assignments()); got != "i1 i2" {
		t.Errorf("once i1 is back replicas are sent to %q", got)
	}
}

// sentTo names the ingresses that replicas are sent to.
func sentTo(set *runwayv1.AssignmentSet) string {
	var all []string
	for _, peer := range set.GetIngresses() {
		if peer.GetInternalHttp() != "" {
			all = append(all, peer.GetId())
		}
	}
	return strings.Join(all, " ")
}

func TestAssignment_HasThePolicyOfItsSpace(t *testing.T) {
	t.Parallel()
	s := withReplicas(t, 1)
	s.Must(t, &runwayv1.PutSpace{Name: "shop", Create: true, Spec: &runwayv1.SpaceSpec{Restricted: true}})
	for space, want := range map[string]bool{"shop": true, coordinatortest.SpaceName: false} {
		replica := &runwayv1.Replica{Workload: &runwayv1.WorkloadKey{Space: space, Service: "web", Environment: "production"}}
		if got := assignment(s.View(), replica).GetRestricted(); got != want {
			t.Errorf("space %q: restricted %v, want %v", space, got, want)
		}
	}
}

func TestAgent_StatusAloneSendsNothingBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	a := b.agent("n1")
	a.assignments()
	a.report(1, false, running("r1"))
	if message := a.receive(); message.GetReportAck().GetSequence() != 1 {
		t.Errorf("next message = %v, want only the confirmation", message)
	}
}

func TestAgent_StoppedReplicaIsWithdrawn(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	a := b.agent("n1")
	a.assignments()
	a.report(1, false, seen("r1", runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED))
	if set := a.assignments(); !slices.Equal(set.GetRemoved(), []string{"r1"}) || len(set.GetAssignments()) != 0 {
		t.Errorf("set = %v, want r1 removed", set)
	}
}

// Who has not its newest assignments on disk is counted, until it says that it has.
func TestAgent_AcknowledgesWhatIsOnItsDisk(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	a := b.agent("n1")
	set := a.assignments()
	if got := testutil.ToFloat64(b.d.metrics.unconfirmed); got != 1 {
		t.Errorf("%v agents are behind, want 1", got)
	}
	a.send(&runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Ack{Ack: &runwayv1.AssignmentAck{Generation: set.GetGeneration()}}})
	a.report(1, false)
	a.acked(1) // comes after the acknowledgement
	if got := testutil.ToFloat64(b.d.metrics.unconfirmed); got != 0 {
		t.Errorf("%v agents are behind after the acknowledgement, want 0", got)
	}
	a.send(&runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Ack{Ack: &runwayv1.AssignmentAck{Generation: set.GetGeneration() + 1}}})
	a.ends(codes.InvalidArgument)
}

// Assignments of a later time than the log are a sign that the log lost something.
func TestAgent_AheadOfTheLogIsCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	view := b.state.View()
	now := view.Cluster().GetGenerationBase() + view.Index()
	for i, hello := range []*runwayv1.AgentHello{
		{Incarnation: view.Cluster().GetIncarnation(), Generation: now},
		{Incarnation: "another", Generation: now + 5},
		{Incarnation: view.Cluster().GetIncarnation(), Generation: now + 5},
	} {
		b.d.ahead("n1", hello)
		want := 0.0
		if i == 2 {
			want = 1
		}
		if got := testutil.ToFloat64(b.d.metrics.ahead); got != want {
			t.Errorf("after %v: %v agents ahead, want %v", hello, got, want)
		}
	}
}

func TestMetrics_Lint(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	if _, err := NewMetrics(registry); err != nil {
		t.Fatal(err)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestAgent_ReportIsConfirmedOnceWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	a := b.agent("n1")
	a.assignments()
	a.report(1, false, running("r1"))
	a.acked(1)
	if got := b.state.View().Replica("r1").GetStatus(); !got.GetReady() {
		t.Errorf("status after the confirmation = %v", got)
	}
}

func TestAgent_CannotReportForOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	intruder := b.agent("n2")
	intruder.assignments()
	before := b.state.View().Replica("r1")
	intruder.report(1, true, seen("r1", runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED))
	intruder.acked(1)
	if after := b.state.View().Replica("r1"); !proto.Equal(before, after) {
		t.Errorf("n2 changed a replica of n1: %v", after)
	}
}

func TestAgent_EventsNameTheCertificatesNode(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	a := b.agent("n2")
	a.assignments()
	a.send(&runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Reports{Reports: &runwayv1.ReplicaReports{
		Sequence: 1, Events: []*runwayv1.AgentEvent{{Kind: "node.drift", Replica: "r1", Message: strings.Repeat("x", 5000)}},
	}}})
	a.acked(1)
	events := b.state.View().Events(1)
	if len(events) != 1 || events[0].GetNode() != "n2" || events[0].GetReplica() != "" || len(events[0].GetMessage()) > 2000 {
		t.Errorf("events = %v", events)
	}
}

// All that one message tells is written before it is confirmed.
func TestAgent_NoEventIsConfirmedAndLost(t *testing.T) {
	t.Parallel()
	s := coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"))
	for sent, want := range map[int]int{256: 256, maxMessageEvents + 7: maxMessageEvents + 1} {
		var events []*runwayv1.AgentEvent
		for range sent {
			events = append(events, &runwayv1.AgentEvent{Kind: "drift.repaired"})
		}
		if got := len(eventsOf(s.View(), "n1", events, time.Now())); got != want {
			t.Errorf("%d of %d events are written, want %d", got, sent, want)
		}
	}
}

func TestAgent_FullReportTellsWhatIsGone(t *testing.T) {
	t.Parallel()
	s := withReplicas(t, 3)
	s.Must(t, coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING),
		coordinatortest.Report("n1", "r2", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING))
	b := newBench(t, s, nil)
	a := b.agent("n1")
	a.assignments()
	a.report(1, true, running("r1"))
	a.acked(1)
	want := map[string]runwayv1.ReplicaPhase{
		"r1": runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING,
		"r2": runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED,
		"r3": runwayv1.ReplicaPhase_REPLICA_PHASE_PENDING, // never started there
	}
	for id, phase := range want {
		if got := s.View().Replica(id).GetStatus().GetPhase(); got != phase {
			t.Errorf("%s is %v, want %v", id, got, phase)
		}
	}
}

func TestAgent_SecondSessionEndsTheFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	first := b.agent("n1")
	second := b.agent("n1")
	first.ends(codes.Aborted)
	if got := ids(second.assignments()); got != "r1" {
		t.Errorf("second session has %q", got)
	}
	if !b.d.Connected("n1") {
		t.Error("the end of the first session forgot the second")
	}
}

// trap has a defect that the next look at the routes trips.
type trap struct {
	*table
	armed atomic.Bool
}

func (r *trap) Current() (*runwayv1.RouteSet, <-chan struct{}) {
	if r.armed.CompareAndSwap(true, false) {
		panic("a defect")
	}
	return r.table.Current()
}

func TestAgent_DefectEndsItsSessionAndNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	defective := &trap{table: b.routes}
	b.d.config.Routes = defective
	other := b.agent("n2")
	other.assignments()
	defective.armed.Store(true)
	tripped := b.dialAgent("n1")
	tripped.hello(coordinatortest.NodeFacts())
	tripped.ends(codes.Internal)
	if got := ids(b.agent("n1").assignments()); got != "r1" {
		t.Errorf("the next session of the node has %q", got)
	}
	if !b.d.Connected("n2") {
		t.Error("the session of another node ended")
	}
}

func TestAgent_FollowerNamesTheLeader(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 1), nil)
	leading := b.agent("n1")
	b.resign()
	leading.ends(codes.FailedPrecondition)
	late := b.dialAgent("n1")
	_, err := late.stream.Recv()
	if status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("follower answers %v", err)
	}
	details := status.Convert(err).Details()
	if len(details) != 1 || details[0].(*runwayv1.NotLeader).GetLeader() != "leader.test:7443" {
		t.Errorf("details = %v", details)
	}
}

func TestAgent_EndsWithItsNode(t *testing.T) {
	t.Parallel()
	tests := map[string]proto.Message{
		"removed": &runwayv1.RemoveNode{Node: "n2"},
		"down":    &runwayv1.SetNodePhase{Node: "n2", Phase: runwayv1.NodePhase_NODE_PHASE_DOWN},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, withReplicas(t, 0), nil)
			a := b.agent("n2")
			a.assignments()
			b.state.Must(t, change)
			a.ends(codes.Aborted)
		})
	}
}

func TestAgent_ComesBackFromDownWithANewEpoch(t *testing.T) {
	t.Parallel()
	s := withReplicas(t, 0)
	s.Must(t, &runwayv1.SetNodePhase{Node: "n2", Phase: runwayv1.NodePhase_NODE_PHASE_DOWN})
	b := newBench(t, s, nil)
	a := b.dialAgent("n2")
	a.hello(coordinatortest.NodeFacts())
	if got := a.receive().GetWelcome().GetEpoch(); got != 2 {
		t.Errorf("epoch = %d, want 2", got)
	}
}

func TestAgent_OtherRolesAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, withReplicas(t, 0), nil)
	for _, role := range []runwayv1.Role{runwayv1.Role_ROLE_INGRESS, runwayv1.Role_ROLE_CLUSTER_ADMIN, runwayv1.Role_ROLE_UNSPECIFIED} {
		stream, err := runwayv1.NewAgentSessionClient(b.conn).Connect(b.as(role, "n1"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%v: %v", role, err)
		}
	}
}

func TestAgent_ProtocolErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*fakeAgent){
		"beat before hello": func(a *fakeAgent) { a.beat() },
		"empty message":     func(a *fakeAgent) { a.send(&runwayv1.AgentMessage{}) },
		"hello twice": func(a *fakeAgent) {
			a.hello(coordinatortest.NodeFacts())
			a.hello(coordinatortest.NodeFacts())
		},
		"unbelievable capacity": func(a *fakeAgent) {
			facts := coordinatortest.NodeFacts()
			facts.CapacityMemoryBytes = 1 << 60
			a.hello(facts)
		},
	}
	for name, misbehave := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newBench(t, coordinatortest.NewState(t), nil).dialAgent("n1")
			misbehave(a)
			a.ends(codes.InvalidArgument)
		})
	}
}

func TestAgent_MustSayHelloInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBench(t, coordinatortest.NewState(t), nil).dialAgent("n1")
		began := time.Now()
		a.ends(codes.InvalidArgument)
		if took := time.Since(began); took != helloTimeout {
			t.Errorf("cut after %v, want %v", took, helloTimeout)
		}
	})
}

func TestAgent_EndsWithItsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newBench(t, coordinatortest.NewState(t), nil).agent("n1", "life", "30s")
		began := time.Now()
		a.ends(codes.Unauthenticated)
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestAgent_SlowReceiverIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"))
		spec := coordinatortest.Spec()
		spec.Env = map[string]string{"BIG": strings.Repeat("x", 200<<10)}
		s.Must(t, coordinatortest.Deploy("d1", "web", spec, 1),
			coordinatortest.Assign(coordinatortest.Replica("r1", "web", 1, "n1", 20000)))
		b := newBench(t, s, nil)
		a := b.dialAgent("n1")
		a.hello(coordinatortest.NodeFacts())
		// Nothing is received. The transport holds the full set; what follows waits.
		for !b.d.Connected("n1") {
			time.Sleep(time.Millisecond)
		}
		began := time.Now()
		for i := 2; b.d.Connected("n1"); i++ {
			s.Must(t, coordinatortest.Assign(coordinatortest.Replica("r"+itoa(i), "web", 1, "n1", uint32(20000+i))))
			a.beat()
			time.Sleep(time.Second)
		}
		if took := time.Since(began); took > sendTimeout+3*time.Second {
			t.Errorf("cut after %v", took)
		}
		again := b.agent("n1")
		if set := again.assignments(); !set.GetFull() || len(set.GetAssignments()) != len(s.View().ReplicasOn("n1")) {
			t.Errorf("after coming back: %d assignments", len(set.GetAssignments()))
		}
	})
}

// gate lets commands through one by one and counts them.
type gate struct {
	*coordinatortest.State
	open  chan struct{}
	count atomic.Int32
	fail  atomic.Pointer[error]
}

func (g *gate) Apply(ctx context.Context, payload proto.Message) (command.Result, error) {
	if _, ok := payload.(*runwayv1.ReportReplicas); ok {
		g.count.Add(1)
		if reason := g.fail.Load(); reason != nil {
			return command.Result{}, *reason
		}
		select {
		case <-g.open:
		case <-ctx.Done():
			return command.Result{}, ctx.Err()
		}
	}
	return g.State.Apply(ctx, payload)
}

func TestReports_WaitTogetherForABusyLog(t *testing.T) {
	t.Parallel()
	const count = 40
	g := &gate{State: withReplicas(t, count), open: make(chan struct{})}
	b := newBench(t, g.State, g)
	a := b.agent("n1")
	a.assignments()
	a.report(1, false, running("r1"))
	eventually(t, "first command under way", func() bool { return g.count.Load() == 1 })
	for i := 2; i <= count; i++ {
		a.report(uint64(i), false, running("r"+itoa(i)))
	}
	eventually(t, "all waiting", func() bool { return len(b.d.reports.waiting) == count-1 })
	close(g.open)
	a.acked(count)
	if got := g.count.Load(); got != 2 {
		t.Errorf("%d commands for %d reports, want 2", got, count)
	}
	for _, r := range b.state.View().Replicas() {
		if !r.GetStatus().GetReady() {
			t.Errorf("%s was confirmed but not written", r.GetId())
		}
	}
}

func TestReports_FailedWriteEndsTheSession(t *testing.T) {
	t.Parallel()
	g := &gate{State: withReplicas(t, 1), open: make(chan struct{})}
	reason := errors.New("leadership lost")
	g.fail.Store(&reason)
	a := newBench(t, g.State, g).agent("n1")
	a.assignments()
	a.report(1, false, running("r1"))
	a.ends(codes.Unavailable)
}

func TestReports_OverloadCutsInsteadOfGrowing(t *testing.T) {
	t.Parallel()
	r := newReports(nil, nil, newMetrics())
	for range maxWaiting {
		if err := r.put(report{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.put(report{}); !errors.Is(err, errOverload) {
		t.Errorf("put = %v, want errOverload", err)
	}
}

func TestParts_StayBelowTheLargestCommand(t *testing.T) {
	t.Parallel()
	var all []*runwayv1.NodeReport
	for range 100 {
		all = append(all, &runwayv1.NodeReport{Node: strings.Repeat("n", 20<<10)})
	}
	total := 0
	for _, part := range parts(all) {
		total += len(part)
		if size := proto.Size(&runwayv1.ReportReplicas{Reports: part}); size > command.MaxSize {
			t.Errorf("part of %d bytes", size)
		}
	}
	if total != len(all) {
		t.Errorf("%d of %d reports", total, len(all))
	}
	if got := parts(nil); got != nil {
		t.Errorf("parts of nothing = %v", got)
	}
}

func TestReportsOf_BoundsOneReport(t *testing.T) {
	t.Parallel()
	s := withReplicas(t, 1)
	long := running("r1")
	long.Status.Cause = &runwayv1.Cause{
		Code: string(code.CrashLoop), Summary: strings.Repeat("x", 1<<20), Evidence: slices.Repeat([]string{strings.Repeat("y", 2<<10)}, 100),
	}
	endless := running(strings.Repeat("r", 1<<20))
	got := reportsOf(s.View(), "n1", &runwayv1.ReplicaReports{Replicas: []*runwayv1.ReplicaReport{long, endless, {Replica: "r1"}, {Replica: strings.Repeat("r", 1<<20)}}})
	if len(got) != 1 || got[0].GetNode() != "n1" || proto.Size(got[0]) > maxReportBytes {
		t.Fatalf("reportsOf = %d reports", len(got))
	}
	why := got[0].GetStatus().GetCause()
	if why.GetCode() != string(code.CrashLoop) || len(why.GetSummary()) != maxText || len(why.GetEvidence()) != maxCutEvidence {
		t.Errorf("cause = %.200v, want it cut and not dropped", why)
	}
}

func BenchmarkReport_IdleLatency(b *testing.B) {
	s := coordinatortest.NewState(b)
	r := newReports(s, nil, newMetrics())
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	done := make(chan struct{})
	for b.Loop() {
		if err := r.put(report{confirmed: func() { done <- struct{}{} }}); err != nil {
			b.Fatal(err)
		}
		<-done
	}
	cancel()
	<-ended
}
