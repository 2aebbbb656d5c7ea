package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/dispatch"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// spool is a log of one replica: lines with a time each, read from a time on as an
// agent does.
type spool struct {
	lines []*runwayv1.LogLine
	// most is how many lines one stream delivers before it breaks off; 0 is all.
	most int
}

func line(second int64, text string) *runwayv1.LogLine {
	return &runwayv1.LogLine{At: &timestamppb.Timestamp{Seconds: second}, Text: text}
}

// readAll reads a spool through a reader until its attempts make no progress.
func (s *spool) readAll(t *testing.T, from logPosition) []string {
	t.Helper()
	var got []string
	for position, progress := from, true; progress; {
		progress = false
		options := position.options(&runwayv1.LogOptions{Tail: 100})
		skip := position.skip()
		sent := 0
		for _, l := range s.lines {
			if options.GetSince() != nil && l.GetAt().AsTime().Before(options.GetSince().AsTime()) || s.most > 0 && sent == s.most {
				continue
			}
			sent++
			for _, fresh := range position.advance(skip.after([]*runwayv1.LogLine{l})) {
				progress = true
				got = append(got, fresh.GetText())
			}
		}
	}
	return got
}

func TestLogPosition_ResumesWithoutLossOrDuplication(t *testing.T) {
	t.Parallel()
	all := []*runwayv1.LogLine{line(1, "a"), line(1, "b"), line(1, "c"), line(2, "d"), line(3, "e"), line(3, "f"), line(4, "g")}
	for most := 3; most <= len(all); most++ { // as many as have the same time, and one
		s := &spool{lines: all, most: most + 1}
		if got := strings.Join(s.readAll(t, logPosition{}), ""); got != "abcdefg" {
			t.Errorf("broken off after %d lines: %q", most, got)
		}
	}
	s := &spool{lines: all}
	from := positionOf(&runwayv1.LogPosition{At: &timestamppb.Timestamp{Seconds: 1}, Lines: 2})
	if got := strings.Join(s.readAll(t, from), ""); got != "cdefg" {
		t.Errorf("from the caller's position: %q", got)
	}
}

// away is a source whose agent is away for some attempts of each replica.
type away struct {
	err   error
	tries map[string]int
}

func (a *away) Logs(_ context.Context, replica string, _ *runwayv1.LogOptions) (*dispatch.LogStream, error) {
	a.tries[replica]++
	return nil, a.err
}

func TestLogReader_TriesAgainWhileItFollows(t *testing.T) {
	for name, tt := range map[string]struct {
		follow bool
		err    error
		tries  int // at least
		most   int
	}{
		"follows an agent that is away": {true, dispatch.ErrNoSession, 10, 30},
		"an agent that is away":         {false, dispatch.ErrNoSession, 1, 1},
		"too many at once":              {false, dispatch.ErrTooManyLogs, logAttempts, logAttempts},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 1),
					coordinatortest.Assign(coordinatortest.Replica("r1", "web", 1, "n1", 20000)))
				source := &away{err: tt.err, tries: map[string]int{}}
				f := &fanIn{
					views: s.View, source: source, request: &runwayv1.LogsRequest{Options: &runwayv1.LogOptions{Follow: tt.follow}},
					out: make(chan *runwayv1.LogsResponse, 100), slots: make(chan struct{}, 1),
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				f.waiting.Add(1)
				f.read(ctx, "r1")
				if n := source.tries["r1"]; n < tt.tries || n > tt.most {
					t.Errorf("tried %d times, want %d to %d", n, tt.tries, tt.most)
				}
				if len(f.out) != 1 {
					t.Errorf("the caller was told %d times, want once", len(f.out))
				}
			})
		})
	}
}

