package runtimetest_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ref(name string) string {
	return "registry.test/" + name + "@sha256:" + strings.Repeat("0", 64)
}

func TestFake_Conformance(t *testing.T) {
	t.Parallel()
	runtimetest.Run(t, func(*testing.T) runtimetest.Harness {
		fake := runtimetest.NewFake()
		for program, behavior := range map[runtimetest.Program]runtimetest.Behavior{
			runtimetest.Serve:        {},
			runtimetest.ExitSeven:    {Exits: true, ExitCode: 7},
			runtimetest.IgnoreTerm:   {IgnoreTerm: true},
			runtimetest.EatMemory:    {OOMs: true},
			runtimetest.Unprivileged: {User: "1000"},
			runtimetest.Foreign:      {PullErr: runtime.ErrImagePlatform},
			runtimetest.Unreachable:  {PullErr: runtime.ErrRegistryUnreachable},
			runtimetest.Private:      {Credentials: &runtime.Credentials{Username: "team", Password: "secret"}},
		} {
			fake.AddImage(ref(string(program)), behavior)
		}
		return runtimetest.Harness{
			Open: func(*testing.T) runtime.Runtime { return fake },
			Image: func(_ *testing.T, program runtimetest.Program) runtime.PullRequest {
				return runtime.PullRequest{
					Ref:         ref(string(program)),
					Credentials: &runtime.Credentials{Username: "team", Password: "secret"},
				}
			},
			Ready:  func(*testing.T, runtime.ContainerSpec) {},
			Lose:   func(_ *testing.T, id runtime.ContainerID) { fake.Lose(id) },
			Traces: func(*testing.T) []string { return nil },
		}
	})
}

// begin returns a fake with one running container of that behavior.
func begin(t *testing.T, behavior runtimetest.Behavior) (*runtimetest.Fake, runtime.ContainerID) {
	t.Helper()
	fake, id := runtimetest.NewFake(), runtime.NewContainerID("web", 1)
	fake.AddImage(ref("app"), behavior)
	_, pullErr := fake.Pull(t.Context(), runtime.PullRequest{Ref: ref("app")})
	createErr := fake.Create(t.Context(), runtime.ContainerSpec{
		ID: id, Image: ref("app"), LogPath: "/spool", Resources: runtime.Resources{Memory: 1 << 20},
	})
	if err := errors.Join(pullErr, createErr, fake.Start(t.Context(), id)); err != nil {
		t.Fatal(err)
	}
	return fake, id
}

func only(t *testing.T, fake *runtimetest.Fake) runtime.Container {
	t.Helper()
	containers, err := fake.List(t.Context())
	if err != nil || len(containers) != 1 {
		t.Fatalf("list: got %+v, %v, want one container", containers, err)
	}
	return containers[0]
}

func TestFake_KeepsTheBubblesTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		before := time.Now()
		fake, id := begin(t, runtimetest.Behavior{
			PullTime: time.Minute, StartTime: time.Second, Exits: true, ExitAfter: time.Hour, ExitCode: 3, ListenAfter: 5 * time.Second,
		})
		if took := time.Since(before); took != time.Minute+time.Second {
			t.Errorf("pull and start: got %v, want 1m1s", took)
		}
		if fake.Listening(id) {
			t.Error("listens at once, want after 5 s")
		}
		time.Sleep(5 * time.Second)
		if !fake.Listening(id) {
			t.Error("does not listen after 5 s")
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if c := only(t, fake); c.State != runtime.StateExited || c.ExitCode != 3 || c.FinishedAt.Sub(c.StartedAt) != time.Hour {
			t.Errorf("after an hour: got %+v, want exited with 3 after 1h", c)
		}
	})
}

func TestFake_NeverListens(t *testing.T) {
	t.Parallel()
	fake, id := begin(t, runtimetest.Behavior{NeverListens: true})
	if fake.Listening(id) {
		t.Error("listens, want never")
	}
}

func TestFake_FailNext(t *testing.T) {
	t.Parallel()
	fake, id := begin(t, runtimetest.Behavior{})
	broken := errors.New("broken")
	fake.FailNext(runtimetest.StepDelete, broken, runtime.ErrUnavailable)
	for _, want := range []error{broken, runtime.ErrUnavailable, nil} {
		if err := fake.Delete(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("delete: got %v, want %v", err, want)
		}
	}
	want := []string{"pull " + ref("app"), "create web-1", "start web-1", "delete web-1", "delete web-1", "delete web-1"}
	if diff := cmp.Diff(want, fake.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestFake_RebootLosesContainersAndWatches(t *testing.T) {
	t.Parallel()
	fake, id := begin(t, runtimetest.Behavior{})
	events, failed := fake.Watch(t.Context())
	fake.Reboot()
	if c := only(t, fake); c.State != runtime.StateUnknown || c.PID != 0 {
		t.Errorf("after reboot: got %+v, want unknown", c)
	}
	if err := <-failed; !errors.Is(err, runtime.ErrUnavailable) {
		t.Errorf("watch: got %v, want %v", err, runtime.ErrUnavailable)
	}
	if event, open := <-events; open {
		t.Errorf("watch after reboot: got %+v, want closed", event)
	}
	if err := fake.Signal(t.Context(), id, syscall.SIGKILL); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("signal to a lost container: got %v, want %v", err, runtime.ErrNotFound)
	}
}

func TestFake_WatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := runtimetest.NewFake()
		ctx, cancel := context.WithCancel(t.Context())
		events, failed := fake.Watch(ctx)
		cancel()
		synctest.Wait()
		if _, open := <-events; open {
			t.Error("watch is open after its context ended")
		}
		select {
		case err := <-failed:
			t.Errorf("watch error: got %v, want none", err)
		default:
		}
	})
}
