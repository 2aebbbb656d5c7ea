package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// beatEvery is how often the node says that it is alive; it counts as suspect after three missed beats.
	beatEvery = time.Second
	// firstReconnect and lastReconnect bound the wait between sessions. With jitter, a thousand nodes that lost a coordinator
	// at once come back spread over the time that it can bear.
	firstReconnect = 50 * time.Millisecond
	lastReconnect  = 2 * time.Second
	// settledAfter is how long a session must last for the next one to be opened without delay.
	settledAfter = 10 * time.Second
	// outboxSize is room for acknowledgements while a message is being sent.
	outboxSize = 16
	// welcomeWithin is how long a coordinator may take to welcome a node; one that does not is not worth waiting for.
	welcomeWithin = 10 * time.Second
	// saveWithin is how long the disk may take to keep a set. A node whose disk hangs takes no more orders, so it must not look
	// alive: it leaves until the disk answers.
	saveWithin = 5 * time.Second
)

var (
	// errDiskHangs is a disk that neither keeps a set nor fails.
	errDiskHangs = errors.New("the disk did not answer")
	// errWorkerHangs is a worker that makes no progress.
	errWorkerHangs = errors.New("the worker hangs")
)

// session keeps the node connected to the leading coordinator. What arrives goes to disk first, then to the worker, then it is
// acknowledged. Without a session the worker goes on by itself.
type session struct {
	name     string
	facts    func() (*runwayv1.NodeFacts, error)
	conn     grpc.ClientConnInterface
	worker   *inbox
	reporter *reporter
	uploads  *uploader
	metrics  *Metrics
	log      *slog.Logger
	jitter   func(time.Duration) time.Duration

	// current is the last set that was accepted.
	current *assignments
	// save makes a set durable. saving is closed when one that missed its deadline has ended after all.
	save   func(*assignments) error
	saving <-chan struct{}
	// alive reports whether the worker still works.
	alive func() bool
}

// Run opens one session after the other until ctx ends.
func (s *session) Run(ctx context.Context) error {
	tries := 0
	for {
		s.awaitNode(ctx)
		began := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > settledAfter {
			tries = 0
		}
		tries++
		delay := s.jitter(backOff(tries, firstReconnect, lastReconnect))
		s.logEnd(err, delay)
		pause(ctx, delay)
	}
}

// awaitNode waits for a set that the disk did not keep in time, and for a worker that hangs.
func (s *session) awaitNode(ctx context.Context) {
	if s.saving != nil {
		select {
		case <-s.saving:
			s.saving = nil
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil && !s.alive() {
		pause(ctx, beatEvery)
	}
}

// logEnd keeps the search for a leader out of the log of operators: it is no more than an election.
func (s *session) logEnd(err error, delay time.Duration) {
	if client.IsNotLeader(err) {
		s.log.Debug("coordinator does not lead", "retry_in", delay)
		return
	}
	s.log.Warn("session ended", "err", err, "retry_in", delay)
}

// once holds one session from Hello to its end, and returns when everything that belongs to it has.
func (s *session) once(ctx context.Context) error {
	hello, err := s.hello()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(welcomeWithin, cancel)
	defer late.Stop()
	stream, err := runwayv1.NewAgentSessionClient(s.conn).Connect(ctx)
	if err != nil {
		cancel()
		return fmt.Errorf("open session: %w", err)
	}
	one := &connection{session: s, stream: stream, outbox: make(chan *runwayv1.AgentMessage, outboxSize), welcomed: make(chan struct{}), late: late}
	failed := make(chan error, 1)
	one.running.Go(func() {
		failed <- one.receive(ctx)
		cancel()
	})
	sendErr := one.send(ctx, hello)
	cancel()
	one.running.Wait()
	s.metrics.connected(false)
	return errors.Join(<-failed, sendErr)
}

// connection is one session on the wire. Only send sends; receive hands it what must be answered.
type connection struct {
	*session
	stream   grpc.BidiStreamingClient[runwayv1.AgentMessage, runwayv1.CoordinatorMessage]
	outbox   chan *runwayv1.AgentMessage
	welcomed chan struct{}
	welcome  *runwayv1.AgentWelcome
	late     *time.Timer
	running  sync.WaitGroup
}

// send says Hello, then beats, answers and reports until ctx ends. The reason of a failed Send is what receive returns.
func (c *connection) send(ctx context.Context, hello *runwayv1.AgentMessage) error {
	if err := c.stream.Send(hello); err != nil {
		return c.ended(ctx)
	}
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	reports := make(<-chan struct{}) // silent until welcomed
	welcomed := c.welcomed
	for sequence := uint64(1); ; {
		var message *runwayv1.AgentMessage
		select {
		case <-ctx.Done():
			return c.stream.CloseSend()
		case <-welcomed:
			welcomed, reports = nil, c.reporter.wake
			c.reporter.reset()
			continue
		case <-beat.C:
			if !c.alive() {
				return c.hang()
			}
			message = &runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Beat{Beat: &runwayv1.Beat{Sequence: sequence}}}
			sequence++
		case message = <-c.outbox:
		case <-reports:
			if err := c.sendReports(); err != nil {
				return c.ended(ctx)
			}
			continue
		}
		if err := c.stream.Send(message); err != nil {
			return c.ended(ctx)
		}
	}
}

// ended lets receive find the reason of the end, behind what the coordinator sent before it; that ends ctx. What it answers
// meanwhile goes nowhere.
func (c *connection) ended(ctx context.Context) error {
	for {
		select {
		case <-c.outbox:
		case <-ctx.Done():
			return nil
		}
	}
}

// hang ends the session of a node whose worker does nothing any more: a node that only beats would keep its replicas and requests.
func (c *connection) hang() error {
	c.log.Error("worker hangs; the node leaves until it works again")
	c.reporter.event("node.hang", "", code.Internal, "the agent's worker made no progress; the node left until it did")
	return errors.Join(errWorkerHangs, c.stream.CloseSend())
}

func (c *connection) sendReports() error {
	for {
		next := c.reporter.next()
		if next == nil {
			return nil
		}
		message := &runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Reports{Reports: next}}
		if err := c.stream.Send(message); err != nil {
			return err
		}
	}
}

