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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/agent/logs"
	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
	"github.com/runway-platform/runway/proto/code"
	"github.com/runway-platform/runway/proto/defaults"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
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
	if err := RegisterDenied(registry, &rulesThatDrop{counts: map[string]uint64{"spoof": 1}}); err != nil {
		t.Fatal(err)
	}
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

// Each count follows from what happened on the node, by the number of times that it happened.
func TestMetrics_CountWhatHappens(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		c.runtime.AddImage(imageRef("broken"), runtimetest.Behavior{PullErr: runtime.ErrImageDenied})
		c.wrap = func(n Network) Network {
			return &drifting{Network: n, drift: []network.Drift{{Part: "rules", Detail: "packet rules were missing"}}}
		}
		c.runtime.FailNext(runtimetest.StepCreate, runtime.ErrUnavailable, runtime.ErrUnavailable)
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001), assignment("b", 20002, withImage("broken"))))}
	}, func(t *testing.T, c *connected) {
		m, co := c.deps.Metrics, c.coordinator
		c.until("a ready, b failed", 10*time.Second, co.read(func() bool {
			return co.statuses["a"].GetReady() && co.statuses["b"].GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
		}))
		c.until("all acknowledged", time.Second, func() bool { return c.reporter.unacked() == 0 })
		began := testutil.ToFloat64(m.drift.WithLabelValues("rules"))
		time.Sleep(10 * checkEvery)
		c.runtime.OOM("a-0")
		c.until("a again", 5*time.Second, func() bool { return c.status("a").GetReady() && c.status("a").GetAttempt() == 1 })
		expect := func(name string, collector prometheus.Collector, want float64) {
			if got := testutil.ToFloat64(collector); got != want {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		expect("drift_repaired", m.drift.WithLabelValues("rules"), began+10)
		expect("oom_kills", m.ooms, 1)
		expect("restarts", m.restarts.WithLabelValues(string(code.OutOfMemory)), 1)
		expect("replica_failures", m.failures.WithLabelValues(string(code.ImageDenied)), 1)
		expect("step_failures of create", m.stepFailures.WithLabelValues(string(doCreate)), 2)
		expect("step_failures of pull", m.stepFailures.WithLabelValues(string(doPull)), 1)
		expect("session_connected", m.session, 1)
		passed := testutil.ToFloat64(m.probes.WithLabelValues("http", "passed"))
		time.Sleep(10 * defaults.UndeclaredPeriod)
		expect("probes that passed", m.probes.WithLabelValues("http", "passed"), passed+10)
		failed := testutil.ToFloat64(m.probes.WithLabelValues("http", "failed"))
		c.sicken("a", true)
		time.Sleep(2 * defaults.UndeclaredPeriod)
		expect("probes that failed", m.probes.WithLabelValues("http", "failed"), failed+2)
		expect("reports_unacknowledged", m.unacked, 0)
		co.mu.Lock()
		co.mute = true
		co.mu.Unlock()
		c.runtime.Exit("a-1", 1)
		c.until("reports wait", 10*time.Second, func() bool { return testutil.ToFloat64(m.unacked) > 0 })
		co.mu.Lock()
		co.refuse = status.Error(codes.Unavailable, "away")
		co.mu.Unlock()
		co.end <- status.Error(codes.Unavailable, "away")
		c.until("session lost", time.Second, func() bool { return testutil.ToFloat64(m.session) == 0 })
	})
}
