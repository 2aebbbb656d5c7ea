package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/presence"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table is a source of routes that a test sets.
type table struct {
	mu      sync.Mutex
	set     *runwayv1.RouteSet
	changed chan struct{}
}

func (r *table) Current() (*runwayv1.RouteSet, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.set, r.changed
}

func (r *table) publish(set *runwayv1.RouteSet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set = set
	close(r.changed)
	r.changed = make(chan struct{})
}

// bench is a dispatcher behind a server, with a state without Raft.
type bench struct {
	t         *testing.T
	state     *coordinatortest.State
	presence  *presence.Presence
	routes    *table
	authority *identity.Authority
	d         *Dispatcher
	conn      *grpc.ClientConn
	// resign ends the leadership and waits for Run.
	resign func()
}

// newBench starts a leader on s. apply is s.Apply unless a test stands in between.
func newBench(t *testing.T, s *coordinatortest.State, a applier) *bench {
	t.Helper()
	authority, err := identity.NewAuthority("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, state: s, presence: presence.New(), routes: &table{changed: make(chan struct{})}, authority: authority}
	if a == nil {
		a = s
	}
	b.presence.Reset(time.Now())
	b.d = New(Config{
		Views: s.View, Applier: a, Routes: b.routes, Presence: b.presence,
		Authority: func() *identity.Authority { return authority },
		Leader:    func() string { return "leader.test:7443" },
		Log:       slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	b.lead()
	b.serve()
	return b
}

func (b *bench) lead() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.d.Run(ctx) }()
	eventually(b.t, "leadership", func() bool {
		_, err := b.d.leadership()
		return err == nil
	})
	b.resign = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	})
	b.t.Cleanup(func() { b.resign() })
}

// serve takes the caller from metadata: authentication is not this package's.
func (b *bench) serve() {
	server := grpc.NewServer(
		grpc.WaitForHandlers(true), // they log, which they must not do after the test
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			return next(callerOf(ctx), request)
		}),
		grpc.StreamInterceptor(func(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			return next(service, &withCaller{stream, callerOf(stream.Context())})
		}),
	)
	b.d.Register(server)
	listener := bufconn.Listen(1 << 16)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		b.t.Fatal(err)
	}
	b.conn = conn
	b.t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			b.t.Error(err)
		}
		server.Stop()
		if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			b.t.Error(err)
		}
	})
}

type withCaller struct {
	grpc.ServerStream
	ctx context.Context
}

func (w *withCaller) Context() context.Context { return w.ctx }

func callerOf(ctx context.Context) context.Context {
	incoming, _ := metadata.FromIncomingContext(ctx)
	first := func(key string) string {
		if values := incoming.Get(key); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	c := caller.Caller{ID: first("id"), Pool: first("pool"), Role: runwayv1.Role(runwayv1.Role_value[first("role")])}
	if life, err := time.ParseDuration(first("life")); err == nil {
		c.Expires = time.Now().Add(life)
	}
	return caller.With(ctx, c)
}

// as returns a context of a machine.
func (b *bench) as(role runwayv1.Role, id string, more ...string) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	b.t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, append([]string{"id", id, "role", role.String()}, more...)...)
}

// fakeAgent is the other end of an agent session.
type fakeAgent struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[runwayv1.AgentMessage, runwayv1.CoordinatorMessage]
	bench  *bench
	id     string
}

// agent connects a node, says hello and takes the welcome.
func (b *bench) agent(id string, more ...string) *fakeAgent {
	b.t.Helper()
	a := b.dialAgent(id, more...)
	a.hello(coordinatortest.NodeFacts())
	if welcome := a.receive().GetWelcome(); welcome.GetNode() != id {
		b.t.Fatalf("welcome = %v, want node %q", welcome, id)
	}
	return a
}

func (b *bench) dialAgent(id string, more ...string) *fakeAgent {
	b.t.Helper()
	stream, err := runwayv1.NewAgentSessionClient(b.conn).Connect(b.as(runwayv1.Role_ROLE_NODE, id, more...))
	if err != nil {
		b.t.Fatal(err)
	}
	return &fakeAgent{t: b.t, stream: stream, bench: b, id: id}
}

func (a *fakeAgent) send(message *runwayv1.AgentMessage) {
	a.t.Helper()
	if err := a.stream.Send(message); err != nil {
		a.t.Fatalf("agent %s sends: %v", a.id, err)
	}
}

func (a *fakeAgent) hello(facts *runwayv1.NodeFacts) {
	a.t.Helper()
	a.send(&runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Hello{Hello: &runwayv1.AgentHello{Name: a.id, Facts: facts}}})
}

func (a *fakeAgent) beat() {
	a.t.Helper()
	a.send(&runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Beat{Beat: &runwayv1.Beat{}}})
}

func (a *fakeAgent) report(sequence uint64, full bool, replicas ...*runwayv1.ReplicaReport) {
	a.t.Helper()
	a.send(&runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Reports{Reports: &runwayv1.ReplicaReports{
		Sequence: sequence, Full: full, Replicas: replicas,
	}}})
}

func (a *fakeAgent) receive() *runwayv1.CoordinatorMessage {
	a.t.Helper()
	message, err := a.stream.Recv()
	if err != nil {
		a.t.Fatalf("agent %s receives: %v", a.id, err)
	}
	return message
}

// assignments skips other messages up to the next set.
func (a *fakeAgent) assignments() *runwayv1.AssignmentSet {
	a.t.Helper()
	for {
		if set := a.receive().GetAssignments(); set != nil {
			return set
		}
	}
}

// acked waits for the confirmation of a report.
func (a *fakeAgent) acked(sequence uint64) {
	a.t.Helper()
	for a.receive().GetReportAck().GetSequence() < sequence {
	}
}

// ends waits for the end of the session.
func (a *fakeAgent) ends(want codes.Code) {
	a.t.Helper()
	for {
		if _, err := a.stream.Recv(); err != nil {
			if got := status.Code(err); got != want {
				a.t.Fatalf("session of %s ended with %v, want %v", a.id, err, want)
			}
			return
		}
	}
}

func running(replica string) *runwayv1.ReplicaReport {
	return seen(replica, runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING)
}

func seen(replica string, phase runwayv1.ReplicaPhase) *runwayv1.ReplicaReport {
	return &runwayv1.ReplicaReport{Replica: replica, NodeEpoch: 1, Status: &runwayv1.ReplicaStatus{
		Phase: phase, Ready: phase == runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING,
	}}
}

// withReplicas is a state with service web and replicas r1.. on node n1.
func withReplicas(t *testing.T, count int) *coordinatortest.State {
	t.Helper()
	s := coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.RegisterNode("n2"),
		coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), uint32(count)))
	for i := range count {
		s.Must(t, coordinatortest.Assign(coordinatortest.Replica(fmt.Sprintf("r%d", i+1), "web", 1, "n1", uint32(20000+i))))
	}
	return s
}

// eventually polls until ok, which must be soon.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(10 * time.Second); !ok(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: never", what)
		}
	}
}
