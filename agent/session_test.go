package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/agent/runtimetest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// coordinator is the other end of sessions.
type coordinator struct {
	runwayv1.UnimplementedAgentSessionServer
	mu       sync.Mutex
	refuse   error
	welcome  *runwayv1.AgentWelcome
	greeting []*runwayv1.CoordinatorMessage // sent after each welcome
	sessions int
	hello    *runwayv1.AgentHello
	beats    []time.Time
	acks     []uint64
	statuses map[string]*runwayv1.ReplicaStatus
	fulls    int
	events   []string
	lines    []string
	streams  map[string][]string
	failure  string
	// mute acknowledges no report.
	mute bool
	send chan *runwayv1.CoordinatorMessage
	end  chan error
}

func (c *coordinator) Connect(stream grpc.BidiStreamingServer[runwayv1.AgentMessage, runwayv1.CoordinatorMessage]) error {
	c.mu.Lock()
	c.sessions++
	refuse := c.refuse
	c.mu.Unlock()
	if refuse != nil {
		return refuse
	}
	received := make(chan *runwayv1.AgentMessage)
	go func() {
		defer close(received)
		for {
			message, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case received <- message:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	for {
		select {
		case message, open := <-received:
			if !open {
				return nil
			}
			if err := c.answer(stream, message); err != nil {
				return err
			}
		case message := <-c.send:
			if err := stream.Send(message); err != nil {
				return err
			}
		case err := <-c.end:
			return err
		}
	}
}

func (c *coordinator) answer(stream grpc.BidiStreamingServer[runwayv1.AgentMessage, runwayv1.CoordinatorMessage], message *runwayv1.AgentMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := message.GetMessage().(type) {
	case *runwayv1.AgentMessage_Hello:
		c.hello = m.Hello
		if c.welcome == nil {
			return nil
		}
		first := &runwayv1.CoordinatorMessage{Message: &runwayv1.CoordinatorMessage_Welcome{Welcome: c.welcome}}
		for _, message := range append([]*runwayv1.CoordinatorMessage{first}, c.greeting...) {
			if err := stream.Send(message); err != nil {
				return err
			}
		}
	case *runwayv1.AgentMessage_Beat:
		c.beats = append(c.beats, time.Now())
	case *runwayv1.AgentMessage_Ack:
		c.acks = append(c.acks, m.Ack.GetGeneration())
	case *runwayv1.AgentMessage_Reports:
		return c.commit(stream, m.Reports)
	}
	return nil
}

func (c *coordinator) commit(stream grpc.BidiStreamingServer[runwayv1.AgentMessage, runwayv1.CoordinatorMessage], reports *runwayv1.ReplicaReports) error {
	if reports.GetFull() {
		c.fulls++
		clear(c.statuses)
	}
	for _, r := range reports.GetReplicas() {
		c.statuses[r.GetReplica()] = r.GetStatus()
	}
	for _, e := range reports.GetEvents() {
		c.events = append(c.events, e.GetKind()+" "+e.GetCode())
	}
	if c.mute {
		return nil
	}
	ack := &runwayv1.CoordinatorMessage_ReportAck{ReportAck: &runwayv1.ReportAck{Sequence: reports.GetSequence()}}
	return stream.Send(&runwayv1.CoordinatorMessage{Message: ack})
}

func (c *coordinator) UploadLogs(stream grpc.ClientStreamingServer[runwayv1.LogUpload, runwayv1.LogUploadSummary]) error {
	name := ""
	for {
		upload, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&runwayv1.LogUploadSummary{})
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		if upload.GetStream() != "" {
			name = upload.GetStream()
			c.lines = append(c.lines, "stream "+name)
		}
		for _, line := range upload.GetLines() {
			c.lines = append(c.lines, line.GetText())
			c.streams[name] = append(c.streams[name], line.GetText())
		}
		if upload.GetError() != "" {
			c.failure = upload.GetError()
		}
		c.mu.Unlock()
	}
}

// read looks at the coordinator between two of its steps.
func (c *coordinator) read(look func() bool) func() bool {
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return look()
	}
}

// beaten is how many beats have come.
func (c *coordinator) beaten() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.beats)
}

