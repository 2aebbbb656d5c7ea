package cgroup_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runway-platform/runway/agent/cgroup"
)

// tree lays out control files below a folder that stands for /sys/fs/cgroup.
func tree(t *testing.T, unified bool, files map[string]string) cgroup.Tree {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return cgroup.OpenAt(root, unified)
}

var v1 = map[string]string{
	"memory/runway/web/memory.usage_in_bytes":     "5000\n",
	"memory/runway/web/memory.limit_in_bytes":     "67108864\n",
	"memory/runway/web/memory.max_usage_in_bytes": "9000\n",
	"memory/runway/web/memory.stat":               "cache 3\ninactive_file 7\ntotal_inactive_file 1000\n",
	"memory/runway/web/memory.oom_control":        "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
	"cpuacct/runway/web/cpuacct.usage":            "1500000000\n",
	"pids/runway/web/pids.current":                "4\n",
	"pids/runway/web/cgroup.procs":                "20\n21\n",
	"freezer/runway/web/cgroup.procs":             "21\n22\n",
	"freezer/runway/alone/cgroup.procs":           "",
}

var v2 = map[string]string{
	"runway/web/memory.current": "5000\n",
	"runway/web/memory.max":     "67108864\n",
	"runway/web/memory.peak":    "9000\n",
	"runway/web/memory.stat":    "anon 3\ninactive_file 1000\n",
	"runway/web/memory.events":  "low 0\noom 1\noom_kill 2\n",
	"runway/web/cpu.stat":       "usage_usec 1500000\nuser_usec 1\n",
	"runway/web/pids.current":   "4\n",
	"runway/web/cgroup.procs":   "20\n21\n22\n",
	"runway/alone/cgroup.procs": "",
}

func TestGroup_ReadsBothVersions(t *testing.T) {
	t.Parallel()
	for name, tree := range map[string]cgroup.Tree{"v1": tree(t, false, v1), "v2": tree(t, true, v2)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group := tree.Group("/runway/web")
			memory, err := group.Memory()
			if want := (cgroup.Memory{Limit: 67108864, Peak: 9000, WorkingSet: 4000, OOMKills: 2}); err != nil || memory != want {
				t.Errorf("memory: got %+v, %v, want %+v", memory, err, want)
			}
			if cpu, err := group.CPU(); err != nil || cpu != 1500*time.Millisecond {
				t.Errorf("cpu: got %v, %v, want 1.5s", cpu, err)
			}
			if tasks, err := group.Tasks(); err != nil || tasks != 4 {
				t.Errorf("tasks: got %d, %v, want 4", tasks, err)
			}
			pids, err := group.PIDs()
			if diff := cmp.Diff([]int{20, 21, 22}, pids); err != nil || diff != "" {
				t.Errorf("pids: %v (-want +got):\n%s", err, diff)
			}
			children, err := tree.Children("/runway")
			if diff := cmp.Diff([]string{"alone", "web"}, children); err != nil || diff != "" {
				t.Errorf("children: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestGroup_UnlimitedIsZero(t *testing.T) {
	t.Parallel()
	for name, tree := range map[string]cgroup.Tree{
		"v1": tree(t, false, map[string]string{"memory/a/memory.usage_in_bytes": "1", "memory/a/memory.limit_in_bytes": "9223372036854771712"}),
		"v2": tree(t, true, map[string]string{"a/memory.current": "1", "a/memory.max": "max"}),
	} {
		if memory, err := tree.Group("/a").Memory(); err != nil || memory.Limit != 0 {
			t.Errorf("%s: got limit %d, %v, want 0", name, memory.Limit, err)
		}
	}
}

func TestGroup_Absent(t *testing.T) {
	t.Parallel()
	for name, tree := range map[string]cgroup.Tree{"v1": tree(t, false, v1), "v2": tree(t, true, v2)} {
		group := tree.Group("/runway/nobody")
		if group.Exists() || !tree.Group("/runway/web").Exists() {
			t.Errorf("%s: exists is wrong", name)
		}
		if _, err := group.Memory(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: memory: got %v, want %v", name, err, fs.ErrNotExist)
		}
		if children, err := tree.Children("/nobody"); err != nil || len(children) > 0 {
			t.Errorf("%s: children: got %v, %v, want none", name, children, err)
		}
		if err := errors.Join(group.Kill(t.Context()), group.Remove(t.Context())); err != nil {
			t.Errorf("%s: kill and remove: %v", name, err)
		}
	}
}

func TestGroup_KillEndsWithItsContext(t *testing.T) {
	t.Parallel()
	const nobody = "999999999" // above any PID: the signal finds no process, and the cgroup never empties
	tree := tree(t, false, map[string]string{"pids/a/cgroup.procs": nobody})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := tree.Group("/a").Kill(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("kill: got %v, want %v", err, context.DeadlineExceeded)
	}
}
