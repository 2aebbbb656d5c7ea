package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/names"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// maxOpenLogs bounds the log requests that wait to be sent to one agent.
const maxOpenLogs = 32

type agentStream = grpc.BidiStreamingServer[runwayv1.AgentMessage, runwayv1.CoordinatorMessage]

// agentService is the gRPC face of agent sessions.
type agentService struct {
	runwayv1.UnimplementedAgentSessionServer
	d *Dispatcher
}

// agentSession is the session of one node. The node is the one in the certificate:
// nothing that the agent says can name another.
type agentSession struct {
	*session
	d      *Dispatcher
	stream agentStream
	// pool that the certificate binds the node to; empty when it binds to none.
	pool string
	// confirmed wakes the sender when a report was written.
	confirmed *latest
	openLogs  chan *runwayv1.OpenLogs
	// sent and acked are generations of assignments: the newest, and the one that the
	// agent has on its disk.
	sent, acked atomic.Uint64
}

// runwayv1.AgentSessionServer

func (a agentService) Connect(stream agentStream) error {
	who := caller.From(stream.Context())
	if who.Role != runwayv1.Role_ROLE_NODE {
		return statusOf(errForbidden)
	}
	base, err := a.d.begin(stream.Context(), who.ID, who.Expires)
	if err != nil {
		return err
	}
	defer base.close()
	s := &agentSession{
		session: base, d: a.d, stream: stream, pool: who.Pool,
		confirmed: newLatest(), openLogs: make(chan *runwayv1.OpenLogs, maxOpenLogs),
	}
	err = s.run()
	a.d.log.Info("agent session ended", "node_id", s.id, "err", err)
	return statusOf(err)
}

func (a agentService) UploadLogs(stream grpc.ClientStreamingServer[runwayv1.LogUpload, runwayv1.LogUploadSummary]) error {
	return statusOf(a.d.logs.upload(caller.From(stream.Context()), stream))
}

// run registers the node, ends its older session and serves until something ends.
func (s *agentSession) run() error {
	message, err := first(s.ctx, s.stream.Recv)
	if err != nil {
		return fmt.Errorf("receive hello: %w", err)
	}
	hello := message.GetHello()
	if hello == nil {
		return errProtocol
	}
	if err := s.join(hello.GetFacts()); err != nil {
		return err
	}
	s.d.config.Presence.Beat(s.id, time.Now())
	node, err := s.register(hello)
	if err != nil {
		return fmt.Errorf("register node %q: %w", s.id, err)
	}
	s.d.enterAgent(s)
	defer s.d.leaveAgent(s)
	s.d.ahead(s.id, hello)
	s.d.log.Info("agent session began", "node_id", s.id, "name", node.GetName(), "epoch", node.GetStatus().GetEpoch())
	return s.d.serve(s.session, s.receive, func() error { return s.send(node) })
}

// join puts the node into the pool of its join token, which it cannot leave by saying
// that it is in another one.
func (s *agentSession) join(facts *runwayv1.NodeFacts) error {
	pool := cmp.Or(s.pool, facts.GetPool(), names.DefaultPool)
	if declared := facts.GetPool(); declared != "" && declared != pool {
		return fmt.Errorf("%w: it declares pool %q and joined with a token of pool %q; leave the pool out, or let it join with another token", errOtherPool, cut(declared), pool)
	}
	if facts != nil {
		facts.Pool = pool
	}
	return nil
}

// ahead tells of an agent that has assignments of a later time than this leader's
// state. The log has lost something, or was restored from an older snapshot without a
// new incarnation; what the agent has is replaced all the same.
func (d *Dispatcher) ahead(node string, hello *runwayv1.AgentHello) {
	view := d.config.Views()
	now := view.Cluster().GetGenerationBase() + view.Index()
	if hello.GetIncarnation() != view.Cluster().GetIncarnation() || hello.GetGeneration() <= now {
		return
	}
	d.log.Error("an agent is ahead of the log", "node_id", node, "generation", hello.GetGeneration(), "index", view.Index())
	d.metrics.ahead.Inc()
}

// unconfirmed returns how many agents have not yet on disk what they were sent last.
func (d *Dispatcher) unconfirmed() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	behind := 0
	for _, s := range d.agents {
		if s.acked.Load() < s.sent.Load() {
			behind++
		}
	}
	return float64(behind)
}

// register writes what the agent says of its machine, unless the state has it.
func (s *agentSession) register(hello *runwayv1.AgentHello) (*runwayv1.Node, error) {
	node := s.d.config.Views().Node(s.id)
	known := node.GetStatus().GetPhase() == runwayv1.NodePhase_NODE_PHASE_READY &&
		node.GetName() == hello.GetName() && proto.Equal(node.GetFacts(), hello.GetFacts())
	if known {
		return node, nil
	}
	result, err := s.d.config.Applier.Apply(s.ctx, &runwayv1.RegisterNode{
		Node: s.id, Name: hello.GetName(), Facts: hello.GetFacts(),
	})
	if err != nil {
		return nil, err
	}
	registered, ok := result.Value.(*runwayv1.Node)
	if !ok {
		return nil, fmt.Errorf("unexpected result %T", result.Value)
	}
	return registered, nil
}

