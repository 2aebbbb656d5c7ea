//go:build e2e

package containerd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	client "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/moby/sys/mountinfo"

	"github.com/runway-platform/runway/agent/cgroup"
	"github.com/runway-platform/runway/agent/runtime/containerd"
)

// namespace of containerd that the tests use; not the default, so that they can run beside a real agent.
const namespace = "runway-e2e"

// startPatience bounds the start of a containerd.
const startPatience = 20 * time.Second

// machine is a containerd of the test's own, and the agent's node on it.
type machine struct {
	dir    string
	parent string
	daemon *exec.Cmd
	output bytes.Buffer
}

// newMachine starts a containerd that ends with the test.
func newMachine(t testing.TB) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir(), parent: fmt.Sprintf("/runway-e2e/%d-%d", os.Getpid(), time.Now().UnixNano())}
	for _, folder := range []string{"root", "state", "nerdctl"} {
		if err := os.Mkdir(filepath.Join(m.dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(m.path("config.toml"), []byte(m.settings()), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start(t)
	t.Cleanup(func() { m.cleanUp(t) })
	return m
}

// settings is the documented configuration for a containerd of one's own.
func (m *machine) settings() string {
	return fmt.Sprintf(`version = 2
root = %q
state = %q
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = %q
[ttrpc]
  address = %q
[plugins."io.containerd.internal.v1.opt"]
  path = %q
`, m.path("root"), m.path("state"), m.socket(), m.socket()+".ttrpc", m.path("opt"))
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }
func (m *machine) socket() string          { return m.path("containerd.sock") }

// start runs containerd and waits until it serves.
func (m *machine) start(t testing.TB) {
	t.Helper()
	m.daemon = exec.Command("containerd", "--config", m.path("config.toml"))
	m.daemon.Stderr = &m.output
	if err := m.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	c := m.client(t)
	ctx, cancel := context.WithTimeout(t.Context(), startPatience)
	defer cancel()
	for ticker := time.NewTicker(20 * time.Millisecond); ; <-ticker.C {
		serving, err := c.IsServing(ctx)
		if serving {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("containerd does not serve: %v\n%s", err, m.output.String())
		}
	}
}

// crash kills containerd, and nothing else.
func (m *machine) crash(t testing.TB) {
	t.Helper()
	if err := m.daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = m.daemon.Wait() // "killed" is what was asked for
}

func (m *machine) cleanUp(t testing.TB) {
	t.Helper()
	r := m.open(t)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), startPatience)
	defer cancel()
	left, err := r.List(ctx)
	for _, c := range left {
		err = errors.Join(err, r.Delete(ctx, c.ID))
	}
	if err != nil {
		t.Errorf("clean up: %v\n%s", err, m.output.String())
	}
	_ = m.daemon.Process.Signal(syscall.SIGTERM)
	_ = m.daemon.Wait()
	group := cgroup.Open().Group(m.parent)
	if err := group.Remove(ctx); err != nil {
		t.Error(err)
	}
	_ = cgroup.Open().Group("/runway-e2e").Remove(ctx) // another test may be using it
	_ = os.Remove(filepath.Join("/run/containerd/runc", namespace))
}

// open returns a Runtime for the node.
func (m *machine) open(t testing.TB) *containerd.Runtime {
	t.Helper()
	r, err := containerd.New(m.config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func (m *machine) config() containerd.Config {
	return containerd.Config{
		Address: m.socket(), Namespace: namespace, CgroupParent: m.parent,
		RootDir: m.path("root"), StateDir: m.path("state"), NerdctlDataRoot: m.path("nerdctl"),
	}
}

// client returns a plain containerd client: somebody else's hand.
func (m *machine) client(t testing.TB) *client.Client {
	t.Helper()
	c, err := client.New(m.socket(), client.WithTimeout(time.Second), client.WithDefaultNamespace(namespace))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// traces returns what containers could leave: mounts, cgroups, snapshots in use, records, shims, folders.
func (m *machine) traces(t testing.TB) []string {
	t.Helper()
	var found []string
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(m.dir))
	must(t, err)
	for _, mount := range mounts {
		found = append(found, "mount "+mount.Mountpoint)
	}
	groups, err := cgroup.Open().Children(m.parent)
	must(t, err)
	for _, group := range groups {
		found = append(found, "cgroup "+group)
	}
	ctx := namespaces.WithNamespace(t.Context(), namespace)
	c := m.client(t)
	must(t, c.SnapshotService("overlayfs").Walk(ctx, func(_ context.Context, info snapshots.Info) error {
		if info.Kind != snapshots.KindCommitted {
			found = append(found, "snapshot "+info.Name)
		}
		return nil
	}))
	records, err := c.ContainerService().List(ctx)
	must(t, err)
	for _, record := range records {
		found = append(found, "record "+record.ID)
	}
	for _, pid := range m.shims(t) {
		found = append(found, fmt.Sprintf("shim %d", pid))
	}
	return append(found, m.folders(t)...)
}

// folders returns the files that outlive a process.
func (m *machine) folders(t testing.TB) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{
		m.path("state/io.containerd.runtime.v2.task/" + namespace + "/*"),
		m.path("root/io.containerd.runtime.v2.task/" + namespace + "/*"),
		m.path("nerdctl/*/containers/" + namespace + "/*"),
		"/run/containerd/runc/" + namespace + "/*",
	} {
		matches, err := filepath.Glob(pattern)
		must(t, err)
		found = append(found, matches...)
	}
	return found
}

// shims returns the shims of this containerd, by asking the kernel.
func (m *machine) shims(t testing.TB) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	var pids []int
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // the process is gone
		}
		words := strings.Split(string(content), "\x00")
		if strings.HasSuffix(words[0], "containerd-shim-runc-v2") && slices.Contains(words, m.socket()) {
			var pid int
			_, err := fmt.Sscanf(file, "/proc/%d/", &pid)
			must(t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
