package dispatch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxFuzzed bounds an input. It is above every bound of a part of a message: what is wrong
// with a larger one is wrong with one of this size.
const maxFuzzed = 2 * maxReportBytes

// fuzzed is a coordinator without sockets, whose state the messages of one machine reach.
type fuzzed struct {
	*coordinatortest.State
	presence *presence.Presence
	d        *Dispatcher
}

func newFuzzed(t *testing.T) *fuzzed {
	t.Helper()
	s := withReplicas(t, 1)
	s.Must(t, coordinatortest.Assign(coordinatortest.Replica("r2", "web", 1, "n2", 20001)))
	f := &fuzzed{State: s, presence: presence.New()}
	f.presence.Reset(time.Now())
	f.d = New(Config{
		Views: s.View, Applier: s, Routes: &table{changed: make(chan struct{})}, Presence: f.presence,
		Leader: func() string { return "" }, Log: slog.New(slog.DiscardHandler),
	})
	return f
}

// session is one of the machine, with nobody at the other end.
func (f *fuzzed) session(t *testing.T, id string) *session {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	return &session{id: id, ctx: ctx, end: cancel, release: func() bool { return true }}
}

// checkSaved holds what is true of every state: it can be saved and loaded again.
func (f *fuzzed) checkSaved(t *testing.T) {
	t.Helper()
	var saved bytes.Buffer
	if err := f.View().Save(&saved); err != nil {
		t.Fatalf("Save() = %v", err)
	}
	if err := state.New().Load(&saved); err != nil {
		t.Fatalf("Load() = %v", err)
	}
}

// isAnswer reports whether an error is one that the machine is told, and no defect.
func isAnswer(err error) bool {
	var rejection *command.Rejection
	return errors.As(err, &rejection) && !errors.Is(err, command.ErrInternal) ||
		errors.Is(err, errProtocol) || errors.Is(err, errOtherPool) || errors.Is(err, command.ErrInvalid)
}

// FuzzAgentMessage: whatever an agent says, the coordinator lives, replicas of other
// nodes stay as they are, what is confirmed is in a state that can be saved, and the
// next good report is taken.
func FuzzAgentMessage(f *testing.F) {
	for _, message := range agentMessages() {
		raw, err := proto.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		message := new(runwayv1.AgentMessage)
		if len(raw) > maxFuzzed || proto.Unmarshal(raw, message) != nil {
			t.Skip()
		}
		c := newFuzzed(t)
		s := &agentSession{session: c.session(t, "n1"), d: c.d, confirmed: newLatest()}
		foreign := proto.Clone(c.View().Replica("r2"))
		if err := c.hear(t, s, message); err != nil && !isAnswer(err) {
			t.Fatalf("%v: %v", message, err)
		}
		if now := c.View().Replica("r2"); !proto.Equal(foreign, now) {
			t.Errorf("a replica of another node is now %v", now)
		}
		c.checkSaved(t)
		own := c.View().Replica("r1")
		if own.GetStatus().GetPhase() > runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING {
			return // it has ended
		}
		next := running("r1")
		next.NodeEpoch, next.Status.Attempt = own.GetPlan().GetNodeEpoch(), own.GetStatus().GetAttempt()
		good := &runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Reports{Reports: &runwayv1.ReplicaReports{
			Sequence: math.MaxUint64, Replicas: []*runwayv1.ReplicaReport{next},
		}}}
		if err := c.hear(t, s, good); err != nil || s.confirmed.get() != math.MaxUint64 || !c.View().Replica("r1").GetStatus().GetReady() {
			t.Errorf("the next good report: %v, confirmed %d, replica %v", err, s.confirmed.get(), c.View().Replica("r1").GetStatus())
		}
	})
}

// hear does what the session does with a message, up to the write to the log.
func (f *fuzzed) hear(t *testing.T, s *agentSession, message *runwayv1.AgentMessage) error {
	t.Helper()
	switch m := message.GetMessage().(type) {
	case *runwayv1.AgentMessage_Hello:
		if err := s.join(m.Hello.GetFacts()); err != nil {
			return err
		}
		f.d.ahead(s.id, m.Hello)
		_, err := s.register(m.Hello)
		return err
	case *runwayv1.AgentMessage_Ack:
		return s.acknowledge(m.Ack.GetGeneration())
	case *runwayv1.AgentMessage_Reports:
		if err := s.report(m.Reports); err != nil {
			return err
		}
		f.d.reports.write(t.Context(), []report{<-f.d.reports.waiting})
		if got := s.confirmed.get(); got != m.Reports.GetSequence() {
			return errors.Join(context.Cause(s.ctx), errors.New("the report is not confirmed"))
		}
	}
	return nil
}

