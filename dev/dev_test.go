package dev

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func valid(t *testing.T) Config {
	t.Helper()
	return Config{
		DataDir: t.TempDir(), Domain: "runway.localhost", API: "127.0.0.1:7443", HTTP: "127.0.0.1:8080", HTTPS: "127.0.0.1:8443",
		DNS: "127.0.0.1:5353", Registry: "127.0.0.1:5000", Metrics: "127.0.0.1:9464", Nodes: 1, Ingresses: 1, Executable: "/bin/true",
	}
}

func TestConfig_ValidateNamesEveryProblem(t *testing.T) {
	if err := valid(t).Validate(); err != nil {
		t.Fatalf("a valid configuration was refused: %v", err)
	}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no directory", func(c *Config) { c.DataDir = "" }, "data-dir is empty"},
		{"no domain", func(c *Config) { c.Domain = "" }, "domain is empty"},
		{"no node", func(c *Config) { c.Nodes = 0 }, "nodes is 0: choose 1 to 16"},
		{"too many ingresses", func(c *Config) { c.Ingresses = 9 }, "ingresses is 9: choose 1 to 8"},
		{"no port", func(c *Config) { c.API = "localhost" }, `api "localhost" is not IP:PORT`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := valid(t)
			test.change(&c)
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestNodeSettings_NoTwoNodesShareAnything(t *testing.T) {
	c := valid(t)
	c.Nodes = 3
	seen := map[string]map[string]bool{}
	last := 0
	for i := 1; i <= c.Nodes; i++ {
		s := c.nodeSettings(i, "/run/containerd/containerd.sock")
		for _, key := range []string{"data-dir", "name", "join-token-file", "metrics", "node-address", "identity", "subnet", "instance", "containerd-namespace", "cgroup-parent"} {
			value, ok := s[key].(string)
			if !ok || value == "" {
				t.Fatalf("node %d has no %s", i, key)
			}
			if seen[key] == nil {
				seen[key] = map[string]bool{}
			}
			if seen[key][value] {
				t.Errorf("two nodes have the %s %q", key, value)
			}
			seen[key][value] = true
		}
		first, end := s["port-first"].(int), s["port-last"].(int)
		if first <= last || end < first || end > portLast {
			t.Errorf("node %d has the ports %d to %d after %d", i, first, end, last)
		}
		last = end
	}
}

func TestMissing_SaysWhatACompleteClusterStillLacks(t *testing.T) {
	c := valid(t)
	ready := []*runwayv1.NodeView{{Node: &runwayv1.Node{Status: &runwayv1.NodeStatus{Phase: runwayv1.NodePhase_NODE_PHASE_READY}}}}
	live := []*runwayv1.IngressView{{Ingress: &runwayv1.Ingress{Status: &runwayv1.IngressStatus{Phase: runwayv1.IngressPhase_INGRESS_PHASE_LIVE}}}}
	open := []*runwayv1.Space{{Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_READY}}}
	if err := c.missing(ready, live, open); err != nil {
		t.Errorf("a complete cluster: %v", err)
	}
	err := c.missing(nil, live, open)
	if diff := cmp.Diff("0 of 1 nodes, 1 of 1 ingresses, 1 spaces are ready", err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestChild_IsStartedAgainAfterACrashAndStoppedWithItsContext(t *testing.T) {
	dir := t.TempDir()
	// Each life writes its number, and goes on until it is told to end.
	script := `echo $$ >>` + dir + `/lives; exec sleep 600`
	c := &child{name: "part", command: []string{"sh", "-c", script}, dir: dir, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()

	first := lives(t, dir, 1)[0]
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := lives(t, dir, 2)[1]
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := syscall.Kill(second, 0); err != syscall.ESRCH {
		t.Errorf("process %d outlived its owner: %v", second, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "part.pid")); err == nil {
		t.Error("the file with the process id was left")
	}
}

// lives waits until the child has been started count times.
func lives(t *testing.T, dir string, count int) []int {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		text, _ := os.ReadFile(filepath.Join(dir, "lives"))
		if fields := strings.Fields(string(text)); len(fields) >= count {
			numbers := make([]int, len(fields))
			for i, field := range fields {
				number, err := strconv.Atoi(field)
				if err != nil {
					t.Fatal(err)
				}
				numbers[i] = number
			}
			return numbers
		}
		select {
		case <-deadline:
			t.Fatalf("the child was not started %d times", count)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestRemove_OfADirectoryThatIsNotThereSucceeds(t *testing.T) {
	if err := Remove(t.Context(), filepath.Join(t.TempDir(), "none"), "/bin/true", slog.Default()); err != nil {
		t.Error(err)
	}
}

func TestLinkContext_KeepsWhatTheUserHas(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	c := valid(t)
	if err := c.linkContext(); err != nil {
		t.Fatal(err)
	}
	if err := c.unlinkContext(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(home + "/*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	own := filepath.Join(home, "runway", "runwayctl.yml")
	if err := os.MkdirAll(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, []byte("address: a:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{c.linkContext, c.unlinkContext} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(own); err != nil || string(text) != "address: a:1\n" {
			t.Fatalf("the user's own file was changed: %q %v", text, err)
		}
	}
}
