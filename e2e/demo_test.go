//go:build e2e

package e2e

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// `make demo` twice in a row prints both lines, what the README tells a newcomer to
// type next works, and `make demo-stop` leaves the machine as it was.
func TestDemo_TwiceAndWithoutATrace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: make e2e")
	}
	before := traces(t)
	demoTwice(t)
	make_(t, "demo-stop")
	compare(t, before)
	make_(t, "demo-stop") // when there is none, it says so and succeeds
}

// A containerd that runs on the machine is used, and given back as it was.
func TestDemo_InTheContainerdOfTheMachine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: make e2e")
	}
	if exec.Command("ctr", "version").Run() == nil {
		t.Skip("the machine has a containerd, which TestDemo_TwiceAndWithoutATrace has used")
	}
	startSystemContainerd(t)
	leaveFolder(t, "/run/containerd/runc") // as a container leaves it that was there before
	before := traces(t)
	before["containerd"] = containerdKeeps(t)
	demoTwice(t)
	if kept := containerdKeeps(t); !slices.ContainsFunc(kept, func(line string) bool { return strings.Contains(line, "hello") }) {
		t.Errorf("the demo did not use the machine's containerd, which keeps %q", kept)
	}
	make_(t, "demo-stop")
	compare(t, before)
	if diff := cmp.Diff(before["containerd"], containerdKeeps(t)); diff != "" {
		t.Errorf("containerd (-before +after):\n%s", diff)
	}
}

// demoTwice starts the demo, types what the README says, and starts it again.
func demoTwice(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			exec.Command("make", "-C", "..", "demo-stop").Run() //nolint:errcheck // best effort after a failure
		}
	})
	for range 2 {
		output := make_(t, "demo")
		for _, want := range readmeBlock(t, "https https://") {
			if !slices.Contains(lines(output), want) {
				t.Fatalf("make demo did not print %q:\n%s", want, output)
			}
		}
		for _, command := range readmeBlock(t, "bin/runwayctl ps hello") {
			if !strings.HasPrefix(command, "make demo-stop") {
				typed(t, command)
			}
		}
		for _, command := range lines(output) {
			if command = strings.TrimSpace(command); strings.HasPrefix(command, "bin/runwayctl ") {
				typed(t, command)
			}
		}
	}
}

// readmeBlock returns the lines of the README's block of code that begins so.
func readmeBlock(t *testing.T, first string) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, block := range strings.Split(string(text), "```") {
		_, code, _ := strings.Cut(block, "\n")
		if i%2 == 1 && strings.HasPrefix(code, first) {
			return lines(code)
		}
	}
	t.Fatalf("README.md has no block that begins with %q", first)
	return nil
}

// typed runs one line as somebody would type it. The explanation after it goes; one
// that follows something is interrupted.
func typed(t *testing.T, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, "#")
	line, _, _ = strings.Cut(strings.TrimSpace(line), "   ")
	follows := strings.HasSuffix(line, " -f")
	if follows {
		line = "timeout --preserve-status -s INT 2 " + line
	}
	command := exec.Command("bash", "-c", line)
	command.Dir = ".."
	output, err := command.CombinedOutput()
	interrupted := follows && command.ProcessState != nil && command.ProcessState.ExitCode() == 130
	if err != nil && !interrupted || len(output) == 0 {
		t.Errorf("%s: %v\n%s", line, err, output)
	}
}

// compare fails the test for what was left behind, and for what vanished.
func compare(t *testing.T, before map[string][]string) {
	t.Helper()
	after := traces(t)
	for what, was := range before {
		if what == "containerd" {
			continue // compared by its own words
		}
		for _, line := range after[what] {
			if !slices.Contains(was, line) {
				t.Errorf("%s: left behind: %s", what, line)
			}
		}
		for _, line := range was {
			if !slices.Contains(after[what], line) {
				t.Errorf("%s: vanished: %s", what, line)
			}
		}
	}
}

