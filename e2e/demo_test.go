//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// `make demo` twice in a row prints both lines, and `make demo-stop` leaves the
// machine as it was.
func TestDemo_TwiceAndWithoutATrace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: make e2e")
	}
	before := traces(t)
	t.Cleanup(func() {
		if t.Failed() {
			exec.Command("make", "-C", "..", "demo-stop").Run() //nolint:errcheck // best effort after a failure
		}
	})
	for range 2 {
		output := make_(t, "demo")
		for _, want := range []string{"https https://hello.default.runway.localhost:8443/ 200", "dns hello.default.runway.localhost 127.0.0.1"} {
			if !slices.Contains(strings.Split(output, "\n"), want) {
				t.Fatalf("make demo did not print %q:\n%s", want, output)
			}
		}
	}
	make_(t, "demo-stop")
	after := traces(t)
	for what, lines := range before {
		for _, line := range after[what] {
			if !slices.Contains(lines, line) {
				t.Errorf("%s: left behind: %s", what, line)
			}
		}
	}
	make_(t, "demo-stop") // when there is none, it says so and succeeds
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
	for name, pattern := range map[string]string{
		"/run": "/run/*", "/run/containerd": "/run/containerd/*", "/var/lib": "/var/lib/*", "cgroups": "/sys/fs/cgroup/*/*",
		"configuration": filepath.Join(os.Getenv("HOME"), ".config", "*"),
	} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = files
	}
	for i, link := range found["links"] {
		found["links"][i] = strings.Fields(link)[1] // counters and indexes change by themselves
	}
	return found
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
