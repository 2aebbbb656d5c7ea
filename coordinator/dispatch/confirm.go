package dispatch

import (
	"fmt"
	"time"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/presence"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// silence is how long an ingress may take to confirm a generation. One that beats
// but does not confirm would hold up every deployment: it is cut, and counts as
// lost until it confirms. One that says that it refuses is not silent: its session
// stays open, so that it can be told to take the routes after all.
const silence = 5 * time.Second

// resend is when everything is sent again to an ingress that has not confirmed yet: a
// set may have been lost on the way. It is beyond the time that an ingress waits for
// the certificates of new names.
const resend = 3 * time.Second

// confirm records what the ingress routes by and what it refuses. It cannot confirm
// what it was not sent.
func (s *ingressSession) confirm(ack *runwayv1.RouteAck) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ours := ack.GetIncarnation() == s.incarnation
	if ours && (ack.GetGeneration() > s.sent || ack.GetSaved() > ack.GetGeneration()) || ack.GetRefused() > s.sent {
		return fmt.Errorf("confirmation of generation %d with %d saved and %d refused, sent %d: %w",
			ack.GetGeneration(), ack.GetSaved(), ack.GetRefused(), s.sent, errProtocol)
	}
	s.refusal = refusalOf(ack)
	switch {
	case s.refusal != nil:
		s.stopTimer()
	case ours && ack.GetGeneration() >= s.awaited:
		s.await(ack.GetGeneration())
	}
	problems := ack.GetProblems()[:min(len(ack.GetProblems()), command.MaxRouteProblems)]
	s.tell(problems)
	s.d.confirmIf(s, presence.Ack{
		Incarnation: ack.GetIncarnation(), Generation: ack.GetGeneration(), Saved: ack.GetSaved(), Held: ack.GetHeld(), Stopping: ack.GetStopping(),
		Problems: problems, Omitted: ack.GetProblemsOmitted(), Refusal: s.refusal,
	})
	return nil
}

func refusalOf(ack *runwayv1.RouteAck) *runwayv1.RouteRefusal {
	if ack.GetRefused() == 0 {
		return nil
	}
	going := ack.GetGoing()[:min(len(ack.GetGoing()), command.MaxRouteProblems)]
	return &runwayv1.RouteRefusal{Generation: ack.GetRefused(), Going: going, GoingTotal: ack.GetGoingTotal()}
}

// tell logs and counts the problems that the ingress has not told of before.
func (s *ingressSession) tell(problems []*runwayv1.RouteProblem) {
	now := make(map[string]bool, len(problems))
	for _, problem := range problems {
		key := command.ProblemKey(problem)
		now[key] = true
		if s.problems[key] {
			continue
		}
		s.d.log.Warn("route not served", "ingress_id", s.id, "host", cut(problem.GetHost()), "reason", cut(problem.GetCause().GetSummary()))
		s.d.metrics.routesRefused.Inc()
	}
	s.problems = now
}

// sending is why routes are sent.
type sending uint8

const (
	changed  sending = iota // if they have
	repeated                // they were not confirmed
	forced                  // an operator accepts them
)

// next returns what the ingress is to be sent after last: a difference, or everything
// when it refused what it was sent, as nothing builds on that.
func (s *ingressSession) next(last, set *runwayv1.RouteSet, why sending) *runwayv1.RouteSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case set == nil:
		return nil
	case why == repeated:
		return everything(set)
	case s.refusal == nil:
		return difference(last, set)
	case why == forced:
		next := everything(set)
		next.Force = true
		return next
	case last.GetGeneration() != set.GetGeneration():
		return everything(set)
	default:
		return nil
	}
}

// expect notes what is being sent and that it is to be confirmed. What is forced
// cannot be refused again.
func (s *ingressSession) expect(next *runwayv1.RouteSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.incarnation, s.sent = next.GetIncarnation(), next.GetGeneration()
	if next.GetForce() {
		s.refusal = nil
	}
	if s.watch == nil && s.refusal == nil {
		s.await(0)
	}
}

// await ends the watch for older generations and starts one for the newest, unless
// that is confirmed. The watch never moves while it runs, so that a stream of
// changes does not hide a silence.
func (s *ingressSession) await(confirmed uint64) {
	s.stopTimer()
	if confirmed == s.sent {
		return
	}
	s.awaited = s.sent
	s.watch = time.AfterFunc(resend, func() {
		s.again(s.everything)
		s.cutLater()
	})
}

// cutLater ends the session unless what is awaited is confirmed in the time that is
// left for it.
func (s *ingressSession) cutLater() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch == nil {
		return // confirmed meanwhile
	}
	s.watch = time.AfterFunc(silence-resend, func() {
		s.d.metrics.silent.Inc()
		s.end(errSilent)
	})
}

// again wakes the loop that sends.
func (s *ingressSession) again(why chan struct{}) {
	select {
	case why <- struct{}{}:
	default: // under way
	}
}

// stopTimer ends the watch; the caller holds mu.
func (s *ingressSession) stopTimer() {
	if s.watch != nil {
		s.watch.Stop()
		s.watch = nil
	}
}

func (s *ingressSession) stopWatch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopTimer()
}

// confirmIf records a confirmation unless a newer session has begun.
func (d *Dispatcher) confirmIf(s *ingressSession, ack presence.Ack) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ingresses[s.id] == s {
		d.config.Presence.AckRoutes(s.id, ack)
	}
}

// AcceptRoutes has the ingress take the routes that it refuses, if no more than going
// routes go with them now: those were shown to who accepts. The errors are
// ErrNoIngress, ErrNothingRefused and ErrMoreGoing.
func (d *Dispatcher) AcceptRoutes(ingress string, going uint32) error {
	d.mu.Lock()
	s := d.ingresses[ingress]
	d.mu.Unlock()
	if s == nil {
		return fmt.Errorf("accept routes of ingress %q: %w", ingress, ErrNoIngress)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal == nil {
		return fmt.Errorf("accept routes of ingress %q: %w", ingress, ErrNothingRefused)
	}
	if total := s.refusal.GetGoingTotal(); total > going {
		return fmt.Errorf("accept routes of ingress %q, of which %d would go: %w", ingress, total, ErrMoreGoing)
	}
	s.again(s.accepted)
	return nil
}
