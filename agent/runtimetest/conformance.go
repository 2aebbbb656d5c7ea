package runtimetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runway-platform/runway/agent/runtime"
)

// Program is what an image of the suite does.
type Program string

// The images that a Harness must provide.
const (
	// Serve runs until SIGTERM and exits with 0.
	Serve Program = "serve"
	// ExitSeven exits at once with 7.
	ExitSeven Program = "exit-seven"
	// IgnoreTerm ignores SIGTERM.
	IgnoreTerm Program = "ignore-term"
	// EatMemory allocates until the kernel kills it.
	EatMemory Program = "eat-memory"
	// Unprivileged is Serve with a USER that is not root.
	Unprivileged Program = "unprivileged"
	// Foreign is an image for another processor only.
	Foreign Program = "foreign"
	// Private needs the credentials of its request.
	Private Program = "private"
	// Missing is a digest that its registry does not have.
	Missing Program = "missing"
	// Unreachable is an image of a registry that is down.
	Unreachable Program = "unreachable"
)

// Harness is a node, with a registry, as the suite needs it.
type Harness struct {
	// Open returns a Runtime for the node. Called again it is what a restarted agent gets.
	Open func(t *testing.T) runtime.Runtime
	// Image returns the request that pulls an image with that program.
	Image func(t *testing.T, program Program) runtime.PullRequest
	// Ready returns once the program of a started container has arranged for SIGTERM: a first process does not get it before.
	Ready func(t *testing.T, spec runtime.ContainerSpec)
	// Lose takes the supervision of a running container away (kills its shim).
	Lose func(t *testing.T, id runtime.ContainerID)
	// Traces returns everything on the machine that containers of this node could leave behind.
	Traces func(t *testing.T) []string
}

// MemoryLimit of the suite's containers.
const MemoryLimit runtime.Bytes = 64 << 20

// patience bounds every wait of the suite. It is reached only by a failure.
const patience = 20 * time.Second

// Run holds a Runtime to its contract. Every behavior is a subtest on a node of its own.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	t.Helper()
	for _, behavior := range []struct {
		name string
		test func(*suite)
	}{
		{"a container lives from created to gone", (*suite).lifecycle},
		{"every step can be repeated", (*suite).idempotence},
		{"the exit code is reported", (*suite).exitCode},
		{"SIGTERM reaches the process", (*suite).terminate},
		{"SIGKILL ends what ignores SIGTERM", (*suite).kill},
		{"Delete ends a running container", (*suite).deleteRunning},
		{"the memory limit is enforced and reported", (*suite).oom},
		{"a restarted agent finds everything", (*suite).restart},
		{"a lost container is unknown and can be deleted", (*suite).lost},
		{"steps on what does not exist", (*suite).absent},
		{"a bad spec is refused and leaves nothing", (*suite).refused},
		{"failed pulls have classes", (*suite).pullErrors},
		{"credentials open a private registry", (*suite).credentials},
		{"containers are made and removed side by side", (*suite).parallel},
	} {
		t.Run(behavior.name, func(t *testing.T) {
			harness := newHarness(t)
			s := &suite{T: t, Harness: harness, dir: t.TempDir()}
			s.runtime = harness.Open(t)
			before := harness.Traces(t)
			behavior.test(s)
			s.noContainers()
			if diff := cmp.Diff(before, harness.Traces(t)); diff != "" {
				t.Errorf("traces left behind (-before +after):\n%s", diff)
			}
		})
	}
}

type suite struct {
	*testing.T
	Harness
	runtime runtime.Runtime
	dir     string
}

func (s *suite) lifecycle() {
	spec := s.spec("life-1", Serve)
	s.ok(s.runtime.Create(s.Context(), spec))
	created := s.await(spec.ID, runtime.StateCreated)
	if diff := cmp.Diff(spec.Labels, created.Labels); diff != "" {
		s.Errorf("labels (-want +got):\n%s", diff)
	}
	s.ok(s.runtime.Start(s.Context(), spec.ID))
	running := s.await(spec.ID, runtime.StateRunning)
	if running.PID == 0 || time.Since(running.StartedAt).Abs() > patience || running.CreatedAt.IsZero() {
		s.Errorf("running container: got pid %d, created %v, started %v", running.PID, running.CreatedAt, running.StartedAt)
	}
	if _, err := s.runtime.Stats(s.Context(), spec.ID); err != nil {
		s.Errorf("stats of a running container: %v", err)
	}
	s.ok(s.runtime.Delete(s.Context(), spec.ID))
}

