package containerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/agent/cgroup"
	"github.com/runway-platform/runway/agent/runtime"
)

// shims answer for tasks by the beginning of their names: "well" runs, "hang" answers never, "late" makes containerd give up
// after two seconds, "lost" has no task, "dead" means that containerd itself is away.
type shims struct{ tasks.TasksClient }

func (shims) Get(ctx context.Context, in *tasks.GetRequest, _ ...grpc.CallOption) (*tasks.GetResponse, error) {
	kind, _, _ := strings.Cut(in.GetContainerID(), "-")
	switch kind {
	case "well":
		return &tasks.GetResponse{Process: &task.Process{ID: in.GetContainerID(), Pid: 7, Status: task.Status_RUNNING}}, nil
	case "late":
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
		return &tasks.GetResponse{Process: &task.Process{ID: in.GetContainerID()}}, nil
	case "lost":
		return nil, status.Error(codes.NotFound, "no task")
	case "dead":
		return nil, status.Error(codes.Unavailable, "connection refused")
	}
	<-ctx.Done()
	return nil, status.FromContextError(ctx.Err()).Err()
}

func withShims(t *testing.T) *Runtime {
	t.Helper()
	conn, err := client.New("", client.WithServices(client.WithTaskClient(shims{})))
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "sock") // whose path names nerdctl's folder
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	config := Config{Address: socket, StateDir: t.TempDir(), NerdctlDataRoot: t.TempDir(), CgroupParent: "/n1", Logger: slog.New(slog.DiscardHandler)}.withDefaults()
	return &Runtime{config: config, client: conn, tree: cgroup.OpenAt(t.TempDir(), true), silent: silentLogger()}
}

func records(kind string, count int) []containers.Container {
	var all []containers.Container
	for i := range count {
		all = append(all, containers.Container{ID: fmt.Sprintf("%s-%d", kind, i)})
	}
	return all
}

// Shims that hang delay a look by the time of one and hide no other container.
func TestProcesses_HangingShimsHideNobody(t *testing.T) {
	for _, row := range []struct {
		name string
		bad  []containers.Container
		most time.Duration
	}{
		{"none", nil, 0},
		{"containerd gives up", records("late", 20), 2 * time.Second},
		{"never answering", records("hang", 20), shimTimeout},
		{"hundreds", records("hang", 500), tasksTimeout},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := withShims(t)
				began := time.Now()
				seen, err := r.processes(t.Context(), append(append(records("well", 10), records("lost", 1)...), row.bad...))
				if took := time.Since(began); err != nil || took > row.most {
					t.Fatalf("after %s: %v, want an answer within %s", took, err, row.most)
				}
				for id, got := range seen {
					well, silent := strings.HasPrefix(id, "well"), strings.HasPrefix(id, "late") || strings.HasPrefix(id, "hang")
					if got.silent != silent || well != (got.process.GetStatus() == task.Status_RUNNING) {
						t.Errorf("%s: got %+v", id, got)
					}
				}
				if len(seen) != 11+len(row.bad) {
					t.Errorf("saw %d tasks, want %d", len(seen), 11+len(row.bad))
				}
			})
		})
	}
}

func TestProcesses_ContainerdAwayIsAnError(t *testing.T) {
	r := withShims(t)
	if _, err := r.processes(t.Context(), records("dead", 3)); !errors.Is(classify(err), runtime.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, runtime.ErrUnavailable)
	}
}

// groupOf makes a cgroup that holds these processes.
func groupOf(t *testing.T, root string, id runtime.ContainerID, pids ...int) {
	t.Helper()
	folder := filepath.Join(root, "n1", string(id))
	text := strings.Trim(strings.ReplaceAll(fmt.Sprint(pids), " ", "\n"), "[]")
	if err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// letGo notes that a container was started.
func letGo(t *testing.T, r *Runtime, id runtime.ContainerID) {
	t.Helper()
	folder, err := r.nerdctlFolder(id)
	if err := errors.Join(err, os.MkdirAll(folder, 0o700), r.noteStart(id, time.Now())); err != nil {
		t.Fatal(err)
	}
}

// Behind a silent shim the kernel says whether the container lives.
func TestObserve_SilentShimIsNoDeath(t *testing.T) {
	r, root := withShims(t), t.TempDir()
	r.tree = cgroup.OpenAt(root, true)
	groupOf(t, root, "runs-1", 11, 12)
	groupOf(t, root, "waits-1", 13)
	groupOf(t, root, "ended-1")
	letGo(t, r, "runs-1")
	bundle := r.bundle("runs-1")
	if err := errors.Join(os.MkdirAll(bundle, 0o755), os.WriteFile(filepath.Join(bundle, "init.pid"), []byte("12"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		id   string
		want runtime.State
		pid  int
	}{
		{"runs-1", runtime.StateRunning, 12},
		{"waits-1", runtime.StateCreated, 13},
		{"ended-1", runtime.StateUnknown, 0},
		{"never-1", runtime.StateUnknown, 0},
	} {
		got := r.observe(containers.Container{ID: row.id}, seenTask{silent: true})
		if got.State != row.want || got.PID != row.pid || got.Silent != (row.want != runtime.StateUnknown) {
			t.Errorf("%s: got %+v, want %s with process %d", row.id, got, row.want, row.pid)
		}
	}
}

// A signal reaches the process although its shim hangs; a record without a task has nobody to signal.
func TestSignal_PastASilentShim(t *testing.T) {
	r, root := withShims(t), t.TempDir()
	r.tree = cgroup.OpenAt(root, true)
	if err := r.Signal(t.Context(), "lost-1", syscall.SIGTERM); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("lost container: got %v, want %v", err, runtime.ErrNotFound)
	}
	groupOf(t, root, "late-1", os.Getpid())
	letGo(t, r, "late-1")
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGWINCH)
	t.Cleanup(func() { signal.Stop(got) })
	if err := r.Signal(t.Context(), "late-1", syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-time.After(5 * time.Second):
		t.Error("the signal did not arrive")
	}
}
