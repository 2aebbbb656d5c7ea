//go:build e2e

package containerd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"golang.org/x/sys/unix"

	"github.com/runway-platform/runway/agent/cgroup"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtime/containerd"
)

func TestRuntime_SurvivesContainerdCrash(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "crash-1", "serve")
	before := n.run(t, spec)
	gone := n.spec(t, "crash-2", "serve")
	doomed := n.run(t, gone)
	_, failed := n.runtime.Watch(t.Context())

	n.crash(t)
	if _, err := n.runtime.List(t.Context()); !errors.Is(err, runtime.ErrUnavailable) {
		t.Errorf("list without containerd: got %v, want %v", err, runtime.ErrUnavailable)
	}
	if err := <-failed; !errors.Is(err, runtime.ErrUnavailable) {
		t.Errorf("watch without containerd: got %v, want %v", err, runtime.ErrUnavailable)
	}
	must(t, syscall.Kill(doomed.PID, syscall.SIGKILL)) // an exit that nobody sees
	n.start(t)

	awaitServing(t, n.runtime)
	after := observe(t, n.runtime, spec.ID)
	if after.PID != before.PID || !after.StartedAt.Equal(before.StartedAt) || after.State != runtime.StateRunning {
		t.Errorf("container after the crash: got %+v, want %+v", after, before)
	}
	if c := observe(t, n.runtime, gone.ID); c.State != runtime.StateExited || c.ExitCode != 137 {
		t.Errorf("container that died meanwhile: got %+v, want exited with 137", c)
	}
	must(t, n.runtime.Delete(t.Context(), spec.ID))
	must(t, n.runtime.Delete(t.Context(), gone.ID))
	if left := settled(t, n.machine); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// awaitServing polls until the runtime has found the new containerd by itself.
func awaitServing(t testing.TB, r runtime.Runtime) {
	t.Helper()
	deadline := time.Now().Add(startPatience)
	for ticker := time.NewTicker(20 * time.Millisecond); ; <-ticker.C {
		_, err := r.List(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no reconnection within %v: %v", startPatience, err)
		}
	}
}

// A process whose shim and containerd died together, and whose folder was lost, is known to nobody but the kernel.
func TestRuntime_FindsAndKillsOrphans(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "orphan-1", "ignore-term")
	orphan := n.run(t, spec)
	n.orphan(t, spec.ID, orphan.PID)

	if c := observe(t, n.runtime, spec.ID); c.State != runtime.StateUnknown {
		t.Errorf("orphan: got %+v, want unknown", c)
	}
	must(t, n.runtime.Delete(t.Context(), spec.ID))
	n.goneFor(t, orphan.PID)
	n.toldOf(t, spec.ID, fmt.Sprintf("killed 1 processes without a supervisor: [%d]", orphan.PID))
}

func TestRuntime_FindsOrphansWithoutRecord(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "stray-1", "ignore-term")
	stray := n.run(t, spec)
	n.orphan(t, spec.ID, stray.PID)
	must(t, n.client(t).ContainerService().Delete(namespaces.WithNamespace(t.Context(), namespace), string(spec.ID)))

	if c := observe(t, n.runtime, spec.ID); c.State != runtime.StateUnknown || !c.CreatedAt.IsZero() {
		t.Errorf("stray: got %+v, want unknown, without a record", c)
	}
	must(t, n.runtime.Delete(t.Context(), spec.ID))
	n.goneFor(t, stray.PID)
}

func TestRuntime_FindsStraySnapshots(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "layer-1", "serve")
	n.run(t, spec)
	must(t, n.runtime.Signal(t.Context(), spec.ID, syscall.SIGKILL))
	ctx := namespaces.WithNamespace(t.Context(), namespace)
	c := n.client(t)
	container, err := c.LoadContainer(ctx, string(spec.ID))
	must(t, err)
	task, err := container.Task(ctx, nil)
	must(t, err)
	exit, err := task.Wait(ctx)
	must(t, err)
	<-exit
	_, err = task.Delete(ctx)
	must(t, err)
	must(t, container.Delete(ctx)) // keeps the snapshot, as nerdctl would not

	if c := observe(t, n.runtime, spec.ID); c.State != runtime.StateUnknown {
		t.Errorf("stray snapshot: got %+v, want unknown", c)
	}
	must(t, n.runtime.Delete(t.Context(), spec.ID))
	if left := settled(t, n.machine); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// orphan takes shim, containerd and the task's folder away from a running process, and starts containerd again.
func (n *node) orphan(t *testing.T, id runtime.ContainerID, pid int) {
	t.Helper()
	n.output(t, id, "serving") // its first line after the shim's death would end it by SIGPIPE
	n.crash(t)
	killShim(t, pid)
	bundle := filepath.Join(n.path("state"), "io.containerd.runtime.v2.task", namespace, string(id))
	must(t, unix.Unmount(filepath.Join(bundle, "rootfs"), unix.MNT_DETACH))
	must(t, os.RemoveAll(bundle))
	n.start(t)
	awaitServing(t, n.runtime)
	if !lives(t, pid) {
		t.Fatalf("process %d is dead, want an orphan that lives", pid)
	}
}

