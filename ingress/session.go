package ingress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/ingress/route"
	"github.com/runway-platform/runway/ingress/stats"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// beatInterval: an ingress that is silent for 3 of them is lost.
	beatInterval = time.Second
	// welcomeTimeout bounds the wait for the first message: registration may take
	// an election.
	welcomeTimeout = 10 * time.Second
	// A broken session is retried soon, as nothing is acknowledged without one;
	// the last retries are spread over all ingresses.
	firstRetry, lastRetry = 50 * time.Millisecond, 3 * time.Second
	// newsInterval is how often a confirmation is sent again only because names have got
	// their certificates, or not: a first start with thousands of names is no flood.
	newsInterval = 500 * time.Millisecond
)

// errProtocol means that the coordinator sent what it must not.
var errProtocol = errors.New("unexpected message from the coordinator")

// session follows the leading coordinator, one stream after the other.
type session struct {
	coordinator runwayv1.IngressSessionClient
	name        string
	facts       *runwayv1.IngressFacts
	ingress     *Ingress
	log         *slog.Logger
	deltas      *stats.Deltas
	up          atomic.Bool
	refused     atomic.Uint64 // sets
	withheld    atomic.Bool   // a set waits for the coordinator's force
	fresh       freshness
}

func newSession(i *Ingress, coordinator runwayv1.IngressSessionClient) *session {
	facts := proto.CloneOf(i.cfg.Facts)
	if facts.GetHttpPort() == 0 {
		facts.HttpPort = port(i.sockets.http)
	}
	if facts.GetHttpsPort() == 0 {
		facts.HttpsPort = port(i.sockets.https)
	}
	return &session{
		coordinator: coordinator, name: i.cfg.Name, facts: facts, ingress: i, log: i.log, deltas: stats.NewDeltas(i.stats),
	}
}

// run keeps a session until ctx ends. Requests are served all the time.
func (s *session) run(ctx context.Context) error {
	wait := firstRetry
	for ctx.Err() == nil {
		synced, err := s.follow(ctx, s.coordinator, func() {})
		if ctx.Err() != nil {
			return nil
		}
		if synced || client.IsNotLeader(err) {
			wait = firstRetry
		}
		s.log.Warn("session with the coordinator ended, routes stay in use", "err", err, "retry_in", wait)
		sleep(ctx, jitter(wait))
		wait = min(2*wait, lastRetry)
	}
	return nil
}

// follow opens one stream and follows it to its end. It returns whether a set
// arrived, and calls arrived each time that one is in use.
func (s *session) follow(ctx context.Context, coordinator runwayv1.IngressSessionClient, arrived func()) (synced bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := coordinator.Connect(ctx)
	if err != nil {
		return false, fmt.Errorf("open session: %w", err)
	}
	if err := stream.Send(s.hello()); err != nil {
		return false, fmt.Errorf("send hello: %w", streamError(stream, err))
	}
	received := make(chan *runwayv1.RouteMessage)
	go receive(ctx, cancel, stream, received)
	defer func() { // the receiver ends with the stream
		cancel(nil)
		for range received {
		}
	}()
	f := &following{session: s, stream: stream, received: received, arrived: arrived}
	if err := f.awaitWelcome(ctx); err != nil {
		return false, err
	}
	s.up.Store(true)
	defer s.up.Store(false)
	s.ingress.certs.Retry()
	err = f.reason(ctx, f.loop(ctx))
	s.fresh.end(time.Now())
	if status.Code(err) == codes.Aborted { // removed, or replaced by another process
		s.ingress.standing.End()
	}
	return f.synced, err
}

func (s *session) hello() *runwayv1.IngressMessage {
	return &runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Hello{Hello: &runwayv1.IngressHello{
		Name: s.name, Facts: s.facts, AnswerBeats: true,
	}}}
}

type routeStream = runwayv1.IngressSession_ConnectClient

// receive hands over messages until the stream or ctx ends; then it closes the
// channel, after ctx carries why.
func receive(ctx context.Context, cancel context.CancelCauseFunc, stream routeStream, to chan<- *runwayv1.RouteMessage) {
	defer close(to)
	for {
		m, err := stream.Recv()
		if err != nil {
			cancel(fmt.Errorf("receive routes: %w", err))
			return
		}
		select {
		case to <- m:
		case <-ctx.Done():
			return
		}
	}
}

// streamError returns why a stream ended: Send only says that it did.
func streamError(stream routeStream, err error) error {
	if _, reason := stream.Recv(); reason != nil {
		return reason
	}
	return err
}

// following is one stream. It belongs to one goroutine, but for the receiver.
type following struct {
	*session
	stream      routeStream
	received    <-chan *runwayv1.RouteMessage
	incarnation string
	synced      bool
	refusal     *refusal // of the newest set
	confirmed   *runwayv1.RouteAck
	// sent is when it was; unconfirmed is since when a newer set is in use.
	sent, unconfirmed time.Time
	sequence          uint64
	beats             beats
	// asked is the newest request for statistics.
	asked uint64
	// arrived is called once a set is in use and confirmed, and may be again.
	arrived func()
}

