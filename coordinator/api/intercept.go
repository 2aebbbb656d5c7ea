package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/proto/code"
)

// Headers of every answer of one message; streams have the index in their messages.
const (
	indexHeader = "runway-index"
	ageHeader   = "runway-age"
)

// endsSoon is long enough to be seen at least once by who comes every week.
const endsSoon = 14 * 24 * time.Hour

// call is one request on its way through the interceptors.
type call struct {
	id     string
	method string
	right  right
	who    caller.Caller
	began  time.Time
}

func (a *API) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (answer any, err error) {
	c := newCall(info.FullMethod)
	defer func() { err = a.finish(ctx, c, recovered(err, recover())) }()
	if err := a.admit(ctx, c); err != nil {
		return nil, err
	}
	if ending := c.ending(); ending != nil {
		if err := grpc.SetHeader(ctx, ending); err != nil {
			return nil, err
		}
	}
	if err := c.scope(request); err != nil {
		return nil, err
	}
	answer, err = next(caller.With(ctx, c.who), request)
	return answer, errors.Join(err, grpc.SetHeader(ctx, a.position()))
}

// position says which state an answer was made from: the index of its last command,
// and for how long nobody who leads was heard of. It is taken after the call, so that
// what a caller wrote is in the state of every later answer with that index.
func (a *API) position() metadata.MD {
	age := time.Duration(0)
	if a.config.Age != nil {
		age = a.config.Age()
	}
	return metadata.Pairs(indexHeader, strconv.FormatUint(a.view().Index(), 10), ageHeader, age.Round(time.Millisecond).String())
}

func (a *API) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	c := newCall(info.FullMethod)
	defer func() { err = a.finish(stream.Context(), c, recovered(err, recover())) }()
	if err := a.admit(stream.Context(), c); err != nil {
		return err
	}
	if ending := c.ending(); ending != nil {
		if err := stream.SetHeader(ending); err != nil {
			return err
		}
	}
	ctx, release := a.whileValid(stream.Context(), c.who)
	defer release()
	ctx, end, err := a.whileServing(ctx, c.right)
	if err != nil {
		return err
	}
	defer end()
	return next(service, &scopedStream{ServerStream: stream, ctx: caller.With(ctx, c.who), call: c})
}

// ending tells the owner of a token that its life is about to end, so that a new one
// is made in time. Machines renew by themselves.
func (c *call) ending() metadata.MD {
	if c.who.Role < viewer || c.who.Expires.IsZero() || c.who.Expires.Sub(c.began) > endsSoon {
		return nil
	}
	return metadata.Pairs(client.ExpiryHeader, c.who.Expires.UTC().Format(time.RFC3339))
}

func newCall(method string) *call {
	return &call{id: rand.Text(), method: method, right: rights[method], began: time.Now()}
}

// admit decides whether the caller may call the method at all.
func (a *API) admit(ctx context.Context, c *call) error {
	if c.right.open {
		return a.atLeader(c.right)
	}
	who, err := a.authenticate(ctx, c.began)
	if err != nil {
		return a.unknown(err)
	}
	c.who = who
	if err := checkLife(who, c.right, c.began); err != nil {
		return err
	}
	if !c.right.allows(who.Role) {
		return denied(who, c.method)
	}
	return a.atLeader(c.right)
}

// unknown is the answer to a caller that the state does not know. Only the leader
// can say so for good: the state of another may be behind, and is empty after a start
// until the log is read, which would turn every good credential away.
func (a *API) unknown(err error) error {
	if leader, leads := a.config.Leader(); !leads {
		return client.NotLeader(leader)
	}
	return err
}

// scope refuses a request about a space that does not exist for the caller. The
// answer is that of a space that does not exist at all.
func (c *call) scope(request any) error {
	if c.right.space == nil {
		return nil
	}
	space, all := c.right.space(request)
	if all || c.who.Sees(space) {
		return nil
	}
	return noSpace(space)
}

// scopedStream checks the first message of a stream.
type scopedStream struct {
	grpc.ServerStream
	ctx     context.Context
	call    *call
	checked bool
}

// grpc.ServerStream

func (s *scopedStream) Context() context.Context { return s.ctx }

func (s *scopedStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	if s.checked {
		return nil
	}
	s.checked = true
	return s.call.scope(message)
}

// finish turns the error into the answer and keeps the record of the call.
func (a *API) finish(ctx context.Context, c *call, err error) error {
	answer := a.statusOf(c, err)
	a.metrics.observe(c, status.Code(answer))
	if c.right.writes || isRefusal(answer) {
		a.record(ctx, c, answer)
	}
	return answer
}

// record says who did or tried what. It never holds a request, since requests carry
// secrets.
func (a *API) record(ctx context.Context, c *call, answer error) {
	a.log.InfoContext(ctx, "call", "request_id", c.id, "method", c.method, "caller", c.who.Name, "role", c.who.Role.String(),
		"from", peerAddress(ctx), "decision", status.Code(answer).String(), "took", time.Since(c.began))
}

// recovered turns a panic of a handler into an error with its place.
func recovered(err error, defect any) error {
	if defect == nil {
		return err
	}
	return fmt.Errorf("panic: %v\n%s: %w", defect, debug.Stack(), errUnexpected)
}

// atLeader refuses what only the leader may answer. Nothing is forwarded: clients
// go to the address in the answer, so that who calls is never told by another.
func (a *API) atLeader(r right) error {
	if r.anywhere {
		return nil
	}
	if leader, leads := a.config.Leader(); !leads {
		return client.NotLeader(leader)
	}
	return nil
}

// authority returns who signs, or that nobody can yet.
func (a *API) authority() (*identity.Authority, error) {
	if authority := a.config.Authority(); authority != nil {
		return authority, nil
	}
	return nil, refuse(unavailableStatus, code.NoLeader, "the authority of the cluster is not known yet")
}
