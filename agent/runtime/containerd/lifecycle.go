package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"

	"github.com/runway-platform/runway/agent/runtime"
)

// Start lets the waiting process go.
func (r *Runtime) Start(ctx context.Context, id runtime.ContainerID) error {
	ctx, cancel := r.bound(ctx, createTimeout)
	defer cancel()
	if err := r.start(ctx, id); err != nil {
		return fmt.Errorf("start container %q: %w", id, err)
	}
	return nil
}

func (r *Runtime) start(ctx context.Context, id runtime.ContainerID) error {
	process, err := r.status(ctx, id)
	if err != nil || process.GetStatus() != task.Status_CREATED {
		return err
	}
	if err := r.noteStart(id, time.Now()); err != nil {
		return fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
	}
	_, err = r.client.TaskService().Start(ctx, &tasks.StartRequest{ContainerID: string(id)})
	return classify(err)
}

// startedName is the file in the container's nerdctl folder that keeps its start time: containerd does not, and the kernel's
// start time of the process is that of Create. It need not survive a power cut, the container does not either.
const startedName = "runway-started"

func (r *Runtime) noteStart(id runtime.ContainerID, at time.Time) error {
	folder, err := r.nerdctlFolder(id)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, startedName), []byte(at.Format(time.RFC3339Nano)), 0o600)
}

// startedAt reads what noteStart wrote; somebody may have removed it.
func (r *Runtime) startedAt(id runtime.ContainerID, otherwise time.Time) time.Time {
	at, err := r.readStart(id)
	if err != nil {
		return otherwise
	}
	return at
}

// wasStarted reports whether a waiting process was let go.
func (r *Runtime) wasStarted(id runtime.ContainerID) bool {
	_, err := r.readStart(id)
	return err == nil
}

func (r *Runtime) readStart(id runtime.ContainerID) (time.Time, error) {
	folder, err := r.nerdctlFolder(id)
	if err != nil {
		return time.Time{}, err
	}
	content, err := os.ReadFile(filepath.Join(folder, startedName))
	if err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, string(content))
}

// Signal sends a signal; SIGKILL goes to every process.
func (r *Runtime) Signal(ctx context.Context, id runtime.ContainerID, sig syscall.Signal) error {
	ctx, cancel := r.bound(ctx, queryTimeout)
	defer cancel()
	if err := r.signal(ctx, id, sig); err != nil {
		return fmt.Errorf("send %v to container %q: %w", sig, id, err)
	}
	return nil
}

func (r *Runtime) signal(ctx context.Context, id runtime.ContainerID, sig syscall.Signal) error {
	seen, err := r.askTask(ctx, string(id))
	switch {
	case err != nil:
		return classify(err)
	case ctx.Err() != nil:
		return classify(ctx.Err())
	case seen.silent:
		return r.signalKernel(ctx, id, sig)
	case seen.process == nil:
		return runtime.ErrNotFound
	case seen.process.GetStatus() != task.Status_RUNNING && seen.process.GetStatus() != task.Status_PAUSED:
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, shimTimeout)
	defer cancel()
	_, err = r.client.TaskService().Kill(bounded, &tasks.KillRequest{
		ContainerID: string(id), Signal: uint32(sig), All: sig == syscall.SIGKILL,
	})
	switch err = native(err); {
	case errdefs.IsNotFound(err), errdefs.IsFailedPrecondition(err):
		return nil // it exited between the two calls
	case isTimeout(err) && ctx.Err() == nil:
		return r.signalKernel(ctx, id, sig)
	}
	return classify(err)
}

// signalKernel does what a silent shim cannot.
func (r *Runtime) signalKernel(ctx context.Context, id runtime.ContainerID, sig syscall.Signal) error {
	state, pid := r.lookAtKernel(id)
	if state != runtime.StateRunning {
		return nil
	}
	r.config.Logger.Warn("signalling past a shim that does not answer", "container_id", id, "signal", sig.String())
	err := syscall.Kill(pid, sig)
	if sig == syscall.SIGKILL {
		err = r.group(id).Kill(ctx)
	}
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
	}
	return nil
}

// status asks for a container's first process. Error: runtime.ErrNotFound, also for a container that has lost its task.
func (r *Runtime) status(ctx context.Context, id runtime.ContainerID) (*task.Process, error) {
	response, err := r.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: string(id)})
	if err != nil {
		return nil, classify(err)
	}
	return response.GetProcess(), nil
}

// Stats reads the container's cgroup; containerd is not asked.
func (r *Runtime) Stats(_ context.Context, id runtime.ContainerID) (runtime.Stats, error) {
	group := r.group(id)
	memory, memoryErr := group.Memory()
	cpu, cpuErr := group.CPU()
	pids, pidsErr := group.Tasks()
	if err := errors.Join(memoryErr, cpuErr, pidsErr); err != nil {
		return runtime.Stats{}, fmt.Errorf("read usage of container %q: %w: %w", id, runtime.ErrNotFound, err)
	}
	return runtime.Stats{
		CPU:              cpu,
		MemoryWorkingSet: runtime.Bytes(memory.WorkingSet),
		MemoryPeak:       runtime.Bytes(memory.Peak),
		Pids:             pids,
	}, nil
}
