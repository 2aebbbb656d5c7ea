package containerd

import (
	"context"
	"fmt"

	apievents "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/typeurl/v2"

	"github.com/runway-platform/runway/agent/runtime"
)

// watchBuffer is room for the exits of a full node at once; beyond it the reader's pace holds the stream back.
const watchBuffer = 256

// Watch subscribes to containerd's events. Containers of other agents on the same containerd are among them. The goroutine
// that it starts ends with ctx or with the stream.
func (r *Runtime) Watch(ctx context.Context) (<-chan runtime.Event, <-chan error) {
	ctx, cancel := context.WithCancel(namespaces.WithNamespace(ctx, r.config.Namespace))
	stream, failed := r.client.Subscribe(ctx,
		fmt.Sprintf("namespace==%q,topic==%q", r.config.Namespace, "/tasks/exit"),
		fmt.Sprintf("namespace==%q,topic==%q", r.config.Namespace, "/tasks/oom"))
	watched, ended := make(chan runtime.Event, watchBuffer), make(chan error, 1)
	go func() {
		defer cancel()
		defer close(watched)
		if err := forward(ctx, stream, failed, watched); err != nil {
			ended <- fmt.Errorf("watch containers: %w", classify(err))
		}
	}()
	return watched, ended
}

// forward passes events on until ctx ends (nil) or the stream fails.
func forward(ctx context.Context, stream <-chan *events.Envelope, failed <-chan error, watched chan<- runtime.Event) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			if ctx.Err() != nil {
				return nil
			}
			if err == nil {
				err = runtime.ErrUnavailable
			}
			return err
		case envelope := <-stream:
			event, wanted := decode(envelope)
			if !wanted {
				continue
			}
			select {
			case watched <- event:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// decode keeps the exits of first processes, not those of exec, and every OOM. What it cannot read is no loss: List is the
// truth.
func decode(envelope *events.Envelope) (runtime.Event, bool) {
	if envelope == nil {
		return runtime.Event{}, false
	}
	message, err := typeurl.UnmarshalAny(envelope.Event)
	if err != nil {
		return runtime.Event{}, false
	}
	switch e := message.(type) {
	case *apievents.TaskExit:
		return runtime.Event{Kind: runtime.EventExit, ID: runtime.ContainerID(e.ContainerID)}, e.ID == e.ContainerID
	case *apievents.TaskOOM:
		return runtime.Event{Kind: runtime.EventOOM, ID: runtime.ContainerID(e.ContainerID)}, true
	default:
		return runtime.Event{}, false
	}
}
