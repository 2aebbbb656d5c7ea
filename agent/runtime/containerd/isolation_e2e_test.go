//go:build e2e

package containerd_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/typeurl/v2"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtime/containerd"
)

// outputPatience bounds the wait for a line in a spool.
const outputPatience = 15 * time.Second

// node is a machine with a registry and an open runtime.
type node struct {
	*machine
	images  *images
	runtime *containerd.Runtime
	spools  string
}

func newNode(t testing.TB) *node {
	t.Helper()
	m := newMachine(t)
	return &node{machine: m, images: newImages(t), runtime: m.open(t), spools: t.TempDir()}
}

// spec pushes and pulls an image that runs `/probe mode`, and returns a spec for it.
func (n *node) spec(t testing.TB, id runtime.ContainerID, mode string, configure ...func(*v1.ConfigFile)) runtime.ContainerSpec {
	t.Helper()
	request := n.images.push(t, "probe", func(config *v1.ConfigFile) {
		config.Config.Cmd = []string{mode}
		for _, change := range configure {
			change(config)
		}
	})
	_, err := n.runtime.Pull(t.Context(), request)
	must(t, err)
	return runtime.ContainerSpec{
		ID: id, Image: request.Ref, Hostname: "web-7", LogPath: filepath.Join(n.spools, string(id)),
		Resources: runtime.Resources{Memory: 64 << 20, CPULimit: 500, CPUReservation: 250},
	}
}

func (n *node) run(t testing.TB, spec runtime.ContainerSpec) runtime.Container {
	t.Helper()
	must(t, n.runtime.Create(t.Context(), spec))
	must(t, n.runtime.Start(t.Context(), spec.ID))
	return observe(t, n.runtime, spec.ID)
}

// output returns the spool once it holds a text.
func (n *node) output(t testing.TB, id runtime.ContainerID, text string) string {
	t.Helper()
	return awaitOutput(t, filepath.Join(n.spools, string(id)), text)
}

func awaitOutput(t testing.TB, spool, text string) string {
	t.Helper()
	deadline := time.Now().Add(outputPatience)
	for ticker := time.NewTicker(10 * time.Millisecond); ; <-ticker.C {
		content, err := os.ReadFile(spool)
		if err == nil && strings.Contains(string(content), text) {
			return string(content)
		}
		if time.Now().After(deadline) {
			t.Fatalf("spool %q: no %q in %q (%v)", spool, text, content, err)
		}
	}
}

func TestRuntime_IsolatesContainers(t *testing.T) {
	n := newNode(t)
	resolv := filepath.Join(n.spools, "resolv.conf")
	must(t, os.WriteFile(resolv, []byte("nameserver 10.1.2.3\n"), 0o644))
	spec := n.spec(t, "caged-1", "try")
	spec.ResolvConfPath = resolv
	c := n.run(t, spec)
	output := n.output(t, spec.ID, "serving")

	t.Run("what a container must not do is refused", func(t *testing.T) {
		for _, name := range []string{
			"unshare", "mount", "keyctl", "bpf", "ptrace", "io_uring", "af_alg", "mknod", "raw_socket", "write_sysctl",
			"write_sysrq", "write_sys", "write_cgroup", "read_kcore", "sethostname", "resolv",
		} {
			if strings.Contains(output, "try "+name+" <nil>") || !strings.Contains(output, "try "+name+" ") {
				t.Errorf("%s: not refused:\n%s", name, output)
			}
		}
	})
	t.Run("what it needs works", func(t *testing.T) {
		for _, line := range []string{"try listen_80 <nil>", "hostname web-7", "resolv nameserver 10.1.2.3", "uid 0", "cgroup [/]"} {
			if !strings.Contains(output, line) {
				t.Errorf("no line %q in:\n%s", line, output)
			}
		}
	})
	t.Run("the kernel holds it", func(t *testing.T) {
		// CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10
		const capabilities = "00000000000004eb"
		for field, want := range map[string]string{
			"CapEff": capabilities, "CapPrm": capabilities, "CapBnd": capabilities, "CapInh": "0000000000000000",
			"CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
		} {
			if got := statusField(t, c.PID, field); got != want {
				t.Errorf("%s: got %s, want %s", field, got, want)
			}
		}
		if score := readFile(t, fmt.Sprintf("/proc/%d/oom_score_adj", c.PID)); score != "500" {
			t.Errorf("oom_score_adj: got %s, want 500", score)
		}
		if limits := readFile(t, fmt.Sprintf("/proc/%d/limits", c.PID)); !hasLine(limits, "Max core file size", "0", "0") {
			t.Errorf("core dumps are not off:\n%s", limits)
		}
	})
	t.Run("its mounts are harmless", func(t *testing.T) {
		for line := range strings.Lines(readFile(t, fmt.Sprintf("/proc/%d/mountinfo", c.PID))) {
			options := strings.Split(strings.Fields(line)[5], ",")
			if strings.Contains(line, " - tmpfs ") && !slices.Contains(options, "nosuid") && !slices.Contains(options, "ro") {
				t.Errorf("tmpfs without nosuid: %s", line)
			}
		}
	})
}

