//go:build e2e

package containerd_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
)

func TestRuntime_Conformance(t *testing.T) {
	registry := newImages(t)
	m := newMachine(t)
	runtimetest.Run(t, func(*testing.T) runtimetest.Harness {
		return runtimetest.Harness{
			Open:  func(t *testing.T) runtime.Runtime { return m.open(t) },
			Image: func(t *testing.T, p runtimetest.Program) runtime.PullRequest { return registry.program(t, p) },
			Ready: func(t *testing.T, spec runtime.ContainerSpec) { awaitOutput(t, spec.LogPath, "serving") },
			Lose:  func(t *testing.T, id runtime.ContainerID) { killShim(t, pidOf(t, m.open(t), id)) },
			Traces: func(t *testing.T) []string {
				t.Helper()
				return settled(t, m)
			},
		}
	})
}

// settled returns the traces once shims that are on their way out are gone: containerd lets them exit behind the deletion.
func settled(t *testing.T, m *machine) []string {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for ticker := time.NewTicker(20 * time.Millisecond); ; <-ticker.C {
		found := m.traces(t)
		if len(found) == 0 || time.Now().After(deadline) {
			return found
		}
	}
}

// pidOf returns the first process of a container.
func pidOf(t testing.TB, r runtime.Runtime, id runtime.ContainerID) int {
	t.Helper()
	return observe(t, r, id).PID
}

func observe(t testing.TB, r runtime.Runtime, id runtime.ContainerID) runtime.Container {
	t.Helper()
	containers, err := r.List(t.Context())
	must(t, err)
	for _, c := range containers {
		if c.ID == id {
			return c
		}
	}
	t.Fatalf("container %q is not listed", id)
	return runtime.Container{}
}

// killShim kills the parent of a container's first process.
func killShim(t testing.TB, pid int) {
	t.Helper()
	shim := parentOf(t, pid)
	if shim <= 1 {
		t.Fatalf("process %d has parent %d, want a shim", pid, shim)
	}
	must(t, syscall.Kill(shim, syscall.SIGKILL))
}

func parentOf(t testing.TB, pid int) int {
	t.Helper()
	parent, err := strconv.Atoi(statusField(t, pid, "PPid"))
	must(t, err)
	return parent
}

// statusField reads a line of /proc/PID/status.
func statusField(t testing.TB, pid int, field string) string {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	for line := range strings.Lines(string(content)) {
		if name, value, found := strings.Cut(line, ":"); found && name == field {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("process %d has no status %q", pid, field)
	return ""
}