// receive takes beats and reports. Every message is a sign of life.
func (s *agentSession) receive() error {
	for {
		message, err := s.stream.Recv()
		if err != nil {
			return err
		}
		s.d.config.Presence.Beat(s.id, time.Now())
		switch m := message.GetMessage().(type) {
		case *runwayv1.AgentMessage_Beat:
		case *runwayv1.AgentMessage_Ack:
			if err := s.acknowledge(m.Ack.GetGeneration()); err != nil {
				return err
			}
		case *runwayv1.AgentMessage_Reports:
			if err := s.report(m.Reports); err != nil {
				return err
			}
		default:
			return errProtocol
		}
	}
}

// acknowledge notes how far the agent's own disk is. One that has had more than it was
// sent is none of ours.
func (s *agentSession) acknowledge(generation uint64) error {
	sent := s.sent.Load()
	if generation > sent {
		return fmt.Errorf("acknowledgement of generation %d, sent %d: %w", generation, sent, errProtocol)
	}
	s.acked.Store(generation)
	return nil
}

// report queues what the agent saw. It is confirmed once it is in the log.
func (s *agentSession) report(message *runwayv1.ReplicaReports) error {
	view := s.d.config.Views()
	return s.d.reports.put(report{
		replicas:  reportsOf(view, s.id, message),
		events:    eventsOf(view, s.id, message.GetEvents(), time.Now()),
		confirmed: func() { s.confirmed.set(message.GetSequence()) },
		failed:    func(err error) { s.end(err) },
	})
}

// send keeps the agent's assignments equal to the state, and passes confirmations
// and log requests on. It compares with what was sent, so that however slow the
// agent is, there is never more than one message under way.
func (s *agentSession) send(node *runwayv1.Node) error {
	view := s.d.config.Views()
	if err := s.write(welcome(view, node)); err != nil {
		return err
	}
	sent := newSentAssignments(s.id)
	for {
		view := s.d.config.Views()
		changed := view.Changed(state.TableReplicas, state.TableNodes, state.TableIngresses, state.TableCluster)
		if !stillOurs(view.Node(s.id), node) {
			return errGone
		}
		routes, rerouted := s.d.config.Routes.Current()
		if set := sent.next(view, routes); set != nil {
			s.sent.Store(set.GetGeneration())
			if err := s.write(&runwayv1.CoordinatorMessage{Message: &runwayv1.CoordinatorMessage_Assignments{Assignments: set}}); err != nil {
				return err
			}
		}
		if err := s.relay(changed, rerouted); err != nil {
			return err
		}
	}
}

// relay passes on what else is for the agent until its assignments may differ.
func (s *agentSession) relay(changed, rerouted <-chan struct{}) error {
	for {
		select {
		case <-changed:
			return nil
		case <-rerouted:
			return nil
		case <-s.confirmed.wake:
			message := &runwayv1.CoordinatorMessage_ReportAck{ReportAck: &runwayv1.ReportAck{Sequence: s.confirmed.get()}}
			if err := s.write(&runwayv1.CoordinatorMessage{Message: message}); err != nil {
				return err
			}
		case request := <-s.openLogs:
			message := &runwayv1.CoordinatorMessage_OpenLogs{OpenLogs: request}
			if err := s.write(&runwayv1.CoordinatorMessage{Message: message}); err != nil {
				return err
			}
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
}

func (s *agentSession) write(message *runwayv1.CoordinatorMessage) error {
	return s.within(func() error { return s.stream.Send(message) })
}

// enterAgent makes s the session of its node and ends the one before.
func (d *Dispatcher) enterAgent(s *agentSession) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.agents[s.id]; old != nil {
		old.end(errReplaced)
	}
	d.agents[s.id] = s
	d.metrics.sessions.WithLabelValues("agent").Set(float64(len(d.agents)))
}

func (d *Dispatcher) leaveAgent(s *agentSession) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.agents[s.id] == s {
		delete(d.agents, s.id)
	}
	d.metrics.sessions.WithLabelValues("agent").Set(float64(len(d.agents)))
}

// stillOurs says whether the session may go on. A node that was given up begins
// anew with a registration, which gives it the next epoch.
func stillOurs(now, registered *runwayv1.Node) bool {
	return now != nil &&
		now.GetStatus().GetPhase() != runwayv1.NodePhase_NODE_PHASE_DOWN &&
		now.GetStatus().GetEpoch() == registered.GetStatus().GetEpoch()
}

func welcome(view *state.View, node *runwayv1.Node) *runwayv1.CoordinatorMessage {
	return &runwayv1.CoordinatorMessage{Message: &runwayv1.CoordinatorMessage_Welcome{Welcome: &runwayv1.AgentWelcome{
		Node:        node.GetId(),
		Epoch:       node.GetStatus().GetEpoch(),
		Incarnation: view.Cluster().GetIncarnation(),
		Cluster:     view.Cluster().GetId(),
	}}}
}