// An agent that restarts breaks off its uploads; who follows loses nothing by it.
func TestLogs_FollowGoesOnWhenTheAgentIsBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.replicas(1)
	stop := b.agent()
	stream, err := runwayv1.NewServicesClient(b.as(viewer)).Logs(testContext(t), &runwayv1.LogsRequest{
		Workload: key("own", "web"), Options: &runwayv1.LogOptions{Follow: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := next(t, stream, 2); !slices.Equal(got, []string{"line 0", "line 1"}) {
		t.Fatalf("lines %v", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	stop = b.agentThatSays(func(i int) string { return fmt.Sprintf("line %d", i) }, 4)
	if got := next(t, stream, 2); !slices.Equal(got, []string{"line 2", "line 3"}) {
		t.Errorf("after the restart: lines %v", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// next returns the next n lines, whatever else is said.
func next(t *testing.T, stream runwayv1.Services_LogsClient, n int) []string {
	t.Helper()
	var texts []string
	for len(texts) < n {
		message, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %v: %v", texts, err)
		}
		for _, line := range message.GetLines() {
			texts = append(texts, line.GetText())
		}
	}
	return texts
}

// Every replica is read, though only so many at once.
func TestLogs_ManyReplicasTakeTurns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const replicas = maxFanIn + 40
	b.replicas(replicas)
	stop := b.agent()
	stream, err := runwayv1.NewServicesClient(b.as(viewer)).Logs(testContext(t), &runwayv1.LogsRequest{Workload: key("own", "web")})
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || message.GetProblem() != "" {
			t.Fatalf("Recv = %v, %v", message, err)
		}
		for _, line := range message.GetLines() {
			lines[line.GetReplica()]++
		}
	}
	for replica, n := range lines {
		if n != 2 {
			t.Errorf("%d lines of %s, want 2", n, replica)
		}
	}
	if len(lines) != replicas {
		t.Errorf("lines of %d replicas, want %d", len(lines), replicas)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestLogs_FollowSaysWhoWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.replicas(maxFanIn + 3)
	stream, err := runwayv1.NewServicesClient(b.as(viewer)).Logs(testContext(t), &runwayv1.LogsRequest{
		Workload: key("own", "web"), Options: &runwayv1.LogOptions{Follow: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		message, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(message.GetProblem(), "3 wait for one of them to end") {
			return
		}
	}
}

func TestLogs_MergesReplicas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.replicas(2)
	agent := b.agent()
	stream, err := runwayv1.NewServicesClient(b.as(viewer)).Logs(testContext(t), &runwayv1.LogsRequest{Workload: key("own", "web")})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || message.GetProblem() != "" {
			t.Fatalf("Recv = %v, %v", message, err)
		}
		for _, line := range message.GetLines() {
			got[line.GetReplica()+" "+line.GetText()]++
		}
	}
	if want := "map[r0 line 0:1 r0 line 1:1 r1 line 0:1 r1 line 1:1]"; sprint(got) != want {
		t.Errorf("lines %v, want %v", got, want)
	}
	if err := agent(); err != nil {
		t.Error(err)
	}
}

// replicas makes a service own/web with replicas on node-1.
func (b *bench) replicas(n int) {
	b.t.Helper()
	large := coordinatortest.RegisterNode("node-1")
	facts := large.GetFacts()
	facts.CapacityCpuMilli, facts.AllocatableCpuMilli = 1_000_000, 1_000_000
	facts.CapacityMemoryBytes, facts.AllocatableMemoryBytes = 1<<40, 1<<40
	facts.CapacityDiskBytes, facts.AllocatableDiskBytes = 1<<40, 1<<40
	b.state.Must(b.t, large)
	b.deploy("own", "web")
	for i := range n {
		r := coordinatortest.Replica(fmt.Sprintf("r%d", i), "web", 1, "node-1", uint32(20000+i))
		r.Workload = key("own", "web")
		b.state.Must(b.t, coordinatortest.Assign(r))
	}
}

// agent connects node-1 and answers every log request with two lines until the
// returned function is called.
func (b *bench) agent() (stop func() error) {
	b.t.Helper()
	return b.agentThatSays(func(i int) string { return fmt.Sprintf("line %d", i) }, 2)
}

// agentThatSays answers every log request with as many lines, one for each second
// since 1970, and begins at the second that it is asked for.
func (b *bench) agentThatSays(text func(i int) string, lines int) (stop func() error) {
	b.t.Helper()
	conn := b.as(node)
	ctx, cancel := context.WithCancel(context.Background())
	b.t.Cleanup(cancel)
	b.leads(conn)
	session, err := runwayv1.NewAgentSessionClient(conn).Connect(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	hello := &runwayv1.AgentHello{Name: "node-1", Facts: b.state.View().Node("node-1").GetFacts()}
	if err := session.Send(&runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Hello{Hello: hello}}); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- answerEach(ctx, session, func(request *runwayv1.OpenLogs) error { return upload(ctx, conn, request, text, lines) })
	}()
	eventually(b.t, "agent session", func() bool { return b.dispatch.Connected("node-1") })
	return func() error {
		cancel()
		err := <-ended
		eventually(b.t, "end of the agent session", func() bool { return !b.dispatch.Connected("node-1") })
		return err
	}
}

// answerEach answers requests beside each other, as an agent does: those that wait for
// others would be late on a slow machine. What fails once ctx has ended is no failure.
func answerEach(ctx context.Context, session runwayv1.AgentSession_ConnectClient, answer func(*runwayv1.OpenLogs) error) error {
	unlessEnded := func(err error) error {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var answers errgroup.Group
	for {
		message, err := session.Recv()
		if err != nil {
			err = unlessEnded(err)
			return errors.Join(answers.Wait(), err)
		}
		if request := message.GetOpenLogs(); request != nil {
			answers.Go(func() error { return unlessEnded(answer(request)) })
		}
	}
}

func upload(ctx context.Context, conn *client.Conn, request *runwayv1.OpenLogs, text func(i int) string, lines int) error {
	stream, err := runwayv1.NewAgentSessionClient(conn).UploadLogs(ctx)
	if err != nil {
		return err
	}
	from := int(request.GetOptions().GetSince().GetSeconds())
	if err := stream.Send(&runwayv1.LogUpload{Stream: request.GetStream()}); err != nil {
		return err
	}
	for i := from; i < lines; i++ {
		at := &timestamppb.Timestamp{Seconds: int64(i)}
		if err := stream.Send(&runwayv1.LogUpload{Lines: []*runwayv1.LogLine{{At: at, Text: text(i)}}}); err != nil {
			return err
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func TestLogs_SaysWhatCannotBeHad(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterNode("n1"))
	b.deploy("own", "web")
	logs := func(request *runwayv1.LogsRequest) (*runwayv1.LogsResponse, error) {
		stream, err := runwayv1.NewServicesClient(b.as(viewer)).Logs(testContext(t), request)
		if err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	_, err := logs(&runwayv1.LogsRequest{Workload: key("own", "web")})
	wantCode(t, err, code.LogsUnavailable)
	r := coordinatortest.Replica("r1", "web", 1, "n1", 20000)
	r.Workload = key("own", "web")
	b.state.Must(t, coordinatortest.Assign(r))
	answer, err := logs(&runwayv1.LogsRequest{Workload: key("own", "web")})
	if err != nil || !strings.Contains(answer.GetProblem(), "the node is not connected") {
		t.Errorf("node without a session: %v, %v", answer, err)
	}
	b.deploy("foreign", "web")
	_, err = logs(&runwayv1.LogsRequest{Workload: key("own", "web"), Replica: "r9"})
	wantCode(t, err, code.ReplicaNotFound)
	// A replica of another space is not found under a service of one's own.
	other := coordinatortest.Replica("r2", "web", 1, "n1", 20001)
	other.Workload = key("foreign", "web")
	b.state.Must(t, coordinatortest.Assign(other))
	_, err = logs(&runwayv1.LogsRequest{Workload: key("own", "web"), Replica: "r2"})
	wantCode(t, err, code.ReplicaNotFound)
}