func TestRuntime_RestrictsContainers(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "strict-1", "try", func(config *v1.ConfigFile) { config.Config.User = "web" })
	spec.Restricted = true
	c := n.run(t, spec)
	output := n.output(t, spec.ID, "serving")
	for field, want := range map[string]string{"CapBnd": "0000000000000400", "CapEff": "0000000000000000", "NoNewPrivs": "1"} {
		if got := statusField(t, c.PID, field); got != want {
			t.Errorf("%s: got %s, want %s", field, got, want)
		}
	}
	if groups := statusField(t, c.PID, "Groups"); !strings.Contains(groups, "77") {
		t.Errorf("groups: got %q, want the image's group 77 among them", groups)
	}
	for _, line := range []string{"try listen_80 <nil>", "uid 1234"} {
		if !strings.Contains(output, line) {
			t.Errorf("no line %q in:\n%s", line, output)
		}
	}
}

func TestRuntime_SetsLimits(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "limits-1", "serve")
	spec.Resources.Pids = 99
	n.run(t, spec)
	for _, row := range []struct{ controller, v1, v2, want1, want2 string }{
		{"memory", "memory.limit_in_bytes", "memory.max", "67108864", "67108864"},
		{"memory", "memory.memsw.limit_in_bytes", "memory.swap.max", "67108864", "0"},
		{"cpu", "cpu.cfs_quota_us", "cpu.max", "50000", "50000 100000"},
		{"cpu", "cpu.shares", "cpu.weight", "256", "10"},
		{"pids", "pids.max", "pids.max", "99", "99"},
	} {
		path, want := filepath.Join("/sys/fs/cgroup", row.controller, n.parent, string(spec.ID), row.v1), row.want1
		if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
			path, want = filepath.Join("/sys/fs/cgroup", n.parent, string(spec.ID), row.v2), row.want2
		}
		if got := readFile(t, path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	stats, err := n.runtime.Stats(t.Context(), spec.ID)
	must(t, err)
	if stats.CPU <= 0 || stats.MemoryPeak <= 0 || stats.MemoryWorkingSet <= 0 || stats.Pids < 1 {
		t.Errorf("stats: got %+v, want every figure above zero", stats)
	}
}

func TestRuntime_BoundsProcesses(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "bomb-1", "threads")
	spec.Resources.Pids, spec.Resources.Memory = 60, 512<<20
	n.run(t, spec)
	n.output(t, spec.ID, "processes")
	stats, err := n.runtime.Stats(t.Context(), spec.ID)
	must(t, err)
	if stats.Pids > 60 {
		t.Errorf("processes and threads: got %d, want at most 60", stats.Pids)
	}
	must(t, n.runtime.Delete(t.Context(), spec.ID))
	if left := settled(t, n.machine); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestRuntime_SeesOOMOfAChild(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "child-1", "eat-memory-in-child")
	n.run(t, spec)
	n.output(t, spec.ID, "serving")
	c := observe(t, n.runtime, spec.ID)
	if c.State != runtime.StateRunning || c.OOM.Kills == 0 || c.OOM.Peak < 32<<20 {
		t.Errorf("after a child's OOM: got %+v, want running, with the OOM reported", c)
	}
}