func (s *session) hello() (*runwayv1.AgentMessage, error) {
	facts, err := s.facts()
	if err != nil {
		return nil, err
	}
	hello := &runwayv1.AgentHello{Name: s.name, Facts: facts}
	if s.current != nil {
		hello.Incarnation, hello.Generation, hello.Epoch = s.current.Incarnation, s.current.Generation, s.current.Epoch
	}
	return &runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Hello{Hello: hello}}, nil
}

func (c *connection) receive(ctx context.Context) error {
	for {
		message, err := c.stream.Recv()
		if err != nil {
			return fmt.Errorf("receive from coordinator: %w", err)
		}
		if err := c.handle(ctx, message); err != nil {
			return err
		}
	}
}

func (c *connection) handle(ctx context.Context, message *runwayv1.CoordinatorMessage) error {
	switch m := message.GetMessage().(type) {
	case *runwayv1.CoordinatorMessage_Welcome:
		return c.accept(m.Welcome)
	case *runwayv1.CoordinatorMessage_Assignments:
		return c.assign(ctx, m.Assignments)
	case *runwayv1.CoordinatorMessage_ReportAck:
		c.reporter.ack(m.ReportAck.GetSequence())
	case *runwayv1.CoordinatorMessage_OpenLogs:
		c.running.Go(func() { c.uploads.serve(ctx, m.OpenLogs) })
	}
	return nil // a message of a newer coordinator is for newer agents
}

func (c *connection) accept(welcome *runwayv1.AgentWelcome) error {
	if c.welcome != nil {
		return errors.New("coordinator sent a second welcome")
	}
	c.welcome = welcome
	c.late.Stop()
	c.metrics.connected(true)
	c.log.Info("session opened", "node_id", welcome.GetNode(), "epoch", welcome.GetEpoch())
	close(c.welcomed)
	return nil
}

// assign takes a set over: to the disk, to the worker, and only then acknowledged. A set that cannot be written is carried out
// all the same, for it may say what to stop; without an acknowledgement the coordinator knows.
func (c *connection) assign(ctx context.Context, set *runwayv1.AssignmentSet) error {
	if c.welcome == nil {
		return errors.New("coordinator sent assignments before its welcome")
	}
	next, err := c.current.apply(c.welcome, set)
	if err != nil {
		c.log.Error("assignments are refused", "err", err)
		return err
	}
	saved := c.saveInTime(next)
	c.current = next
	c.worker.putDesired(next)
	if errors.Is(saved, errDiskHangs) {
		c.reporter.event("node.disk", "", code.DiskSlow, saved.Error())
		return saved
	}
	if saved != nil {
		c.log.Error("assignments were not saved", "err", saved)
		c.reporter.event("node.disk", "", code.DiskSlow, saved.Error())
		return nil
	}
	c.log.Debug("assignments taken over", "generation", next.Generation, "replicas", len(next.replicas))
	ack := &runwayv1.AgentMessage{Message: &runwayv1.AgentMessage_Ack{Ack: &runwayv1.AssignmentAck{Generation: next.Generation}}}
	select {
	case c.outbox <- ack:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// saveInTime makes a set durable, or gives up waiting for the disk: errDiskHangs.
func (c *connection) saveInTime(next *assignments) error {
	done, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		done <- c.save(next)
	}()
	late := time.NewTimer(saveWithin)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		c.saving = ended
		return fmt.Errorf("save assignments of generation %d: %w for %s", next.Generation, errDiskHangs, saveWithin)
	}
}
