package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// silence is how long an ingress may take to confirm a generation. One that beats
// but does not confirm would hold up every deployment: it is cut, and counts as
// lost unless it comes back and confirms.
const silence = 5 * time.Second

type ingressStream = grpc.BidiStreamingServer[runwayv1.IngressMessage, runwayv1.RouteMessage]

// ingressService is the gRPC face of ingress sessions.
type ingressService struct {
	runwayv1.UnimplementedIngressSessionServer
	d *Dispatcher
}

// ingressSession is the session of one ingress, the one in the certificate.
type ingressSession struct {
	*session
	d      *Dispatcher
	stream ingressStream

	mu          sync.Mutex
	incarnation string
	sent        uint64
	// watch ends the session unless awaited, a generation, is confirmed before.
	watch   *time.Timer
	awaited uint64
}

// runwayv1.IngressSessionServer

func (i ingressService) Connect(stream ingressStream) error {
	who := caller.From(stream.Context())
	if who.Role != runwayv1.Role_ROLE_INGRESS {
		return statusOf(errForbidden)
	}
	base, err := i.d.begin(stream.Context(), who.ID, who.Expires)
	if err != nil {
		return err
	}
	defer base.close()
	s := &ingressSession{session: base, d: i.d, stream: stream}
	err = s.run()
	i.d.log.Info("ingress session ended", "ingress_id", s.id, "err", err)
	return statusOf(err)
}

func (i ingressService) SignCertificate(ctx context.Context, request *runwayv1.SignCertificateRequest) (*runwayv1.SignCertificateResponse, error) {
	if caller.From(ctx).Role != runwayv1.Role_ROLE_INGRESS {
		return nil, statusOf(errForbidden)
	}
	chain, err := i.d.sign(request)
	if err != nil {
		return nil, statusOf(err)
	}
	return &runwayv1.SignCertificateResponse{Chain: chain}, nil
}

func (s *ingressSession) run() error {
	message, err := first(s.ctx, s.stream.Recv)
	if err != nil {
		return fmt.Errorf("receive hello: %w", err)
	}
	hello := message.GetHello()
	if hello == nil {
		return errProtocol
	}
	s.d.config.Presence.Beat(s.id, time.Now())
	ingress, err := s.register(hello)
	if err != nil {
		return fmt.Errorf("register ingress %q: %w", s.id, err)
	}
	s.d.enterIngress(s, hello)
	defer s.d.leaveIngress(s)
	s.d.log.Info("ingress session began", "ingress_id", s.id, "name", ingress.GetName())
	return s.d.serve(s.session, s.receive, func() error { return s.send(ingress) })
}

// register writes what the ingress says of itself, unless the state has it.
func (s *ingressSession) register(hello *runwayv1.IngressHello) (*runwayv1.Ingress, error) {
	ingress := s.d.config.Views().Ingress(s.id)
	known := ingress.GetStatus().GetPhase() == runwayv1.IngressPhase_INGRESS_PHASE_LIVE &&
		ingress.GetName() == hello.GetName() && proto.Equal(ingress.GetFacts(), hello.GetFacts())
	if known {
		return ingress, nil
	}
	result, err := s.d.config.Applier.Apply(s.ctx, &runwayv1.RegisterIngress{
		Ingress: s.id, Name: hello.GetName(), Facts: hello.GetFacts(),
	})
	if err != nil {
		return nil, err
	}
	registered, ok := result.Value.(*runwayv1.Ingress)
	if !ok {
		return nil, fmt.Errorf("unexpected result %T", result.Value)
	}
	return registered, nil
}

// receive takes beats, confirmations and statistics.
func (s *ingressSession) receive() error {
	for {
		message, err := s.stream.Recv()
		if err != nil {
			return err
		}
		s.d.config.Presence.Beat(s.id, time.Now())
		switch m := message.GetMessage().(type) {
		case *runwayv1.IngressMessage_Beat:
		case *runwayv1.IngressMessage_Ack:
			if err := s.confirm(m.Ack); err != nil {
				return err
			}
		case *runwayv1.IngressMessage_Stats:
			s.count(m.Stats)
		default:
			return errProtocol
		}
	}
}

// count records what the ingress served. A deployment is counted from the first
// message after its start, so the tally is open before the message is added.
func (s *ingressSession) count(stats *runwayv1.IngressStats) {
	view := s.d.config.Views()
	for _, sample := range stats.GetWorkloads() {
		id := state.IDOf(sample.GetWorkload())
		if active := view.Deployment(view.Workload(id).GetActiveDeployment()); active != nil {
			s.d.config.Presence.OpenTally(active.GetId(), id, active.GetMeta().GetCreatedAt().AsTime())
		}
	}
	if refused := s.d.config.Presence.Record(s.id, stats); refused > 0 {
		s.d.metrics.implausible.Add(float64(refused))
	}
}

