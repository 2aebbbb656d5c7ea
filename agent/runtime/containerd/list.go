package containerd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/snapshots"

	"github.com/runway-platform/runway/agent/runtime"
)

// List joins four sources: containerd's records that carry our mark, their tasks, and, for what containerd has lost, the cgroups
// below our parent and the snapshots with our mark. A shim that does not answer delays it by shimTimeout and hides nothing else.
func (r *Runtime) List(ctx context.Context) ([]runtime.Container, error) {
	ctx, cancel := r.bound(ctx, queryTimeout)
	defer cancel()
	survey := r.changes.beginSurvey()
	found, err := r.list(ctx)
	changed := r.changes.endSurvey(survey)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", classify(err))
	}
	maps.DeleteFunc(found, func(id runtime.ContainerID, c runtime.Container) bool {
		return c.State == runtime.StateUnknown && changed[id] // half made, not lost
	})
	return slices.SortedFunc(maps.Values(found), func(a, b runtime.Container) int {
		return strings.Compare(string(a.ID), string(b.ID))
	}), nil
}

func (r *Runtime) list(ctx context.Context) (map[runtime.ContainerID]runtime.Container, error) {
	records, err := r.client.ContainerService().List(ctx, fmt.Sprintf("labels.%q==%q", parentLabel, r.config.CgroupParent))
	if err != nil {
		return nil, err
	}
	leftovers, err := r.leftovers(ctx)
	if err != nil {
		return nil, err
	}
	processes, err := r.processes(ctx, records)
	if err != nil {
		return nil, err
	}
	found := map[runtime.ContainerID]runtime.Container{}
	for _, id := range leftovers {
		found[id] = runtime.Container{ID: id, State: runtime.StateUnknown}
	}
	for _, record := range records {
		found[runtime.ContainerID(record.ID)] = r.observe(record, processes[record.ID])
	}
	return found, nil
}

// leftovers returns everything that looks like a container of ours without asking for records.
func (r *Runtime) leftovers(ctx context.Context) ([]runtime.ContainerID, error) {
	names, err := r.tree.Children(r.config.CgroupParent)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", runtime.ErrUnavailable, err)
	}
	collect := func(_ context.Context, info snapshots.Info) error {
		names = append(names, info.Name)
		return nil
	}
	mark := fmt.Sprintf("labels.%q==%q", parentLabel, r.config.CgroupParent)
	if err := r.client.SnapshotService(r.config.Snapshotter).Walk(ctx, collect, mark); err != nil {
		return nil, err
	}
	var ids []runtime.ContainerID
	for _, name := range names {
		if id := runtime.ContainerID(name); id.Validate() == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// observe turns containerd's view into ours. A record without a process has lost its shim, or its node was restarted.
func (r *Runtime) observe(record containers.Container, seen seenTask) runtime.Container {
	id := runtime.ContainerID(record.ID)
	c := runtime.Container{
		ID:        id,
		Labels:    ownLabels(record.Labels),
		State:     state(seen.process),
		CreatedAt: record.CreatedAt,
		OOM:       r.oom(id),
	}
	if seen.silent {
		c.State, c.PID = r.lookAtKernel(id)
		c.Silent = c.State != runtime.StateUnknown
	}
	switch c.State {
	case runtime.StateRunning:
		c.PID = max(c.PID, int(seen.process.GetPid()))
		c.StartedAt = r.startedAt(id, record.CreatedAt)
	case runtime.StateExited:
		c.StartedAt = r.startedAt(id, record.CreatedAt)
		c.FinishedAt = seen.process.GetExitedAt().AsTime()
		c.ExitCode = int(seen.process.GetExitStatus())
	case runtime.StateCreated:
		c.PID = max(c.PID, int(seen.process.GetPid()))
	case runtime.StateUnknown:
	}
	return c
}

func state(process *task.Process) runtime.State {
	switch process.GetStatus() {
	case task.Status_CREATED:
		return runtime.StateCreated
	case task.Status_RUNNING, task.Status_PAUSED, task.Status_PAUSING: // a paused one lives; its probes will say that it does not answer
		return runtime.StateRunning
	case task.Status_STOPPED:
		return runtime.StateExited
	default:
		return runtime.StateUnknown
	}
}

// oom reads the cgroup, which lasts until Delete. One that is gone tells nothing.
func (r *Runtime) oom(id runtime.ContainerID) runtime.OOM {
	memory, err := r.group(id).Memory()
	if err != nil {
		return runtime.OOM{}
	}
	return runtime.OOM{Kills: memory.OOMKills, Limit: runtime.Bytes(memory.Limit), Peak: runtime.Bytes(memory.Peak)}
}

// ownLabels returns what the container's spec asked for.
func ownLabels(labels map[string]string) map[string]string {
	own := maps.Clone(labels)
	maps.DeleteFunc(own, func(key, _ string) bool {
		return runtime.IsReservedLabel(key) || key == parentLabel || key == spoolLabel
	})
	return own
}
