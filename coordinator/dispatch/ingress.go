package dispatch

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

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
	// beats is the newest beat that is to be answered.
	beats *latest

	mu          sync.Mutex
	incarnation string
	sent        uint64
	// watch ends the session unless awaited, a generation, is confirmed before.
	watch   *time.Timer
	awaited uint64
	// refusal is the set that the ingress said it does not take; nil when there is none.
	refusal *runwayv1.RouteRefusal
	// problems that it has told of, by their keys.
	problems map[string]bool
	// accepted receives when an operator wants what is refused to be taken.
	accepted chan struct{}
	// everything receives when what was sent is not confirmed in time.
	everything chan struct{}
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
	s := &ingressSession{
		session: base, d: i.d, stream: stream, beats: newLatest(), accepted: make(chan struct{}, 1), everything: make(chan struct{}, 1),
	}
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
	if err := checkSource(hello.GetFacts().GetSourceAddress()); err != nil {
		return err
	}
	s.d.config.Presence.Beat(s.id, time.Now())
	ingress, err := s.register(hello)
	if err != nil {
		return fmt.Errorf("register ingress %q: %w", s.id, err)
	}
	s.d.enterIngress(s)
	defer s.d.leaveIngress(s)
	s.d.log.Info("ingress session began", "ingress_id", s.id, "name", ingress.GetName())
	return s.d.serve(s.session, func() error { return s.receive(hello.GetAnswerBeats()) }, func() error { return s.send(ingress) })
}

// checkSource refuses an ingress that no node would let in. It is done here and not in the command: an ingress that an older
// coordinator has accepted stays in the log.
func checkSource(address string) error {
	if source, err := netip.ParseAddr(address); err == nil && source.Unmap().Is4() && !source.Unmap().IsUnspecified() {
		return nil
	}
	return detailed(codes.InvalidArgument, &runwayv1.Cause{
		Code:    string(code.SpecInvalid),
		Summary: fmt.Sprintf("the ingress's source address %q is no IPv4 address: no node would let it in", address),
		Fix:     "give the IPv4 address that nodes see its requests come from with --source-address",
	})
}

// register writes what the ingress says of itself, unless the state has it. One that
// was lost becomes live by what it confirms, not by coming back.
func (s *ingressSession) register(hello *runwayv1.IngressHello) (*runwayv1.Ingress, error) {
	ingress := s.d.config.Views().Ingress(s.id)
	known := ingress != nil && ingress.GetName() == hello.GetName() && proto.Equal(ingress.GetFacts(), hello.GetFacts())
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
func (s *ingressSession) receive(answerBeats bool) error {
	for {
		message, err := s.stream.Recv()
		if err != nil {
			return err
		}
		s.d.config.Presence.Beat(s.id, time.Now())
		switch m := message.GetMessage().(type) {
		case *runwayv1.IngressMessage_Beat:
			if answerBeats {
				s.beats.set(m.Beat.GetSequence())
			}
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

// send keeps the routes of the ingress equal to the present set, and asks for its
// statistics when somebody waits for them. What changes while a message is under way
// is sent as one difference after it.
func (s *ingressSession) send(ingress *runwayv1.Ingress) error {
	cluster := s.d.config.Views().Cluster()
	welcome := &runwayv1.IngressWelcome{Ingress: ingress.GetId(), Incarnation: cluster.GetIncarnation()}
	if err := s.write(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	var last *runwayv1.RouteSet
	var told uint64
	why := changed
	for {
		view := s.d.config.Views()
		removed := view.Changed(state.TableIngresses)
		if view.Ingress(s.id) == nil {
			return errGone
		}
		set, newer := s.d.config.Routes.Current()
		if next := s.next(last, set, why); next != nil {
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
		told, why = request, changed
		select {
		case <-newer:
		case <-s.accepted:
			why = forced
		case <-s.everything:
			why = repeated
		case <-asked:
		case <-removed:
		case <-s.beats.wake:
			if err := s.answer(s.beats.get()); err != nil {
				return err
			}
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
}

// answer tells the ingress that it was heard of: what it routes by holds for a while.
func (s *ingressSession) answer(beat uint64) error {
	return s.write(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Beat{Beat: &runwayv1.Beat{Sequence: beat}}})
}

// ask requests statistics now, instead of with the next beat, unless the ingress was
// told to.
func (s *ingressSession) ask(told, request uint64) error {
	if request == told {
		return nil
	}
	return s.write(&runwayv1.RouteMessage{Message: &runwayv1.RouteMessage_Stats{Stats: &runwayv1.StatsRequest{Request: request}}})
}

func (s *ingressSession) write(message *runwayv1.RouteMessage) error {
	return s.within(func() error { return s.stream.Send(message) })
}

// enterIngress makes s the session of its ingress and ends the one before. What it
// confirmed there is taken back: it may have been restarted.
func (d *Dispatcher) enterIngress(s *ingressSession) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.ingresses[s.id]; old != nil {
		old.end(errReplaced)
	}
	d.ingresses[s.id] = s
	d.config.Presence.Unconfirm(s.id)
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
