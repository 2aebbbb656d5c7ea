package containerd

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/agent/runtime"
)

// classify adds the runtime's class to an error of containerd. What containerd reports without a class of its own is the
// low-level runtime's refusal: it has no other way to say it.
func classify(err error) error {
	err = native(err)
	switch {
	case err == nil, isClassified(err):
		return err
	case errors.Is(err, context.DeadlineExceeded), errdefs.IsDeadlineExceeded(err), errdefs.IsUnavailable(err), errdefs.IsInternal(err):
		return fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
	case errors.Is(err, context.Canceled), errdefs.IsCanceled(err):
		return err
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%w: %w", runtime.ErrNotFound, err)
	default:
		return fmt.Errorf("%w: %w", runtime.ErrRefused, err)
	}
}

// classifyDelete adds the class to an error of Delete, which can always be tried again.
func classifyDelete(err error) error {
	err = native(err)
	if err == nil || isClassified(err) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
}

// isTimeout reports an error by a deadline, ours or one that containerd has for its shims.
func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errdefs.IsDeadlineExceeded(native(err))
}

// native makes an answer over gRPC comparable; any other error it would make unknown.
func native(err error) error {
	if _, isStatus := status.FromError(err); !isStatus {
		return err
	}
	return errgrpc.ToNative(err)
}

// classifyPull adds the runtime's class to an error of a pull. What is none of the known answers lies between us and the
// registry, or is the registry's own trouble, so it is worth another try.
func classifyPull(err error) error {
	var status remoteerrors.ErrUnexpectedStatus
	switch {
	case err == nil, isClassified(err):
		return err
	case errors.Is(err, docker.ErrInvalidAuthorization), errors.As(err, &status) && isDenied(status.StatusCode):
		return fmt.Errorf("%w: %w", runtime.ErrImageDenied, err)
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%w: %w", runtime.ErrImageNotFound, err)
	case errdefs.IsFailedPrecondition(err):
		return fmt.Errorf("%w: %w", runtime.ErrImageCorrupt, err)
	case errors.Is(err, context.Canceled):
		return err
	default:
		return fmt.Errorf("%w: %w", runtime.ErrRegistryUnreachable, err)
	}
}

func isDenied(code int) bool {
	return code == http.StatusUnauthorized || code == http.StatusForbidden
}

func isClassified(err error) bool {
	for _, class := range []error{
		runtime.ErrInvalid, runtime.ErrNotFound, runtime.ErrRefused, runtime.ErrUnavailable, runtime.ErrImageNotFound,
		runtime.ErrImageDenied, runtime.ErrImagePlatform, runtime.ErrImageCorrupt, runtime.ErrRegistryUnreachable,
	} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}
