package containerd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"

	"github.com/runway-platform/runway/agent/runtime"
)

// seenTask is what was learned of a container's task: its first process, or nothing because it has none, or because its shim is
// silent.
type seenTask struct {
	process *task.Process
	silent  bool
}

// processes asks for the task of each record by itself. containerd's own list asks one shim after the other, two seconds each
// when they hang, so that five of them would keep a node from seeing any.
func (r *Runtime) processes(ctx context.Context, records []containers.Container) (map[string]seenTask, error) {
	ctx, cancel := context.WithTimeout(ctx, tasksTimeout)
	defer cancel()
	var mu sync.Mutex
	byID := make(map[string]seenTask, len(records))
	var group errgroup.Group
	group.SetLimit(parallelQueries)
	for _, record := range records {
		group.Go(func() error {
			seen, err := r.askTask(ctx, record.ID)
			mu.Lock()
			defer mu.Unlock()
			byID[record.ID] = seen
			return err
		})
	}
	return byID, group.Wait()
}

// askTask asks containerd, which asks the shim. Only an error of containerd itself is one: what a shim does wrong is its silence.
func (r *Runtime) askTask(ctx context.Context, id string) (seenTask, error) {
	bounded, cancel := context.WithTimeout(ctx, shimTimeout)
	defer cancel()
	response, err := r.client.TaskService().Get(bounded, &tasks.GetRequest{ContainerID: id})
	err = native(err)
	switch {
	case err == nil:
		return seenTask{process: response.GetProcess(), silent: response.GetProcess().GetStatus() == task.Status_UNKNOWN}, nil
	case errdefs.IsNotFound(err):
		return seenTask{}, nil
	case errors.Is(err, context.Canceled), errdefs.IsCanceled(err):
		return seenTask{}, err
	case errdefs.IsUnavailable(err) && !r.serves(ctx):
		return seenTask{}, err
	}
	return seenTask{silent: true}, nil
}

// lookAtKernel is the second look at a container whose shim is silent: does a process of it live?
func (r *Runtime) lookAtKernel(id runtime.ContainerID) (runtime.State, int) {
	pids, err := r.group(id).PIDs()
	if err != nil || len(pids) == 0 {
		return runtime.StateUnknown, 0
	}
	pid := r.firstPID(id, pids)
	if !r.wasStarted(id) {
		return runtime.StateCreated, pid
	}
	return runtime.StateRunning, pid
}

// firstPID is the container's first process, which the shim noted in its bundle. The number must be one of the container's own:
// the note may be older than the process that has the number now.
func (r *Runtime) firstPID(id runtime.ContainerID, pids []int) int {
	note, err := os.ReadFile(filepath.Join(r.bundle(id), "init.pid"))
	if err != nil {
		return pids[0]
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(note))); err == nil && slices.Contains(pids, pid) {
		return pid
	}
	return pids[0]
}

// bundle is the folder of a container's task.
func (r *Runtime) bundle(id runtime.ContainerID) string {
	return filepath.Join(r.config.StateDir, bundles, r.config.Namespace, string(id))
}