func (f *following) awaitWelcome(ctx context.Context) error {
	timer := time.NewTimer(welcomeTimeout)
	defer timer.Stop()
	select {
	case m, ok := <-f.received:
		if !ok {
			return context.Cause(ctx)
		}
		welcome := m.GetWelcome()
		if welcome == nil {
			return fmt.Errorf("await welcome: %w", errProtocol)
		}
		f.incarnation = welcome.GetIncarnation()
		f.log.Info("session with the coordinator began", "ingress_id", welcome.GetIngress())
		return nil
	case <-timer.C:
		return fmt.Errorf("await welcome for %v: %w", welcomeTimeout, context.DeadlineExceeded)
	}
}

// loop applies what comes, confirms what is in use, and beats. The sets come in
// order and each is in use before the next is read.
func (f *following) loop(ctx context.Context) error {
	beat := time.NewTicker(beatInterval)
	defer beat.Stop()
	var fresh <-chan time.Time // when the wait for new certificates is over
	for {
		var err error
		urgent := true
		select {
		case m, ok := <-f.received:
			if !ok {
				return context.Cause(ctx)
			}
			err = f.take(m)
		case <-beat.C:
			urgent, err = false, f.beat()
		case <-f.ingress.live.Freed():
		case <-f.ingress.nudged:
		case <-f.ingress.book.written:
		case <-f.ingress.certs.Changed():
			urgent = false
		case <-fresh:
			urgent = false
		}
		if err != nil {
			return err
		}
		if fresh, err = f.confirm(time.Now(), urgent); err != nil {
			return err
		}
		if f.confirmed != nil {
			f.arrived()
		}
	}
}

// reason returns why the loop ended. Send says only that the stream has: the receiver
// is told why, behind what was sent before.
func (f *following) reason(ctx context.Context, err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	for range f.received {
	}
	return context.Cause(ctx)
}

// take puts a set into use, answers a request for statistics, or hears that a beat
// has arrived.
func (f *following) take(m *runwayv1.RouteMessage) error {
	if beat := m.GetBeat(); beat != nil {
		f.answered(beat.GetSequence())
		return nil
	}
	if request := m.GetStats(); request != nil {
		f.asked = request.GetRequest()
		return f.count(true)
	}
	set := m.GetRoutes()
	if set == nil {
		return fmt.Errorf("take routes: %w", errProtocol)
	}
	before := f.synced
	if err := f.apply(set); err != nil {
		f.refused.Add(1)
		return fmt.Errorf("take routes: %w", err)
	}
	if f.synced && !before {
		return f.beat() // its answer proves the routes a second sooner
	}
	return nil
}

// beat tells that this ingress lives and what it served.
func (f *following) beat() error {
	f.sequence++
	f.beats.sent(f.sequence, time.Now(), f.synced && f.refusal == nil)
	if err := f.send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Beat{
		Beat: &runwayv1.Beat{Sequence: f.sequence},
	}}); err != nil {
		return err
	}
	return f.count(false)
}

// count sends what was served since the message before; nothing when it is nothing
// and nobody waits for it.
func (f *following) count(waited bool) error {
	since := f.deltas.Since()
	counts, before := f.deltas.Next(), f.ingress.predecessor.served()
	table := f.ingress.live.Table()
	f.deltas.Forget(func(series stats.Key) bool { return stays(table, series) })
	if len(counts) == 0 && len(before) == 0 && !waited {
		return nil
	}
	served := fromCounts(counts)
	served.Workloads = append(served.Workloads, before...)
	served.Request, served.Covers = f.asked, durationpb.New(f.deltas.Since().Sub(since))
	return f.send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Stats{Stats: served}})
}

// stays tells whether a series may still grow: a replica of the revision has a route,
// or, for the answers of the ingress itself, the workload has one.
func stays(table *route.Table, series stats.Key) bool {
	key := route.Key{Space: series.Space, Service: series.Service, Environment: series.Environment}
	if series.Revision == 0 {
		return table.Has(key)
	}
	return table.Routes(key, series.Revision)
}

// confirm acknowledges what is in use, unless that was done. It waits for the
// certificates of new names, and with what is not urgent, as it is only news of names:
// then it returns when to look again at the latest.
func (f *following) confirm(now time.Time, urgent bool) (<-chan time.Time, error) {
	if !f.synced && f.refusal == nil {
		return nil, nil
	}
	if f.unconfirmed.IsZero() && f.refusal == nil {
		if wait := f.sent.Add(newsInterval).Sub(now); wait > 0 && !urgent {
			return time.After(wait), nil
		}
	} else if wait := grace(f.ingress.certs.Missing(), f.unconfirmed, now); wait > 0 && f.refusal == nil {
		return time.After(wait), nil
	}
	ack := confirmation(f.ingress)
	f.refusal.addTo(ack)
	f.unconfirmed = time.Time{}
	if proto.Equal(ack, f.confirmed) {
		return nil, nil
	}
	f.confirmed, f.sent = ack, now
	return nil, f.send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Ack{Ack: ack}})
}

func (f *following) send(m *runwayv1.IngressMessage) error {
	if err := f.stream.Send(m); err != nil {
		return fmt.Errorf("send to the coordinator: %w", err)
	}
	return nil
}

func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.5 + rand.Float64()))
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