// confirm records what the ingress routes by. It cannot confirm what it was not
// sent.
func (s *ingressSession) confirm(ack *runwayv1.RouteAck) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ack.GetIncarnation() == s.incarnation && ack.GetGeneration() > s.sent {
		return fmt.Errorf("confirmation of generation %d, sent %d: %w", ack.GetGeneration(), s.sent, errProtocol)
	}
	if ack.GetIncarnation() == s.incarnation && ack.GetGeneration() >= s.awaited {
		s.await(ack.GetGeneration())
	}
	for _, problem := range ack.GetProblems() {
		s.d.log.Warn("route refused", "ingress_id", s.id, "host", cut(problem.GetHost()), "reason", cut(problem.GetCause().GetSummary()))
		s.d.metrics.routesRefused.Inc()
	}
	s.d.confirmIf(s, presence.Ack{Incarnation: ack.GetIncarnation(), Generation: ack.GetGeneration(), Held: ack.GetHeld(), Stopping: ack.GetStopping()})
	return nil
}

// send keeps the routes of the ingress equal to the present set, and asks for its
// statistics when somebody waits for them. What changes while a message is under way
// is sent as one difference after it.
func (s *ingressSession) send(ingress *runwayv1.Ingress) error {
	cluster := s.d.config.Views().Cluster()
	welcome := &runwayv1.IngressWelcome{Ingress: ingress.GetId(), Incarnation: cluster.GetIncarnation(), Cluster: cluster.GetId()}
	if err := s.write(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	var last *runwayv1.RouteSet
	var told uint64
	for {
		view := s.d.config.Views()
		removed := view.Changed(state.TableIngresses)
		if view.Ingress(s.id) == nil {
			return errGone
		}
		set, changed := s.d.config.Routes.Current()
		if next := difference(last, set); next != nil {
			s.expect(next)
			if err := s.write(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Routes{Routes: next}}); err != nil {
				return err
			}
			last = set
		}
		request, asked := s.d.config.Presence.Asked()
		if err := s.ask(told, request); err != nil {
			return err
		}
		told = request
		select {
		case <-changed:
		case <-asked:
		case <-removed:
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
}

// ask requests statistics now, instead of with the next beat, unless the ingress was
// told to.
func (s *ingressSession) ask(told, request uint64) error {
	if request == told {
		return nil
	}
	return s.write(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Stats{Stats: &runwayv1.StatsRequest{Request: request}}})
}

// expect notes what is being sent and that it is to be confirmed.
func (s *ingressSession) expect(next *runwayv1.RouteSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.incarnation, s.sent = next.GetIncarnation(), next.GetGeneration()
	if s.watch == nil {
		s.await(0)
	}
}

// await ends the watch for older generations and starts one for the newest, unless
// that is confirmed. The watch never moves while it runs, so that a stream of
// changes does not hide a silence.
func (s *ingressSession) await(confirmed uint64) {
	if s.watch != nil {
		s.watch.Stop()
		s.watch = nil
	}
	if confirmed == s.sent {
		return
	}
	s.awaited = s.sent
	s.watch = time.AfterFunc(silence, func() {
		s.d.metrics.silent.Inc()
		s.end(errSilent)
	})
}

func (s *ingressSession) write(message *runwayv1.RouteMessage) error {
	return s.within(func() error { return s.stream.Send(message) })
}

// enterIngress makes s the session of its ingress and ends the one before. What it
// confirmed there is taken back: it may have been restarted.
func (d *Dispatcher) enterIngress(s *ingressSession, hello *runwayv1.IngressHello) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.ingresses[s.id]; old != nil {
		old.end(errReplaced)
	}
	d.ingresses[s.id] = s
	d.config.Presence.AckRoutes(s.id, presence.Ack{Incarnation: hello.GetIncarnation()})
	d.metrics.sessions.WithLabelValues("ingress").Set(float64(len(d.ingresses)))
}

func (d *Dispatcher) leaveIngress(s *ingressSession) {
	s.stopWatch()
	d.config.Presence.Interrupt(s.id)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ingresses[s.id] == s {
		delete(d.ingresses, s.id)
		d.config.Presence.Unconfirm(s.id)
	}
	d.metrics.sessions.WithLabelValues("ingress").Set(float64(len(d.ingresses)))
}

// confirmIf records a confirmation unless a newer session has begun.
func (d *Dispatcher) confirmIf(s *ingressSession, ack presence.Ack) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ingresses[s.id] == s {
		d.config.Presence.AckRoutes(s.id, ack)
	}
}

func (s *ingressSession) stopWatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch != nil {
		s.watch.Stop()
	}
}