func assigns(set *runwayv1.AssignmentSet) *runwayv1.CoordinatorMessage {
	return &runwayv1.CoordinatorMessage{Message: &runwayv1.CoordinatorMessage_Assignments{Assignments: set}}
}

// connected is a rig whose agent runs as a whole, with a coordinator.
type connected struct {
	*rig
	coordinator *coordinator
	agent       *Agent
	conn        grpc.ClientConnInterface
	// adapt changes the agent before it runs.
	adapt func(*Agent)
}

func onSession(t *testing.T, prepare func(*connected), test func(*testing.T, *connected)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &connected{rig: newRig(t), coordinator: &coordinator{
			welcome: welcome("i1", 1), statuses: map[string]*runwayv1.ReplicaStatus{}, streams: map[string][]string{},
			send: make(chan *runwayv1.CoordinatorMessage), end: make(chan error),
		}}
		listener := bufconn.Listen(1 << 20)
		server := grpc.NewServer(grpc.WaitForHandlers(true))
		runwayv1.RegisterAgentSessionServer(server, c.coordinator)
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		conn, err := grpc.NewClient("passthrough:///coordinator", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
		if err != nil {
			t.Fatal(err)
		}
		if prepare != nil {
			prepare(c)
		}
		c.conn = conn
		c.launch(conn)
		defer func() {
			c.kill()
			server.Stop()
			<-served
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(t, c)
	})
}

// launch runs New and Run, as the command does.
func (c *connected) launch(conn grpc.ClientConnInterface) {
	c.t.Helper()
	deps := c.makeDeps()
	deps.Coordinator = conn
	agent, err := New(c.config(), deps)
	if err != nil {
		c.t.Fatal(err)
	}
	c.agent, c.worker, c.reporter, c.deps = agent, agent.worker, agent.session.reporter, agent.deps
	if c.adapt != nil {
		c.adapt(agent)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx) }()
	c.end = func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			c.t.Errorf("agent ended with %v", err)
		}
	}
}

func TestSession_FromWelcomeToReady(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001)))}
	}, func(t *testing.T, c *connected) {
		co := c.coordinator
		c.until("ready reported", time.Second, co.read(func() bool { return co.statuses["a"].GetReady() }))
		if co.hello.GetName() != "n1" || co.hello.GetFacts().GetAllocatableMemoryBytes() == 0 || !slices.Contains(co.acks, 5) {
			t.Errorf("hello %v, acks %v: want name, facts and generation 5 acknowledged", co.hello, co.acks)
		}
		if saved, err := loadAssignments(c.dir); err != nil || saved.Generation != 5 {
			t.Errorf("on disk: %v, %v, want generation 5", saved, err)
		}
		removal := setOf(6, false, assignment("b", 20002))
		removal.Removed = []string{"a"}
		co.send <- assigns(removal)
		c.until("b ready", 10*time.Second, co.read(func() bool { return co.statuses["b"].GetReady() && slices.Contains(co.acks, 6) }))
		c.until("a gone", 10*time.Second, func() bool { return slices.Equal(c.containers(), []string{"b-0 running"}) })
		time.Sleep(10 * time.Second)
		co.mu.Lock()
		defer co.mu.Unlock()
		if n := len(co.beats); n < 10 || co.beats[n-1].Sub(co.beats[n-2]) != beatEvery {
			t.Errorf("beats %v, want one each second", co.beats)
		}
	})
}

func TestSession_LossChangesNothingOnTheNode(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001)))}
	}, func(t *testing.T, c *connected) {
		co := c.coordinator
		c.until("ready reported", time.Second, co.read(func() bool { return co.statuses["a"].GetReady() }))
		co.mu.Lock()
		co.refuse = status.Error(codes.Unavailable, "away")
		co.mu.Unlock()
		co.end <- status.Error(codes.Unavailable, "away")
		time.Sleep(time.Minute)
		c.runtime.Exit("a-0", 1)
		c.until("restarted alone", time.Second, func() bool { return c.status("a").GetReady() && c.status("a").GetAttempt() == 1 })
		time.Sleep(10 * time.Minute)
		co.mu.Lock()
		co.refuse = nil
		tries := co.sessions
		co.mu.Unlock()
		c.until("back", lastReconnect+time.Second, co.read(func() bool { return co.statuses["a"].GetAttempt() == 1 && co.statuses["a"].GetReady() }))
		if most := 660 * 2 / int(lastReconnect.Seconds()) * 2; tries > most {
			t.Errorf("%d sessions were tried in 11 minutes, want at most %d", tries, most)
		}
		if co.hello.GetGeneration() != 5 || co.hello.GetIncarnation() != "i1" || co.fulls != 2 {
			t.Errorf("hello %v, %d full reports: want what is on disk, and one full report for each session", co.hello, co.fulls)
		}
	})
}