// A label of the image would make containerd start a program as root on the node (CVE-2026-53488).
func TestRuntime_CopiesNoImageLabel(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "label-1", "serve", func(config *v1.ConfigFile) {
		config.Config.Labels = map[string]string{
			"containerd.io/restart.status": "running", "containerd.io/restart.loguri": "binary:///bin/touch?x=1",
			"nerdctl/log-uri": "binary:///bin/touch", "runway/cgroup-parent": "/elsewhere", "maintainer": "mallory",
		}
	})
	spec.Labels = map[string]string{"runway/replica-id": "r1"}
	c := n.run(t, spec)
	if diff := cmp.Diff(spec.Labels, c.Labels); diff != "" {
		t.Errorf("labels listed (-want +got):\n%s", diff)
	}
	record, err := n.client(t).ContainerService().Get(namespaces.WithNamespace(t.Context(), namespace), string(spec.ID))
	must(t, err)
	for key, value := range record.Labels {
		if strings.HasPrefix(key, "containerd.io/") || key == "maintainer" || strings.Contains(value, "binary:") || value == "/elsewhere" {
			t.Errorf("label of the image on the container: %s=%s", key, value)
		}
	}
	var stored specs.Spec
	must(t, typeurl.UnmarshalTo(record.Spec, &stored))
	if len(stored.Annotations) > 0 {
		t.Errorf("annotations: got %v, want none", stored.Annotations)
	}
}

