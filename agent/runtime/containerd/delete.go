package containerd

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/errdefs"

	"github.com/runway-platform/runway/agent/runtime"
)

// Delete kills and removes, from the process outwards: task, what the shim may have left, record, snapshot, files. Each step
// takes what it finds, so a Delete that was cut off is finished by the next one.
func (r *Runtime) Delete(ctx context.Context, id runtime.ContainerID) error {
	if err := id.Validate(); err != nil {
		return fmt.Errorf("delete container: %w", err)
	}
	defer r.changes.begin(id)()
	ctx, cancel := r.bound(ctx, deleteTimeout)
	defer cancel()
	if err := r.remove(ctx, id); err != nil {
		return fmt.Errorf("delete container %q: %w", id, classifyDelete(err))
	}
	return nil
}

func (r *Runtime) remove(ctx context.Context, id runtime.ContainerID) error {
	record, err := r.client.ContainerService().Get(ctx, string(id))
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	if err == nil && record.Labels[parentLabel] != r.config.CgroupParent {
		return fmt.Errorf("%w: it belongs to %q", runtime.ErrInvalid, record.Labels[parentLabel])
	}
	if err := r.removeTask(ctx, id); err != nil {
		return err
	}
	if err := r.removeRecord(ctx, id); err != nil {
		return err
	}
	return r.removeFiles(ctx, id, record)
}

// removeTask ends the processes, the shim and the cgroup, with containerd's help or without.
func (r *Runtime) removeTask(ctx context.Context, id runtime.ContainerID) error {
	if err := r.killSilentShim(ctx, id); err != nil {
		return err
	}
	err := r.deleteTask(ctx, id)
	if err != nil && !errdefs.IsNotFound(err) && ctx.Err() == nil { // it may have fallen silent meanwhile
		if err := r.killSilentShim(ctx, id); err != nil {
			return err
		}
		err = r.deleteTask(ctx, id)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	if err := r.removeLeftovers(ctx, id, errdefs.IsNotFound(err)); err != nil {
		return fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
	}
	return nil
}

// killSilentShim ends a shim that does not answer: nothing can be removed through it. It is asked, for containerd reports a shim
// that was too slow as any error whatever.
func (r *Runtime) killSilentShim(ctx context.Context, id runtime.ContainerID) error {
	seen, err := r.askTask(ctx, string(id))
	if err != nil || !seen.silent {
		return err
	}
	return r.killShim(id)
}

// deleteTask ends the task as containerd does it, within a part of the time of Delete: a shim that falls silent must leave enough
// of it to kill the shim and to clean up behind it.
func (r *Runtime) deleteTask(ctx context.Context, id runtime.ContainerID) error {
	ctx, cancel := context.WithTimeout(ctx, taskTimeout)
	defer cancel()
	container, err := r.client.LoadContainer(ctx, string(id))
	if err != nil {
		return err
	}
	task, err := container.Task(ctx, nil)
	if err != nil {
		return err
	}
	exit, err := task.Wait(ctx)
	if err != nil {
		return err
	}
	status, err := task.Status(ctx)
	if err != nil {
		return err
	}
	if status.Status != client.Stopped {
		if err := killTask(ctx, task, exit); err != nil {
			return err
		}
	}
	_, err = task.Delete(ctx)
	return err
}

func killTask(ctx context.Context, task client.Task, exit <-chan client.ExitStatus) error {
	err := task.Kill(ctx, syscall.SIGKILL, client.WithKillAll)
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsFailedPrecondition(err) {
		return err
	}
	select {
	case <-exit:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("process %d survives SIGKILL: %w", task.Pid(), ctx.Err())
	}
}

// removeRecord removes containerd's record and the root filesystem.
func (r *Runtime) removeRecord(ctx context.Context, id runtime.ContainerID) error {
	if err := r.client.ContainerService().Delete(ctx, string(id)); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	snapshotter := r.client.SnapshotService(r.config.Snapshotter)
	if err := snapshotter.Remove(ctx, string(id)); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	return nil
}

// removeFiles removes cgroup, spool and nerdctl's files.
func (r *Runtime) removeFiles(ctx context.Context, id runtime.ContainerID, record containers.Container) error {
	err := errors.Join(r.group(id).Remove(ctx), r.removeNerdctlFolder(id))
	if spool := record.Labels[spoolLabel]; spool != "" {
		err = errors.Join(err, removeFile(spool))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
	}
	return nil
}
