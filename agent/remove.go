package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/runway-platform/runway/agent/runtime"
)

// removableRuntime is a container runtime whose every trace can be taken away.
type removableRuntime interface {
	List(ctx context.Context) ([]runtime.Container, error)
	Delete(ctx context.Context, id runtime.ContainerID) error
	// Remove takes away what belongs to the node and to no container.
	Remove(ctx context.Context) error
}

// removableNetwork is what the replicas are connected by.
type removableNetwork interface {
	Teardown(ctx context.Context) error
}

// Remove takes away what an agent made on the machine: containers, then what held
// them, then networks. It goes on after an error to remove what it can, and returns
// every error. The agent must not run: it would repair what is taken away.
func Remove(ctx context.Context, r removableRuntime, n removableNetwork) error {
	containers, err := r.List(ctx)
	if err != nil {
		return fmt.Errorf("list containers of the node: %w", err)
	}
	var problems []error
	for _, c := range containers {
		problems = append(problems, r.Delete(ctx, c.ID))
	}
	return errors.Join(append(problems, r.Remove(ctx), n.Teardown(ctx))...)
}