func TestRuntime_RefusesHostileImages(t *testing.T) {
	n := newNode(t)
	for _, row := range []struct {
		name   string
		change func(*v1.ConfigFile)
	}{
		{"uid 2^32", func(c *v1.ConfigFile) { c.Config.User = "4294967296" }},
		{"uid -1", func(c *v1.ConfigFile) { c.Config.User = "-1" }},
		{"uid beyond 64 bits", func(c *v1.ConfigFile) { c.Config.User = "99999999999999999999" }},
		{"gid 2^32", func(c *v1.ConfigFile) { c.Config.User = "1000:4294967296" }},
		{"unknown user", func(c *v1.ConfigFile) { c.Config.User = "nobody-knows" }},
		{"no command", func(c *v1.ConfigFile) { c.Config.Entrypoint, c.Config.Cmd = nil, nil }},
		{"no such program", func(c *v1.ConfigFile) { c.Config.Entrypoint = []string{"/missing"} }},
		{"folder behind an open file", func(c *v1.ConfigFile) { c.Config.WorkingDir = "/proc/self/fd/8" }},
		{"folder behind an open file, hidden", func(c *v1.ConfigFile) { c.Config.WorkingDir = "/tmp/../proc/self/fd/8" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := n.spec(t, "hostile-1", "serve", row.change)
			err := n.runtime.Create(t.Context(), spec)
			if !errors.Is(err, runtime.ErrRefused) {
				t.Errorf("create: got %v, want %v", err, runtime.ErrRefused)
			}
			if left := settled(t, n.machine); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// Links in an image must not lead the low-level runtime's mounts out of the container.
func TestRuntime_KeepsLinksInside(t *testing.T) {
	n := newNode(t)
	canary := filepath.Join(t.TempDir(), "canary")
	must(t, os.WriteFile(canary, []byte("untouched"), 0o600))
	resolv := filepath.Join(n.spools, "resolv.conf")
	must(t, os.WriteFile(resolv, []byte("nameserver 10.1.2.3\n"), 0o644))
	for _, row := range []struct {
		id, link, target string
		refused          bool // else it may run, as long as it harms nothing
	}{
		{"dev-1", "dev", filepath.Dir(canary), true},
		{"proc-1", "proc", "/tmp", true},
		{"sys-1", "sys", "../../..", true},
		{"resolv-1", "etc/resolv.conf", "../../../../../../../.." + canary, false},
		{"resolv-2", "etc/resolv.conf", "/proc/1/root" + canary, false},
	} {
		request := n.images.push(t, "links", func(*v1.ConfigFile) {}, linkLayer(t, row.link, row.target))
		_, err := n.runtime.Pull(t.Context(), request)
		must(t, err)
		spec := n.spec(t, runtime.ContainerID(row.id), "serve")
		spec.Image, spec.ResolvConfPath = request.Ref, resolv
		err = n.runtime.Create(t.Context(), spec)
		if row.refused && err == nil || err != nil && !errors.Is(err, runtime.ErrRefused) {
			t.Errorf("image with %s -> %s: got %v, want refused %v", row.link, row.target, err, row.refused)
		}
		must(t, n.runtime.Delete(t.Context(), spec.ID))
	}
	if got := readFile(t, canary); got != "untouched" {
		t.Errorf("file of the node: got %q", got)
	}
}

func TestRuntime_CommandAndEnvironment(t *testing.T) {
	n := newNode(t)
	withEnv := func(config *v1.ConfigFile) { config.Config.Env = []string{"FROM_IMAGE=kept", "GREETING=image"} }
	for _, row := range []struct {
		id            runtime.ContainerID
		command, args []string
		want          string
	}{
		{"image-1", nil, nil, "words hello kept"},
		{"args-1", nil, []string{"words", "given"}, "words given hello kept"},
		{"command-1", []string{"/probe", "words", "a"}, []string{"b"}, "words a b hello kept"},
	} {
		spec := n.spec(t, row.id, "words", withEnv)
		spec.Command, spec.Args, spec.Env = row.command, row.args, []string{"GREETING=hello"}
		n.run(t, spec)
		if got := strings.TrimSpace(n.output(t, row.id, "\n")); got != row.want {
			t.Errorf("%s: got %q, want %q", row.id, got, row.want)
		}
	}
}

// What a process says before it ends at once is in its spool when it was deleted, on either stream.
func TestRuntime_KeepsLastWords(t *testing.T) {
	const processes = 40
	n := newNode(t)
	for i := range processes {
		spec := n.spec(t, runtime.NewContainerID("last", i), "complain")
		n.run(t, spec)
		for deadline := time.Now().Add(outputPatience); observe(t, n.runtime, spec.ID).State != runtime.StateExited; <-time.After(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d does not end", i)
			}
		}
		spool, err := os.Open(spec.LogPath)
		must(t, err)
		defer spool.Close()
		must(t, n.runtime.Delete(t.Context(), spec.ID))
		if got, err := io.ReadAll(spool); err != nil || string(got) != "GREETING is not set\n" {
			t.Fatalf("process %d: got %q, %v", i, got, err)
		}
	}
}

func TestRuntime_ServesNerdctl(t *testing.T) {
	n := newNode(t)
	spec := n.spec(t, "nerd-1", "serve")
	n.run(t, spec)
	log, err := n.runtime.LogPath(spec.ID)
	must(t, err)
	config := readFile(t, filepath.Join(filepath.Dir(log), "log-config.json"))
	if want := fmt.Sprintf(`{"driver":"json-file","address":%q}`, n.socket()); config != want {
		t.Errorf("log-config.json: got %s, want %s", config, want)
	}
	must(t, os.WriteFile(log, []byte("{}\n"), 0o600))
	must(t, n.runtime.Delete(t.Context(), spec.ID))
	if _, err := os.Stat(log); err != nil {
		t.Errorf("logs after delete: %v, want them kept for their owner", err)
	}
	must(t, os.RemoveAll(filepath.Dir(log)))
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return strings.TrimSpace(string(content))
}

func hasLine(text, start string, words ...string) bool {
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, start)
		if fields := strings.Fields(rest); found && len(fields) >= len(words) && cmp.Equal(fields[:len(words)], words) {
			return true
		}
	}
	return false
}