func (s *suite) idempotence() {
	spec := s.spec("again-1", Serve)
	s.pull(Serve)
	s.ok(s.runtime.Create(s.Context(), spec))
	s.ok(s.runtime.Create(s.Context(), spec))
	s.ok(s.runtime.Start(s.Context(), spec.ID))
	before := s.await(spec.ID, runtime.StateRunning)
	s.ok(s.runtime.Start(s.Context(), spec.ID))
	s.ok(s.runtime.Create(s.Context(), spec))
	if after := s.await(spec.ID, runtime.StateRunning); after.PID != before.PID {
		s.Errorf("pid after repeated steps: got %d, want %d", after.PID, before.PID)
	}
	s.ok(s.runtime.Delete(s.Context(), spec.ID))
	s.ok(s.runtime.Delete(s.Context(), spec.ID))
}

func (s *suite) exitCode() {
	events, _ := s.runtime.Watch(s.Context())
	id := s.started("exit-1", ExitSeven)
	exited := s.await(id, runtime.StateExited)
	if exited.ExitCode != 7 || exited.FinishedAt.Before(exited.StartedAt) || exited.OOM.Kills != 0 {
		s.Errorf("exited container: got %+v, want code 7, finished after start, no OOM", exited)
	}
	s.awaitEvent(events, runtime.Event{Kind: runtime.EventExit, ID: id})
	s.ok(s.runtime.Start(s.Context(), id)) // left as it is
	s.ok(s.runtime.Signal(s.Context(), id, syscall.SIGTERM))
	s.await(id, runtime.StateExited)
	s.ok(s.runtime.Delete(s.Context(), id))
}

func (s *suite) terminate() {
	id := s.started("term-1", Serve)
	s.Ready(s.T, s.blank(id))
	s.ok(s.runtime.Signal(s.Context(), id, syscall.SIGTERM))
	if exited := s.await(id, runtime.StateExited); exited.ExitCode != 0 {
		s.Errorf("exit code after SIGTERM: got %d, want 0", exited.ExitCode)
	}
	s.ok(s.runtime.Delete(s.Context(), id))
}

func (s *suite) kill() {
	id := s.started("kill-1", IgnoreTerm)
	s.Ready(s.T, s.blank(id))
	s.ok(s.runtime.Signal(s.Context(), id, syscall.SIGTERM))
	s.await(id, runtime.StateRunning)
	s.ok(s.runtime.Signal(s.Context(), id, syscall.SIGKILL))
	if exited := s.await(id, runtime.StateExited); exited.ExitCode != killed {
		s.Errorf("exit code after SIGKILL: got %d, want %d", exited.ExitCode, killed)
	}
	s.ok(s.runtime.Delete(s.Context(), id))
}

func (s *suite) deleteRunning() {
	id := s.started("rm-1", IgnoreTerm)
	s.ok(s.runtime.Delete(s.Context(), id))
	if _, err := s.runtime.Stats(s.Context(), id); !errors.Is(err, runtime.ErrNotFound) {
		s.Errorf("stats after delete: got %v, want %v", err, runtime.ErrNotFound)
	}
}

func (s *suite) oom() {
	events, _ := s.runtime.Watch(s.Context())
	id := s.started("oom-1", EatMemory)
	exited := s.await(id, runtime.StateExited)
	if exited.OOM.Kills == 0 || exited.OOM.Limit != MemoryLimit || exited.OOM.Peak < MemoryLimit/2 || exited.ExitCode != killed {
		s.Errorf("container over its memory: got code %d, %+v; want code %d, killed, limit %d", exited.ExitCode, exited.OOM, killed, MemoryLimit)
	}
	s.awaitEvent(events, runtime.Event{Kind: runtime.EventOOM, ID: id})
	s.ok(s.runtime.Delete(s.Context(), id))
}