func TestSession_StaleSetIsRefused(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001)))}
	}, func(t *testing.T, c *connected) {
		co := c.coordinator
		c.until("ready reported", time.Second, co.read(func() bool { return co.statuses["a"].GetReady() }))
		co.mu.Lock()
		co.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(4, true))}
		co.mu.Unlock()
		co.send <- assigns(setOf(4, true))
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"a-0 running"}, c.containers()); diff != "" {
			t.Errorf("containers (-want +got):\n%s", diff)
		}
		if slices.Contains(co.acks, 4) || co.sessions < 2 {
			t.Errorf("acks %v in %d sessions: want no acknowledgement and the session ended", co.acks, co.sessions)
		}
		co.mu.Lock()
		co.welcome, co.greeting = welcome("i2", 1), []*runwayv1.CoordinatorMessage{assigns(setOf(1, true))}
		co.mu.Unlock()
		c.until("restored coordinator is obeyed", 30*time.Second, func() bool { return len(c.containers()) == 0 })
	})
}

func TestSession_UnsavedSetIsCarriedOutButNotAcknowledged(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		if err := os.MkdirAll(assignmentsPath(c.dir)+".new", 0o700); err != nil {
			t.Fatal(err)
		}
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001)))}
	}, func(t *testing.T, c *connected) {
		co := c.coordinator
		c.until("ready reported", time.Second, co.read(func() bool { return co.statuses["a"].GetReady() }))
		if len(co.acks) != 0 || !slices.Contains(co.events, "node.disk RW-6008") {
			t.Errorf("acks %v, events %v: want no acknowledgement and an event", co.acks, co.events)
		}
	})
}

// A disk that hangs makes the node leave: it would look alive and take nothing. The set is carried out, and kept once the disk
// answers again.
func TestSession_HungDiskMakesTheNodeLeave(t *testing.T) {
	disk := make(chan struct{})
	onSession(t, func(c *connected) {
		disk = make(chan struct{})
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001)))}
		c.adapt = func(a *Agent) {
			save := a.session.save
			a.session.save = func(set *assignments) error { <-disk; return save(set) }
		}
	}, func(t *testing.T, c *connected) {
		co := c.coordinator
		c.until("carried out", 10*time.Second, func() bool { return c.status("a").GetReady() })
		time.Sleep(time.Minute)
		beats := co.beaten()
		time.Sleep(time.Minute)
		co.mu.Lock()
		if len(co.beats) != beats || co.sessions != 1 || len(co.acks) != 0 {
			t.Errorf("%d beats in a minute, %d sessions, acks %v: want silence", len(co.beats)-beats, co.sessions, co.acks)
		}
		co.mu.Unlock()
		close(disk)
		c.until("back", 5*time.Second, co.read(func() bool {
			return slices.Contains(co.acks, 5) && slices.Contains(co.events, "node.disk RW-6008") && co.statuses["a"].GetReady()
		}))
	})
}

func TestSession_HungWorkerMakesTheNodeLeave(t *testing.T) {
	hangs := new(atomic.Bool)
	onSession(t, func(c *connected) {
		c.adapt = func(a *Agent) { a.session.alive = func() bool { return !hangs.Load() } }
	}, func(t *testing.T, c *connected) {
		co := c.coordinator
		c.until("beats", 5*time.Second, co.read(func() bool { return len(co.beats) > 1 }))
		hangs.Store(true)
		time.Sleep(5 * time.Second)
		beats := co.beaten()
		time.Sleep(time.Minute)
		if more := co.beaten() - beats; more != 0 {
			t.Errorf("%d beats in a minute, want none", more)
		}
		hangs.Store(false)
		c.until("beats again", 10*time.Second, co.read(func() bool { return len(co.beats) > beats }))
	})
}

