package dispatch

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/coordinator/command"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Why sessions end, beside errors of the stream.
var (
	errEnded       = errors.New("the stream ended")
	errSlow        = errors.New("messages were not taken in time")
	errNoHello     = errors.New("no hello in time")
	errProtocol    = errors.New("unexpected message")
	errReplaced    = errors.New("a newer session of the same machine began")
	errExpired     = errors.New("the certificate has expired")
	errGone        = errors.New("the machine was removed, or given up as down")
	errSilent      = errors.New("a generation was not confirmed in time")
	errOverload    = errors.New("too many reports wait to be written")
	errUnwritten   = errors.New("the leadership ended before it was written")
	errNoAuthority = errors.New("the authority of the cluster is not known yet")
	errOtherPool   = errors.New("the node is not in the pool that it declares")
	errForbidden   = errors.New("not this machine's")
	errDefect      = errors.New("a defect of the coordinator, which is in its log")
	errNoRoutes    = errors.New("this leader has not published the routes yet")
)

// Errors of Logs and AcceptRoutes.
var (
	// ErrNoReplica: the replica does not exist.
	ErrNoReplica = errors.New("no such replica")
	// ErrNoSession: its node is not connected.
	ErrNoSession = errors.New("the node is not connected")
	// ErrNoIngress: the ingress is not connected.
	ErrNoIngress = errors.New("the ingress is not connected")
	// ErrNothingRefused: the ingress has taken its routes.
	ErrNothingRefused = errors.New("it refuses nothing")
	// ErrMoreGoing: more routes would go than was known.
	ErrMoreGoing = errors.New("more routes would go by now")
	// ErrTooManyLogs: the bound on open log streams is reached.
	ErrTooManyLogs = errors.New("too many log streams are open")
	// ErrNoUpload: the agent did not answer in time, or broke off.
	ErrNoUpload = errors.New("the agent did not deliver")
)

// codeOf is the status of each reason. Anything else is unavailable: the machine
// comes back and gets a full set.
var codeOf = map[error]codes.Code{
	errNoHello:   codes.InvalidArgument,
	errProtocol:  codes.InvalidArgument,
	errReplaced:  codes.Aborted,
	errExpired:   codes.Unauthenticated,
	errGone:      codes.Aborted,
	errOverload:  codes.ResourceExhausted,
	errForbidden: codes.PermissionDenied,
	errDefect:    codes.Internal,
	errOtherPool: codes.PermissionDenied,
	ErrNoReplica: codes.NotFound,
}

// statusOf turns the end of a session into the answer to the machine.
func statusOf(err error) error {
	if err == nil || errors.Is(err, errEnded) {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	for reason, c := range codeOf {
		if errors.Is(err, reason) {
			return status.Error(c, err.Error())
		}
	}
	if rejection := (*command.Rejection)(nil); errors.As(err, &rejection) {
		return rejected(rejection)
	}
	if errors.Is(err, context.Canceled) {
		return status.Error(codes.Canceled, "the session was cancelled")
	}
	return status.Error(codes.Unavailable, err.Error())
}

func rejected(rejection *command.Rejection) error {
	return detailed(codes.InvalidArgument, &runwayv1.Cause{
		Code: string(rejection.Code), Summary: rejection.Message, Fix: rejection.Code.Fix(),
	})
}

func detailed(c codes.Code, cause *runwayv1.Cause) error {
	plain := status.New(c, cause.GetSummary())
	with, err := plain.WithDetails(cause)
	if err != nil {
		return plain.Err()
	}
	return with.Err()
}
