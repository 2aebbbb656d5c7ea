package api

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/coordinator/caller"
	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/consensus"
	"github.com/runway-platform/runway/coordinator/dispatch"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/image"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Statuses that other files refuse with; gRPC's codes are named only here.
const (
	unauthenticatedStatus = codes.Unauthenticated
	unavailableStatus     = codes.Unavailable
	invalidStatus         = codes.InvalidArgument
	conflictStatus        = codes.Aborted
	notFoundStatus        = codes.NotFound
	deniedStatus          = codes.PermissionDenied
)

// errUnexpected is a defect: what it wraps is logged and not shown.
var errUnexpected = errors.New("unexpected")

// refusal is an answer that a handler decided on.
type refusal struct {
	status codes.Code
	cause  *runwayv1.Cause
}

// Error returns the code and the sentence.
func (r *refusal) Error() string { return r.cause.GetCode() + " " + r.cause.GetSummary() }

func refuse(s codes.Code, c code.Code, format string, args ...any) error {
	return &refusal{status: s, cause: &runwayv1.Cause{Code: string(c), Summary: fmt.Sprintf(format, args...), Fix: c.Fix()}}
}

func unauthenticated() error {
	return refuse(codes.Unauthenticated, code.Unauthenticated, "the caller is not known")
}

func denied(who caller.Caller, method string) error {
	return refuse(codes.PermissionDenied, code.PermissionDenied, "%q may not call %s", who.Name, method)
}

func noSpace(space string) error {
	return refuse(codes.NotFound, code.SpaceNotFound, "there is no space %q", cut(space))
}

func noService(key *runwayv1.WorkloadKey) error {
	return refuse(codes.NotFound, code.ServiceNotFound, "there is no service %q in space %q, environment %q",
		cut(key.GetService()), cut(key.GetSpace()), cut(key.GetEnvironment()))
}

func noDeployment(id string) error {
	return refuse(codes.NotFound, code.DeploymentNotFound, "there is no deployment %q", cut(id))
}

func invalid(c code.Code, format string, args ...any) error {
	return refuse(codes.InvalidArgument, c, format, args...)
}

// meanings is what errors of other packages are to a caller. The first match counts.
var meanings = []struct {
	err    error
	status codes.Code
	code   code.Code
}{
	{image.ErrInvalid, codes.InvalidArgument, code.ImageInvalid},
	{image.ErrNotFound, codes.FailedPrecondition, code.ImageNotFound},
	{image.ErrDenied, codes.FailedPrecondition, code.ImageDenied},
	{image.ErrPlatform, codes.FailedPrecondition, code.ImagePlatform},
	{image.ErrUnreachable, codes.FailedPrecondition, code.RegistryUnreachable},
	{dispatch.ErrNoReplica, codes.NotFound, code.ReplicaNotFound},
	{dispatch.ErrNoSession, codes.FailedPrecondition, code.LogsUnavailable},
	{dispatch.ErrNoIngress, codes.FailedPrecondition, code.IngressLost},
	{dispatch.ErrNothingRefused, codes.FailedPrecondition, code.Conflict},
	{dispatch.ErrMoreGoing, codes.Aborted, code.Conflict},
	{dispatch.ErrNoUpload, codes.FailedPrecondition, code.LogsUnavailable},
	{dispatch.ErrTooManyLogs, codes.ResourceExhausted, code.TooManyRequests},
	{identity.ErrRequest, codes.InvalidArgument, code.SpecInvalid},
	{identity.ErrToken, codes.Unauthenticated, code.JoinTokenInvalid},
	{consensus.ErrUncertain, codes.Unavailable, code.NoLeader},
}

// statusOfKind is how classes of rejections are answered.
var statusOfKind = []struct {
	kind   error
	status codes.Code
}{
	{command.ErrNotFound, codes.NotFound},
	{command.ErrConflict, codes.Aborted},
	{command.ErrExists, codes.AlreadyExists},
	{command.ErrInvalid, codes.InvalidArgument},
}

// statusOf is the only place where an error becomes an answer. What it does not
// know is logged with the request's ID and shown as nothing but that.
func (a *API) statusOf(c *call, err error) error {
	if err == nil {
		return nil
	}
	var r *refusal
	if errors.As(err, &r) {
		return answer(r.status, r.cause)
	}
	var rejection *command.Rejection
	if errors.As(err, &rejection) {
		return a.rejected(c, rejection, err)
	}
	if errors.Is(err, consensus.ErrNotLeader) {
		leader, _ := a.config.Leader()
		return client.NotLeader(leader)
	}
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return answer(m.status, &runwayv1.Cause{Code: string(m.code), Summary: err.Error(), Fix: m.code.Fix()})
		}
	}
	if own, ok := status.FromError(err); ok {
		return own.Err()
	}
	if s := status.FromContextError(err); s.Code() != codes.Unknown {
		return s.Err()
	}
	return a.internal(c, err)
}

func (a *API) rejected(c *call, rejection *command.Rejection, err error) error {
	for _, k := range statusOfKind {
		if errors.Is(rejection, k.kind) {
			return answer(k.status, &runwayv1.Cause{
				Code: string(rejection.Code), Summary: rejection.Message, Fix: rejection.Code.Fix(),
			})
		}
	}
	return a.internal(c, err)
}

func (a *API) internal(c *call, err error) error {
	a.log.Error("call failed", "request_id", c.id, "method", c.method, "err", err)
	return answer(codes.Internal, &runwayv1.Cause{
		Code: string(code.Internal), Summary: "something unexpected happened, request " + c.id, Fix: code.Internal.Fix(),
	})
}

func answer(s codes.Code, cause *runwayv1.Cause) error {
	plain := status.New(s, cause.GetCode()+" "+cause.GetSummary())
	with, err := plain.WithDetails(cause)
	if err != nil {
		return plain.Err()
	}
	return with.Err()
}

// isRefusal says whether an answer is about rights.
func isRefusal(answer error) bool {
	c := status.Code(answer)
	return c == codes.Unauthenticated || c == codes.PermissionDenied
}

// ended says whether a stream ended because its caller left.
func ended(ctx context.Context) error { return context.Cause(ctx) }

// cut keeps hostile input from filling answers and logs.
func cut(text string) string {
	const most = 100
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
