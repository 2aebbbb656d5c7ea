package agent

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/runway-platform/runway/agent/logs"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
	"github.com/runway-platform/runway/proto/code"
)

// used is a registry in which every measurement has a value.
func used(t *testing.T) *prometheus.Registry {
	t.Helper()
	collector, err := logs.New(logs.Config{Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry, collector)
	m.observe(map[string]*replica{"a": replicaWith(serving)}, newReporter())
	m.stepped(result{order: order{action: action{do: doPull}}, err: runtime.ErrUnavailable})
	m.restarted(code.CrashLoop)
	m.failed(code.ImageNotFound)
	m.oomKilled()
	m.probed(probe.HTTP, probe.Result{Passed: true})
	m.drifted("rules")
	m.connected(true)
	m.cores.WithLabelValues("default", "web", "production").Set(1)
	m.memory.WithLabelValues("default", "web", "production").Set(1)
	return registry
}

func TestMetrics_NamesAreWellFormed(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(used(t))
	if err != nil || len(problems) != 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestMetrics_AreInTheDesign(t *testing.T) {
	t.Parallel()
	families, err := used(t).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, family := range families {
		made = append(made, family.GetName())
	}
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := regexp.MustCompile("(?m)^\\| `(runway_agent_[a-z_]+)`").FindAllStringSubmatch(string(text), -1)
	var rows []string
	for _, row := range documented {
		rows = append(rows, row[1])
	}
	slices.Sort(rows)
	if diff := cmp.Diff(made, rows); diff != "" {
		t.Errorf("metrics (-made +documented):\n%s", diff)
	}
}

func TestUsage_SumsWorkloadsAndForgetsThem(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		registry := prometheus.NewRegistry()
		r.deps.Metrics = NewMetrics(registry, r.deps.Logs)
		measuring := newUsage(r.deps)
		measure := func(cpu time.Duration) {
			r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{Stats: runtime.Stats{CPU: cpu, MemoryWorkingSet: 5 << 20}})
			if err := measuring.measure(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
		}
		measure(0)
		r.assign(assignment("a", 20001), assignment("b", 20002))
		r.untilReady("a", "b")
		measure(0)
		want := `
# HELP runway_agent_workload_memory_bytes Working set of a workload's replicas on this node.
# TYPE runway_agent_workload_memory_bytes gauge
runway_agent_workload_memory_bytes{environment="production",service="web",space="default"} 1.048576e+07
`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "runway_agent_workload_memory_bytes"); err != nil {
			t.Error(err)
		}
		r.assign()
		r.until("gone", 10*time.Second, func() bool { return len(r.containers()) == 0 })
		measure(0)
		if count, err := testutil.GatherAndCount(registry, "runway_agent_workload_memory_bytes", "runway_agent_workload_cpu_cores"); err != nil || count != 0 {
			t.Errorf("%d series of workloads that left, %v", count, err)
		}
	})
}

func TestUsage_CoresFromTwoReadings(t *testing.T) {
	t.Parallel()
	first := reading{at: noon, cpu: time.Second}
	second := reading{at: noon.Add(10 * time.Second), cpu: 6 * time.Second}
	if got := second.coresSince(first); got != 0.5 {
		t.Errorf("cores %v, want 0.5", got)
	}
	if got := second.coresSince(reading{}); got != 0 {
		t.Errorf("first reading: cores %v, want 0", got)
	}
	if got := first.coresSince(second); got != 0 {
		t.Errorf("clock going back: cores %v, want 0", got)
	}
}