// The worker's own sign of life: it is there while rounds are made, and gone when they stop.
func TestWorker_AliveWhileItMakesRounds(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		for range 100 {
			time.Sleep(time.Second)
			if !r.worker.alive() {
				t.Fatal("an idle worker counts as hanging")
			}
		}
		r.kill()
		time.Sleep(hangsAfter)
		if r.worker.alive() {
			t.Error("a worker that makes no rounds counts as alive")
		}
	})
}

// A coordinator that takes the call and says nothing is left for another.
func TestSession_NoWelcomeIsNoSession(t *testing.T) {
	onSession(t, func(c *connected) { c.coordinator.welcome = nil }, func(t *testing.T, c *connected) {
		co := c.coordinator
		time.Sleep(welcomeWithin - time.Second)
		if !co.read(func() bool { return co.sessions == 1 })() {
			t.Error("not the first session still waiting")
		}
		time.Sleep(time.Minute)
		co.mu.Lock()
		tries := co.sessions
		co.welcome = welcome("i1", 1)
		co.mu.Unlock()
		if tries < 4 {
			t.Errorf("%d sessions in a minute, want a new one each %s", tries, welcomeWithin)
		}
		c.until("welcomed", welcomeWithin+lastReconnect, func() bool { return testutil.ToFloat64(c.deps.Metrics.session) == 1 })
	})
}

func TestSession_LogsAreUploaded(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001)))}
	}, func(t *testing.T, c *connected) {
		co := c.coordinator
		c.until("ready reported", time.Second, co.read(func() bool { return co.statuses["a"].GetReady() }))
		c.writes("a-0", "one\ntwo\nthree\n")
		open := func(stream, replica string, options *runwayv1.LogOptions) {
			request := &runwayv1.OpenLogs{Stream: stream, Replica: replica, Options: options, Deadline: durationpb.New(time.Second)}
			co.send <- &runwayv1.CoordinatorMessage{Message: &runwayv1.CoordinatorMessage_OpenLogs{OpenLogs: request}}
		}
		time.Sleep(time.Second)
		open("s1", "a", &runwayv1.LogOptions{Tail: 2})
		want := []string{"stream s1", "two", "three"}
		c.until("tail", time.Second, co.read(func() bool { return slices.Equal(co.lines, want) }))
		open("s2", "a", &runwayv1.LogOptions{Follow: true, Tail: 1})
		want = append(want, "stream s2", "three")
		c.until("follow begins", time.Second, co.read(func() bool { return slices.Equal(co.lines, want) }))
		c.runtime.Exit("a-0", 1)
		c.until("attempt 1", 2*time.Second, func() bool { return c.status("a").GetAttempt() == 1 && c.status("a").GetReady() })
		c.writes("a-1", "again\n")
		want = append(want, "again")
		c.until("follow goes on with the next attempt", 2*time.Second, co.read(func() bool { return slices.Equal(co.lines, want) }))
		open("s3", "a", &runwayv1.LogOptions{Previous: true})
		want = append(want, "stream s3", "one", "two", "three")
		c.until("previous", time.Second, co.read(func() bool { return slices.Equal(co.lines, want) }))
		open("s4", "stranger", nil)
		c.until("error", time.Second, co.read(func() bool { return co.failure == `read logs of replica "stranger": no logs` }))
	})
}

// writes appends to the log of a container as its shim does.
func (r *rig) writes(container, text string) {
	r.t.Helper()
	spool, err := r.deps.Logs.Spool(container)
	if err != nil {
		r.t.Fatal(err)
	}
	file, err := os.OpenFile(spool, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		r.t.Fatal(err)
	}
}

func TestNew_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("want an error")
	}
	if _, err := New(Config{Name: "n", DataDir: t.TempDir(), Address: "192.0.2.1", Region: "local", PortFirst: 1, PortLast: 2}, Deps{Log: slog.Default()}); err == nil {
		t.Error("parts missing: want an error")
	}
}
