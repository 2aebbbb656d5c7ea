//go:build e2e

package containerd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An operator on the node sees replicas with nerdctl. The test needs a nerdctl in PATH.
func TestRuntime_IsSeenByNerdctl(t *testing.T) {
	nerdctl, err := filepath.Abs("../../../bin/tools/nerdctl")
	must(t, err)
	if _, err := os.Stat(nerdctl); err != nil {
		t.Fatalf("%s is missing: run make e2e, which builds it", nerdctl)
	}
	n := newNode(t)
	spec := n.spec(t, "nerd-1", "serve")
	n.run(t, spec)
	log, err := n.runtime.LogPath(spec.ID)
	must(t, err)
	must(t, os.WriteFile(log, []byte(`{"log":"hello\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}`+"\n"), 0o600))
	for _, row := range []struct {
		command []string
		want    string
	}{
		{[]string{"ps"}, "/probe serve"},
		{[]string{"logs", "nerd-1"}, "hello"},
		{[]string{"exec", "nerd-1", "/probe", "words", "inside"}, "words inside"},
		{[]string{"stats", "--no-stream"}, "64MiB"},
	} {
		global := []string{"--address", n.socket(), "--namespace", namespace, "--data-root", n.path("nerdctl")}
		output, err := exec.CommandContext(t.Context(), nerdctl, append(global, row.command...)...).CombinedOutput()
		if err != nil || !strings.Contains(string(output), row.want) {
			t.Errorf("nerdctl %q: %v, no %q in:\n%s", row.command, err, row.want, output)
		}
	}
	must(t, os.Remove(log))
	must(t, n.runtime.Delete(t.Context(), spec.ID))
	if left := settled(t, n.machine); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
