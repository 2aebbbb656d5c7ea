package runtime

import (
	"context"
	"errors"
)

// The classes of failure. Implementations wrap exactly one of them; the text around it names the object and the cause.
var (
	// ErrInvalid is a request that can never succeed: malformed ID, image reference without a digest, reserved label.
	ErrInvalid = errors.New("invalid request")
	// ErrNotFound is a container that does not exist.
	ErrNotFound = errors.New("container not found")
	// ErrRefused is a container that this node will not run: out-of-range user, no command, root where the policy forbids
	// it, or a configuration which the low-level runtime rejects.
	ErrRefused = errors.New("container refused")
	// ErrUnavailable is a runtime that did not answer, or not in time.
	ErrUnavailable = errors.New("container runtime unavailable")

	// ErrImageNotFound is a digest that its registry does not have.
	ErrImageNotFound = errors.New("image not found")
	// ErrImageDenied is a registry that refuses the credentials, or wants some.
	ErrImageDenied = errors.New("image access denied")
	// ErrImagePlatform is an image that was not built for this node's operating system and processor.
	ErrImagePlatform = errors.New("image has no variant for this platform")
	// ErrImageCorrupt is content which does not match its digest.
	ErrImageCorrupt = errors.New("image corrupt")
	// ErrRegistryUnreachable is a registry that cannot be reached, is overloaded or broken.
	ErrRegistryUnreachable = errors.New("registry unreachable")
)

// Retryable reports whether the same call may succeed later with nothing else changed. A failure that is not retryable is
// terminal for the replica.
func Retryable(err error) bool {
	for _, terminal := range []error{ErrInvalid, ErrRefused, ErrImageNotFound, ErrImageDenied, ErrImagePlatform} {
		if errors.Is(err, terminal) {
			return false
		}
	}
	return err != nil && !errors.Is(err, context.Canceled)
}