// toldOf checks that the runtime tells what it ended by force.
func (n *node) toldOf(t *testing.T, id runtime.ContainerID, detail string) {
	t.Helper()
	select {
	case got := <-n.runtime.Repairs():
		if got.ID != id || !strings.HasPrefix(got.Detail, detail) {
			t.Errorf("repair: got %+v, want %q of %s", got, detail, id)
		}
	default:
		t.Errorf("no repair is told, want %q", detail)
	}
}

func (n *node) goneFor(t *testing.T, pid int) {
	t.Helper()
	if left := settled(t, n.machine); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if lives(t, pid) {
		t.Errorf("process %d lives after delete", pid)
	}
}

// lives reports a process that is not a zombie: an orphan is reaped by the machine's init, whenever that likes.
func lives(t testing.TB, pid int) bool {
	t.Helper()
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	return !strings.HasPrefix(statusField(t, pid, "State"), "Z")
}

func TestRuntime_DeleteKillsForgottenShim(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "shim-1", "ignore-term")
	c := n.run(t, spec)
	shim := parentOf(t, c.PID)
	n.crash(t)
	bundle := filepath.Join(n.path("state"), "io.containerd.runtime.v2.task", namespace, string(spec.ID))
	must(t, os.Remove(filepath.Join(bundle, "address"))) // containerd cannot find the shim again
	n.start(t)
	awaitServing(t, n.runtime)

	must(t, n.runtime.Delete(t.Context(), spec.ID))
	n.goneFor(t, c.PID)
	n.toldOf(t, spec.ID, fmt.Sprintf("killed supervisor %d", shim))
}

// A shim that hangs answers nobody. Delete kills it.
func TestRuntime_DeletesBehindHangingShim(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "stuck-1", "ignore-term")
	c := n.run(t, spec)
	other := n.spec(t, "fine-1", "serve")
	n.run(t, other)
	shim := parentOf(t, c.PID)
	must(t, syscall.Kill(shim, syscall.SIGSTOP))
	t.Cleanup(func() { _ = syscall.Kill(shim, syscall.SIGCONT) })

	if c := observe(t, n.runtime, other.ID); c.State != runtime.StateRunning {
		t.Errorf("neighbour of a hanging shim: got %+v, want running", c)
	}
	if got := observe(t, n.runtime, spec.ID); got.State != runtime.StateRunning || !got.Silent || got.PID != c.PID || !got.StartedAt.Equal(c.StartedAt) {
		t.Errorf("container of a hanging shim: got %+v, want it running and silent: %+v", got, c)
	}
	err := n.runtime.Delete(t.Context(), spec.ID)
	if err != nil && runtime.Retryable(err) {
		err = n.runtime.Delete(t.Context(), spec.ID)
	}
	must(t, err)
	must(t, n.runtime.Delete(t.Context(), other.ID))
	n.goneFor(t, c.PID)
}

// However many shims hang, the node sees every container, soon, and can still end the processes behind them.
func TestRuntime_SeesPastManyHangingShims(t *testing.T) {
	n := newNode(t)
	fine := n.spec(t, "well-1", "serve")
	n.run(t, fine)
	var stuck []runtime.ContainerID
	for i := range 7 {
		spec := n.spec(t, runtime.ContainerID(fmt.Sprintf("hang%d-1", i)), "serve")
		shim := parentOf(t, n.run(t, spec).PID)
		must(t, syscall.Kill(shim, syscall.SIGSTOP))
		t.Cleanup(func() { _ = syscall.Kill(shim, syscall.SIGCONT) })
		stuck = append(stuck, spec.ID)
	}
	begun := time.Now()
	listed, err := n.runtime.List(t.Context())
	must(t, err)
	took := time.Since(begun)
	silent := 0
	for _, c := range listed {
		if c.State != runtime.StateRunning {
			t.Errorf("container of a hanging shim: got %+v, want running", c)
		}
		if c.Silent {
			silent++
		}
	}
	if took > 5*time.Second || len(listed) != 8 || silent != 7 {
		t.Errorf("listed %d containers, %d of them silent, in %v: want 8, 7 of them silent, in one shim's time", len(listed), silent, took)
	}
	must(t, n.runtime.Signal(t.Context(), stuck[0], syscall.SIGTERM))
	must(t, n.runtime.Signal(t.Context(), stuck[1], syscall.SIGKILL))
	for _, id := range stuck[:2] {
		awaitState(t, n.runtime, id, runtime.StateUnknown)
	}
	for _, id := range append(stuck, fine.ID) {
		err := n.runtime.Delete(t.Context(), id)
		if err != nil && runtime.Retryable(err) {
			err = n.runtime.Delete(t.Context(), id)
		}
		must(t, err)
	}
	if left := settled(t, n.machine); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func awaitState(t testing.TB, r runtime.Runtime, id runtime.ContainerID, want runtime.State) {
	t.Helper()
	deadline := time.Now().Add(startPatience)
	for observe(t, r, id).State != want {
		if time.Now().After(deadline) {
			t.Fatalf("container %s: got %+v, want %s within %v", id, observe(t, r, id), want, startPatience)
		}
	}
}

// An agent that is killed while it creates leaves a record without a task. The next Create of the same ID replaces it.
func TestRuntime_CreateReplacesWhatWasCutOff(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "half-1", "serve")
	must(t, n.runtime.Create(t.Context(), spec))
	ctx := namespaces.WithNamespace(t.Context(), namespace)
	container, err := n.client(t).LoadContainer(ctx, string(spec.ID))
	must(t, err)
	task, err := container.Task(ctx, nil)
	must(t, err)
	exit, err := task.Wait(ctx)
	must(t, err)
	must(t, task.Kill(ctx, syscall.SIGKILL))
	<-exit
	_, err = task.Delete(ctx)
	must(t, err)
	if c := observe(t, n.runtime, spec.ID); c.State != runtime.StateUnknown {
		t.Fatalf("half-made container: got %+v, want unknown", c)
	}
	if c := n.run(t, spec); c.State != runtime.StateRunning {
		t.Errorf("container created again: got %+v, want running", c)
	}
}

