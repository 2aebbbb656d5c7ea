package dispatch

import (
	"context"
	"errors"
	"io"
	"runtime/debug"
	"time"

	"github.com/runway-platform/runway/coordinator/client"
)

const (
	// helloTimeout is how long a machine may take to say who it is.
	helloTimeout = 5 * time.Second
	// sendTimeout cuts a receiver that takes nothing: it gets a full set when it
	// comes back, which is what keeps every buffer here small. The transport itself
	// holds one message, so the second one is what waits.
	sendTimeout = 5 * time.Second
)

// session is what agent and ingress sessions have in common. The first error of any
// of its loops ends it.
type session struct {
	id      string
	ctx     context.Context
	end     context.CancelCauseFunc
	release func() bool
	expiry  *time.Timer
}

// close frees what the session holds; its loops end.
func (s *session) close() {
	s.end(nil)
	s.release()
	if s.expiry != nil {
		s.expiry.Stop()
	}
}

// serve runs the loops until the first one ends, and returns why. It does not wait
// for the others: one may be stuck in a send that only ends with the stream, which
// is when the caller returns.
func (d *Dispatcher) serve(s *session, loops ...func() error) error {
	d.mu.Lock()
	if d.lead == nil {
		d.mu.Unlock()
		return client.NotLeader(d.config.Leader())
	}
	for _, loop := range loops {
		d.running.Go(func() { s.end(orEnded(d.contained(s, loop))) })
	}
	d.mu.Unlock()
	<-s.ctx.Done()
	return context.Cause(s.ctx)
}

// contained runs a loop of a session. A message that trips a defect ends the session that
// it came over, and not the coordinator with all the others.
func (d *Dispatcher) contained(s *session, loop func() error) (err error) {
	defer func() {
		if defect := recover(); defect != nil {
			d.log.Error("session ended after a panic", "id", s.id, "err", defect, "stack", string(debug.Stack()))
			err = errDefect
		}
	}()
	return loop()
}

// within ends the session when the receiver does not take a message in time.
func (s *session) within(send func() error) error {
	timer := time.AfterFunc(sendTimeout, func() { s.end(errSlow) })
	defer timer.Stop()
	return send()
}

// orEnded gives the regular end of a stream a name, since a nil cause would read
// as a cancellation.
func orEnded(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return errEnded
	}
	return err
}

// first receives the first message of a stream, which must come in time.
func first[T any](ctx context.Context, receive func() (T, error)) (T, error) {
	type result struct {
		message T
		err     error
	}
	arrived := make(chan result, 1)
	go func() {
		message, err := receive()
		arrived <- result{message, err}
	}()
	timer := time.NewTimer(helloTimeout)
	defer timer.Stop()
	var none T
	select {
	case r := <-arrived:
		return r.message, r.err
	case <-timer.C:
		return none, errNoHello
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}
