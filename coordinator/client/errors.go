package client

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// codeOf is what a status without a cause means.
var codeOf = map[codes.Code]code.Code{
	codes.Unavailable:       code.Unreachable,
	codes.Unauthenticated:   code.Unauthenticated,
	codes.PermissionDenied:  code.PermissionDenied,
	codes.ResourceExhausted: code.TooManyRequests,
	codes.Aborted:           code.Conflict,
	codes.InvalidArgument:   code.SpecInvalid,
	codes.Unimplemented:     code.VersionsDiffer, // an older coordinator does not have the call
}

// CauseOf returns why a call failed: the coordinator's own words when it sent any,
// else what the status means. It is nil for a nil error and for one that is no
// status of a call, such as the end of the caller's context.
func CauseOf(err error) *runwayv1.Cause {
	answer, ok := status.FromError(err)
	if err == nil || !ok {
		return nil
	}
	for _, detail := range answer.Details() {
		if cause, ok := detail.(*runwayv1.Cause); ok {
			return cause
		}
	}
	if answer.Code() == codes.Canceled || answer.Code() == codes.DeadlineExceeded {
		return nil
	}
	if _, ok := leaderOf(err); ok {
		return causeWith(code.NoLeader, "no coordinator leads")
	}
	c, ok := codeOf[answer.Code()]
	if !ok {
		c = code.Internal
	}
	return causeWith(c, answer.Message())
}

// NotLeader is how a coordinator refuses because it does not lead. It names who does,
// empty when nobody is known to.
func NotLeader(leader string) error {
	plain := status.New(codes.FailedPrecondition, string(code.NoLeader)+" this coordinator does not lead")
	with, err := plain.WithDetails(&runwayv1.NotLeader{Leader: leader})
	if err != nil {
		return plain.Err()
	}
	return with.Err()
}

// IsNotLeader says whether a coordinator refused because it does not lead. The
// connection knows the leader, if there is one, and the next call goes there.
func IsNotLeader(err error) bool {
	_, ok := leaderOf(err)
	return ok
}

// leaderOf returns the leader that a refusal names, and whether it is one.
func leaderOf(err error) (string, bool) {
	answer, ok := status.FromError(err)
	if err == nil || !ok || answer.Code() != codes.FailedPrecondition {
		return "", false
	}
	for _, detail := range answer.Details() {
		if hint, ok := detail.(*runwayv1.NotLeader); ok {
			return hint.GetLeader(), true
		}
	}
	return "", false
}

// explain adds the cause to an error that was made on this side.
func (c *Conn) explain(err error) error {
	if reason := c.trust.refusal(); reason != nil && status.Code(err) == codes.Unavailable {
		return withCause(codes.Unavailable, causeWith(code.WrongCA, reason.Error()))
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, notLeader := leaderOf(err); notLeader {
		return withCause(codes.Unavailable, causeWith(code.NoLeader, "no coordinator leads"))
	}
	return err
}

func causeWith(c code.Code, summary string) *runwayv1.Cause {
	return &runwayv1.Cause{Code: string(c), Summary: summary, Fix: c.Fix()}
}

func withCause(c codes.Code, cause *runwayv1.Cause) error {
	plain := status.New(c, cause.GetSummary())
	detailed, err := plain.WithDetails(cause)
	if err != nil {
		return plain.Err()
	}
	return detailed.Err()
}