// Two agents may share a containerd: each sees and removes its own containers only.
func TestRuntime_LeavesOthersAlone(t *testing.T) {
	n := newNode(t)
	config := n.config()
	config.CgroupParent += "-neighbour"
	neighbour, err := containerd.New(config)
	must(t, err)
	t.Cleanup(func() {
		_ = neighbour.Close()
		_ = cgroup.Open().Group(config.CgroupParent).Remove(context.WithoutCancel(t.Context()))
	})
	spec := n.spec(t, "mine-1", "serve")
	n.run(t, spec)

	seen, err := neighbour.List(t.Context())
	must(t, err)
	if len(seen) > 0 {
		t.Errorf("neighbour sees %+v, want nothing", seen)
	}
	if err := neighbour.Delete(t.Context(), spec.ID); !errors.Is(err, runtime.ErrInvalid) {
		t.Errorf("neighbour's delete: got %v, want %v", err, runtime.ErrInvalid)
	}
	if c := observe(t, n.runtime, spec.ID); c.State != runtime.StateRunning {
		t.Errorf("container after the neighbour's delete: got %+v, want running", c)
	}
}

func TestRuntime_EndsCallsWhenContainerdHangs(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "hang-1", "serve")
	n.run(t, spec)
	must(t, n.daemon.Process.Signal(syscall.SIGSTOP))
	defer func() { must(t, n.daemon.Process.Signal(syscall.SIGCONT)) }()
	stopped := time.Now().Add(startPatience)
	for !strings.HasPrefix(statusField(t, n.daemon.Process.Pid, "State"), "T") { // a busy machine takes its time
		if time.Now().After(stopped) {
			t.Fatalf("containerd does not stop within %v", startPatience)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, listErr := n.runtime.List(ctx)
	for name, err := range map[string]error{
		"list": listErr, "start": n.runtime.Start(ctx, spec.ID), "delete": n.runtime.Delete(ctx, spec.ID),
		"create": n.runtime.Create(ctx, n.blank(spec)), "signal": n.runtime.Signal(ctx, spec.ID, syscall.SIGTERM),
	} {
		if !errors.Is(err, runtime.ErrUnavailable) {
			t.Errorf("%s: got %v, want %v", name, err, runtime.ErrUnavailable)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("calls took %v, want no longer than their deadline of 300 ms", took)
	}
	if _, err := n.runtime.Stats(t.Context(), spec.ID); err != nil {
		t.Errorf("stats need no containerd: %v", err)
	}
}

func (n *node) blank(like runtime.ContainerSpec) runtime.ContainerSpec {
	like.ID += "-next"
	return like
}

// The registry may be gone once the image is there.
func TestRuntime_PullNeedsNoRegistryTwice(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "cached-1", "serve")
	other := strings.Replace(spec.Image, n.images.address, "127.0.0.1:1", 1)
	if _, err := n.runtime.Pull(t.Context(), runtime.PullRequest{Ref: other}); !errors.Is(err, runtime.ErrRegistryUnreachable) {
		t.Errorf("pull of the same digest from another registry: got %v, want %v", err, runtime.ErrRegistryUnreachable)
	}
	n.images.close()
	if _, err := n.runtime.Pull(t.Context(), runtime.PullRequest{Ref: spec.Image}); err != nil {
		t.Errorf("pull of a present image without its registry: %v", err)
	}
}
