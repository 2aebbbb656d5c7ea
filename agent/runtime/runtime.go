// Package runtime is the contract between the agent and whatever runs containers on its node. It holds the interface and its
// value types and nothing else: the containerd implementation lives in runtime/containerd, the fake and the conformance suite
// that both must pass in runtimetest.
//
// "Container" is a word of this package alone. To the rest of the platform there are replicas; attempt n of replica r is the
// container r-n, and no container is ever started twice.
package runtime

import (
	"context"
	"syscall"
)

// Runtime runs containers on one node. Every method is one idempotent step, so that the agent's replica state machine may
// repeat any of them after a crash of its own. Methods may be called at the same time from many goroutines; steps of one
// container must not overlap. Each call ends by itself within a bound that the implementation states, also when the part
// below it hangs. Errors wrap one of the sentinels of this package: ask Retryable whether trying again can help.
type Runtime interface {
	// Pull makes an image present and unpacked on the node. It asks no registry when the digest is already there. Errors:
	// ErrInvalid, ErrImageNotFound, ErrImageDenied, ErrImagePlatform, ErrImageCorrupt, ErrRegistryUnreachable.
	Pull(ctx context.Context, req PullRequest) (Image, error)

	// Create prepares everything up to a process that waits to be started: root filesystem, limits, isolation. A container of
	// that ID in any state but Unknown is left as it is. On error nothing of the container remains. Errors: ErrInvalid,
	// ErrImageNotFound (pull first), ErrRefused.
	Create(ctx context.Context, spec ContainerSpec) error

	// Start lets a created container run; one that runs or has exited is left as it is. Errors: ErrNotFound, ErrRefused.
	Start(ctx context.Context, id ContainerID) error

	// Signal sends a signal to the first process of a container, SIGKILL to every process in it. A container that is not
	// running is left as it is. It does not wait for the effect: Watch and List tell. Error: ErrNotFound.
	Signal(ctx context.Context, id ContainerID, sig syscall.Signal) error

	// Delete kills what still runs and removes every trace: process, root filesystem, cgroup, spool. No such container is no
	// error. The exit and OOM facts go with it, so read them with List before.
	Delete(ctx context.Context, id ContainerID) error

	// List returns every container of this node's agent, ordered by ID, and what is left of those that the implementation
	// has lost (State Unknown). It is the truth; Watch is only a wake-up.
	List(ctx context.Context) ([]Container, error)

	// Watch sends an Event soon after a container exits or meets its memory limit. Events may be lost, doubled and late. The
	// event channel is closed when the watch ends; before that one error is sent on the error channel, unless ctx ended it.
	// The caller then lists and watches anew.
	Watch(ctx context.Context) (<-chan Event, <-chan error)

	// Stats reads what a container uses now. Error: ErrNotFound when it has no processes.
	Stats(ctx context.Context, id ContainerID) (Stats, error)
}