// startSystemContainerd runs containerd as the distribution would, and takes it away
// with all it made.
func startSystemContainerd(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/var/lib/containerd"); err == nil {
		t.Skip("the machine has data of a containerd of its own, which this test would remove")
	}
	made := []string{"/run/containerd"}
	if _, err := os.Stat(made[0]); err == nil { // shims of other labs have their sockets there
		made = []string{made[0] + "/containerd.sock", made[0] + "/containerd.sock.ttrpc", made[0] + "/io.containerd.runtime.v2.task", made[0] + "/io.containerd.runtime.v1.linux", made[0] + "/io.containerd.sandbox.controller.v1.shim"}
	}
	command := exec.Command("containerd", "--log-level", "warn")
	log, err := os.Create(filepath.Join(t.TempDir(), "containerd.log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)                                              //nolint:errcheck // Wait tells
		command.Wait()                                                                       //nolint:errcheck // it was told to end
		exec.Command("rm", append([]string{"-rf", "/var/lib/containerd"}, made...)...).Run() //nolint:errcheck // the next test would see it
		os.Remove("/opt/containerd/bin")                                                     //nolint:errcheck // made by containerd's opt plugin
		os.Remove("/opt/containerd/lib")                                                     //nolint:errcheck // as above
		os.Remove("/opt/containerd")                                                         //nolint:errcheck // as above
	})
	eventually(t, 20*time.Second, "containerd answers", func() error {
		return exec.Command("ctr", "version").Run()
	})
	// Its own stores appear with their first use, and stay.
	run(t, "ctr", "-n", "warm", "snapshots", "prepare", "warm")
	run(t, "ctr", "-n", "warm", "snapshots", "rm", "warm")
	run(t, "ctr", "namespaces", "remove", "warm")
	// The folder of a removed snapshot is collected some time later.
	if err := os.RemoveAll("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1"); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256", 0o755); err != nil {
		t.Fatal(err)
	}
}

// leaveFolder makes a folder, if it is not there, for the time of the test.
func leaveFolder(t *testing.T, folder string) {
	t.Helper()
	err := os.Mkdir(folder, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(folder) }) //nolint:errcheck // a failed test may have left something there
}

// containerdKeeps is all that a containerd holds, in every namespace.
func containerdKeeps(t *testing.T) []string {
	t.Helper()
	all := lines(run(t, "ctr", "namespaces", "list", "-q"))
	for _, namespace := range slices.Clone(all) {
		if namespace == "" {
			continue
		}
		for _, what := range []string{"containers", "images", "tasks"} {
			for _, one := range lines(run(t, "ctr", "-n", namespace, what, "list", "-q")) {
				all = append(all, namespace+" "+what+" "+one)
			}
		}
		all = append(all, namespace+" snapshots "+run(t, "ctr", "-n", namespace, "snapshots", "list"))
		all = append(all, namespace+" content "+run(t, "ctr", "-n", namespace, "content", "list", "-q"))
		all = append(all, namespace+" leases "+run(t, "ctr", "-n", namespace, "leases", "list", "-q"))
	}
	return all
}

// make_ runs a target of the Makefile.
func make_(t *testing.T, target string) string {
	t.Helper()
	command := exec.Command("make", "--no-print-directory", "-C", "..", target)
	command.WaitDelay = 5 * time.Second
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("make %s: %v\n%s", target, err, output)
	}
	return string(output)
}

// traces is everything on the machine that a cluster could leave behind.
func traces(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{
		"links":      lines(run(t, "ip", "-o", "link", "show")),
		"namespaces": lines(run(t, "ip", "netns", "list")),
		"rules":      lines(run(t, "nft", "list", "ruleset")),
		"routing":    append(lines(run(t, "ip", "rule")), lines(run(t, "ip", "route", "show", "table", "all"))...),
		"mounts":     mounts(t),
		"processes":  lines(run(t, "sh", "-c", "ps -eo args= | grep -F runway-demo | grep -v grep || true")),
	}
	for name, root := range map[string]string{
		"/run": "/run", "/var/lib": "/var/lib", "/opt": "/opt", "/etc/cni": "/etc/cni", "cgroups": "/sys/fs/cgroup",
		"configuration": filepath.Join(os.Getenv("HOME"), ".config"),
	} {
		found[name] = tree(t, root)
	}
	for i, link := range found["links"] {
		found["links"][i] = strings.Fields(link)[1] // counters and indexes change by themselves
	}
	return found
}

// treeDepth is deeper than anything of the platform begins.
const treeDepth = 4

// tree is every path below the folders that the pattern names, down to treeDepth.
func tree(t *testing.T, pattern string) []string {
	t.Helper()
	roots, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil // it went away meanwhile
			}
			all = append(all, path)
			if entry.IsDir() && strings.Count(strings.TrimPrefix(path, root), "/") >= treeDepth {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func mounts(t *testing.T) []string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return lines(string(table))
}

func lines(text string) []string {
	return strings.Split(strings.TrimSpace(text), "\n")
}