func agentMessages() []*runwayv1.AgentMessage {
	strange := running("r1")
	strange.Status.ExitCode, strange.Status.Attempt = math.MinInt32, math.MaxUint32
	strange.Status.Cause = &runwayv1.Cause{Code: "RW-9999", Summary: "x\x00y", Evidence: []string{"", "z"}}
	foreign := running("r2")
	facts := coordinatortest.NodeFacts()
	facts.CapacityMemoryBytes, facts.CapacityCpuMilli = math.MaxInt64, math.MaxInt64
	reports := func(full bool, all ...*runwayv1.ReplicaReport) *runwayv1.AgentMessage {
		return &runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Reports{Reports: &runwayv1.ReplicaReports{
			Sequence: 7, Full: full, Replicas: all, Events: []*runwayv1.AgentEvent{
				{At: timestamppb.New(time.Unix(0, 0)), Kind: "node.test", Replica: "r1", Message: "m", Code: "RW-1001"},
				{At: &timestamppb.Timestamp{Seconds: math.MaxInt64, Nanos: -1}, Kind: "node.test", Replica: "r2"},
			},
		}}}
	}
	return []*runwayv1.AgentMessage{
		{Message: &runwayv1.AgentMessage_Hello{Hello: &runwayv1.AgentHello{Name: "n1", Facts: coordinatortest.NodeFacts()}}},
		{Message: &runwayv1.AgentMessage_Hello{Hello: &runwayv1.AgentHello{Name: "n1", Facts: facts, Generation: math.MaxUint64}}},
		{Message: &runwayv1.AgentMessage_Hello{Hello: &runwayv1.AgentHello{}}},
		{Message: &runwayv1.AgentMessage_Ack{Ack: &runwayv1.AssignmentAck{Generation: math.MaxUint64}}},
		reports(false, running("r1")), reports(true, strange, foreign), reports(true), reports(false, &runwayv1.ReplicaReport{}, nil),
		reports(false, &runwayv1.ReplicaReport{Replica: strings.Repeat("r", maxReportBytes)}), reports(false, running(strings.Repeat("r", maxReportBytes))),
		reports(false, seen("r1", -1), seen("r1", math.MaxInt32), seen("", runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED)),
	}
}

// FuzzIngressMessage: whatever an ingress says, the coordinator lives, no request is
// counted that cannot have been, and the next good message is taken.
func FuzzIngressMessage(f *testing.F) {
	for _, message := range ingressMessages() {
		raw, err := proto.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		message := new(runwayv1.IngressMessage)
		if len(raw) > maxFuzzed || proto.Unmarshal(raw, message) != nil {
			t.Skip()
		}
		c := newFuzzed(t)
		s := &ingressSession{session: c.session(t, "g1"), d: c.d, beats: newLatest(), incarnation: c.View().Cluster().GetIncarnation(), sent: 5}
		defer s.stopTimer()
		if err := c.listen(s, message); err != nil && !isAnswer(err) {
			t.Fatalf("%v: %v", message, err)
		}
		c.checkSaved(t)
		most := uint64(len(message.GetStats().GetWorkloads())) * 5 << 40
		for deployment, tally := range c.presence.Tallies() {
			for revision, served := range tally.Revisions {
				if served.Requests > most || served.Failed > served.Requests {
					t.Errorf("deployment %q, revision %d: served %+v", deployment, revision, served)
				}
			}
		}
		if err := s.confirm(&runwayv1.RouteAck{Incarnation: s.incarnation, Generation: 5, Saved: 5}); err != nil {
			t.Errorf("the next good confirmation: %v", err)
		}
	})
}

func (f *fuzzed) listen(s *ingressSession, message *runwayv1.IngressMessage) error {
	switch m := message.GetMessage().(type) {
	case *runwayv1.IngressMessage_Hello:
		if err := checkSource(m.Hello.GetFacts().GetSourceAddress()); err != nil {
			return errors.Join(errProtocol, err)
		}
		_, err := s.register(m.Hello)
		return err
	case *runwayv1.IngressMessage_Ack:
		return s.confirm(m.Ack)
	case *runwayv1.IngressMessage_Stats:
		s.count(m.Stats)
	}
	return nil
}

func ingressMessages() []*runwayv1.IngressMessage {
	web := &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}
	stats := func(sum float64, n uint64) *runwayv1.IngressMessage {
		return &runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Stats{Stats: &runwayv1.IngressStats{Workloads: []*runwayv1.WorkloadStats{{
			Workload: web, Revision: 1, Responses: []uint64{0, n, 0, 0, 0}, Latency: make([]uint64, len(runwayv1.LatencyBounds())+1), LatencySum: sum, InFlight: n,
		}}}}}
	}
	return []*runwayv1.IngressMessage{
		{Message: &runwayv1.IngressMessage_Hello{Hello: &runwayv1.IngressHello{Name: "edge-1", Facts: &runwayv1.IngressFacts{Region: "local", SourceAddress: "192.0.2.1"}}}},
		{Message: &runwayv1.IngressMessage_Hello{Hello: &runwayv1.IngressHello{}}},
		{Message: &runwayv1.IngressMessage_Ack{Ack: &runwayv1.RouteAck{Generation: 4, Saved: math.MaxUint64, Refused: 3, GoingTotal: 9, Going: []*runwayv1.WorkloadKey{web, nil}}}},
		{Message: &runwayv1.IngressMessage_Ack{Ack: &runwayv1.RouteAck{Generation: 5, Problems: []*runwayv1.RouteProblem{{}, nil, {Workload: web, Host: "\x00"}}}}},
		stats(1, 1), stats(math.NaN(), 1), stats(-1, 1), stats(1e308, math.MaxUint64), stats(math.Inf(1), 1),
	}
}