func (s *suite) restart() {
	running, exited := s.started("back-1", Serve), s.started("back-2", ExitSeven)
	s.Ready(s.T, s.blank(running))
	before := s.await(running, runtime.StateRunning)
	ended := s.await(exited, runtime.StateExited)

	s.runtime = s.Open(s.T)
	after := s.await(running, runtime.StateRunning)
	if after.PID != before.PID || !after.StartedAt.Equal(before.StartedAt) {
		s.Errorf("running container after restart: got pid %d started %v, want %d %v", after.PID, after.StartedAt, before.PID, before.StartedAt)
	}
	if diff := cmp.Diff(before.Labels, after.Labels); diff != "" {
		s.Errorf("labels after restart (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ended, s.await(exited, runtime.StateExited)); diff != "" {
		s.Errorf("exited container after restart (-before +after):\n%s", diff)
	}
	s.ok(s.runtime.Signal(s.Context(), running, syscall.SIGTERM))
	s.await(running, runtime.StateExited)
	s.ok(s.runtime.Delete(s.Context(), running))
	s.ok(s.runtime.Delete(s.Context(), exited))
}

func (s *suite) lost() {
	id := s.started("lost-1", IgnoreTerm)
	s.await(id, runtime.StateRunning)
	s.Lose(s.T, id)
	s.await(id, runtime.StateUnknown)
	if err := s.runtime.Start(s.Context(), id); !errors.Is(err, runtime.ErrNotFound) {
		s.Errorf("start of a lost container: got %v, want %v", err, runtime.ErrNotFound)
	}
	s.ok(s.runtime.Delete(s.Context(), id))
	next := s.started("lost-2", Serve)
	s.await(next, runtime.StateRunning)
	s.ok(s.runtime.Delete(s.Context(), next))
}

func (s *suite) absent() {
	const id = "nobody-1"
	for name, err := range map[string]error{
		"start":  s.runtime.Start(s.Context(), id),
		"signal": s.runtime.Signal(s.Context(), id, syscall.SIGKILL),
	} {
		if !errors.Is(err, runtime.ErrNotFound) {
			s.Errorf("%s: got %v, want %v", name, err, runtime.ErrNotFound)
		}
	}
	s.ok(s.runtime.Delete(s.Context(), id))
	spec := s.blank(id)
	spec.Image = s.Image(s.T, Missing).Ref
	s.fails("create of an image that was not pulled", s.runtime.Create(s.Context(), spec), runtime.ErrImageNotFound)
	_, err := s.runtime.Pull(s.Context(), runtime.PullRequest{Ref: spec.Image, LocalOnly: true})
	s.fails("local pull of an image that is not there", err, runtime.ErrImageNotFound)
	cancelled, cancel := context.WithCancel(s.Context())
	cancel()
	if _, err := s.runtime.List(cancelled); !errors.Is(err, context.Canceled) {
		s.Errorf("list with a cancelled context: got %v, want %v", err, context.Canceled)
	}
}

func (s *suite) refused() {
	invalid := s.spec("../escape", Serve)
	s.fails("id with a path", s.runtime.Create(s.Context(), invalid), runtime.ErrInvalid)
	labelled := s.spec("label-1", Serve)
	labelled.Labels["containerd.io/restart.loguri"] = "binary:///bin/sh"
	s.fails("label that containerd obeys", s.runtime.Create(s.Context(), labelled), runtime.ErrInvalid)
	root := s.spec("root-1", Serve)
	root.Restricted = true
	s.fails("root in a restricted space", s.runtime.Create(s.Context(), root), runtime.ErrRefused)
	user := s.spec("user-1", Unprivileged)
	user.Restricted = true
	s.ok(s.runtime.Create(s.Context(), user))
	s.ok(s.runtime.Delete(s.Context(), user.ID))
}

func (s *suite) pullErrors() {
	for program, want := range map[Program]error{
		Missing: runtime.ErrImageNotFound, Foreign: runtime.ErrImagePlatform, Unreachable: runtime.ErrRegistryUnreachable,
	} {
		_, err := s.runtime.Pull(s.Context(), s.Image(s.T, program))
		s.fails("pull of "+string(program), err, want)
	}
	_, err := s.runtime.Pull(s.Context(), runtime.PullRequest{Ref: "127.0.0.1:1/app:latest"})
	s.fails("pull of a tag", err, runtime.ErrInvalid)
}

func (s *suite) credentials() {
	request := s.Image(s.T, Private)
	wrong := request
	wrong.Credentials = &runtime.Credentials{Username: "mallory", Password: "guess"}
	_, err := s.runtime.Pull(s.Context(), wrong)
	s.fails("pull with wrong credentials", err, runtime.ErrImageDenied)
	_, err = s.runtime.Pull(s.Context(), request)
	s.ok(err)
}

func (s *suite) parallel() {
	const count = 6
	s.pull(Serve)
	var group sync.WaitGroup
	for i := range count {
		spec := s.spec(runtime.NewContainerID("side", i), Serve)
		group.Go(func() {
			if err := errors.Join(s.runtime.Create(s.Context(), spec), s.runtime.Start(s.Context(), spec.ID)); err != nil {
				s.Error(err)
			}
			if err := s.runtime.Delete(s.Context(), spec.ID); err != nil {
				s.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return
		default:
			s.noneUnknown()
		}
	}
}

// noneUnknown checks that containers under way are not taken for lost ones.
func (s *suite) noneUnknown() {
	for _, c := range s.list() {
		if c.State == runtime.StateUnknown {
			s.Errorf("container %q is unknown while it is made or removed", c.ID)
		}
	}
}

// blank returns a spec without an image.
func (s *suite) blank(id runtime.ContainerID) runtime.ContainerSpec {
	return runtime.ContainerSpec{
		ID:        id,
		Hostname:  "conformance",
		LogPath:   filepath.Join(s.dir, filepath.Base(string(id))+".log"),
		Resources: runtime.Resources{Memory: MemoryLimit, CPULimit: 1000, CPUReservation: 100},
		Labels:    map[string]string{"runway/replica-id": string(id), "runway/assignment": "3f2a"},
	}
}

// spec pulls the program's image.
func (s *suite) spec(id runtime.ContainerID, program Program) runtime.ContainerSpec {
	s.Helper()
	spec := s.blank(id)
	spec.Image = s.pull(program)
	return spec
}

func (s *suite) pull(program Program) string {
	s.Helper()
	image, err := s.runtime.Pull(s.Context(), s.Image(s.T, program))
	s.ok(err)
	if digest, _ := runtime.ParseDigest(image.Ref); digest.String() != image.Digest {
		s.Errorf("pulled image: got digest %q of %q", image.Digest, image.Ref)
	}
	return image.Ref
}

func (s *suite) started(id runtime.ContainerID, program Program) runtime.ContainerID {
	s.Helper()
	s.ok(s.runtime.Create(s.Context(), s.spec(id, program)))
	s.ok(s.runtime.Start(s.Context(), id))
	return id
}

func (s *suite) list() []runtime.Container {
	s.Helper()
	containers, err := s.runtime.List(s.Context())
	s.ok(err)
	return containers
}

// await polls until the container has the state.
func (s *suite) await(id runtime.ContainerID, want runtime.State) runtime.Container {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		got := "no such container"
		for _, c := range s.list() {
			if c.ID == id && c.State == want {
				return c
			}
			if c.ID == id {
				got = fmt.Sprintf("%+v", c)
			}
		}
		select {
		case <-ctx.Done():
			s.Fatalf("container %q: got %s, want state %q within %v", id, got, want, patience)
		case <-ticker.C:
		}
	}
}

func (s *suite) awaitEvent(events <-chan runtime.Event, want runtime.Event) {
	s.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case event, open := <-events:
			if event == want {
				return
			}
			if !open {
				s.Fatalf("watch ended before event %+v", want)
			}
		case <-deadline.C:
			s.Fatalf("no event %+v within %v", want, patience)
		}
	}
}

func (s *suite) noContainers() {
	s.Helper()
	for _, left := range s.list() {
		s.Errorf("container left: %+v", left)
		s.ok(s.runtime.Delete(s.Context(), left.ID)) // the next behavior wants an empty node
	}
}

func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) fails(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: got %v, want %v", what, err, want)
	}
}
