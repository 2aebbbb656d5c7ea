package coordinator

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// described registers metrics and remembers the names of all, also of those that have
// no value yet.
type described struct {
	*prometheus.Registry
	names map[string]bool
}

var fqName = regexp.MustCompile(`fqName: "([^"]+)"`)

func (d *described) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc, 100)
	c.Describe(all)
	close(all)
	for desc := range all {
		d.names[fqName.FindStringSubmatch(desc.String())[1]] = true
	}
	return d.Registry.Register(c)
}

func (d *described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := d.Register(c); err != nil {
			panic(err)
		}
	}
}

// rows are the metrics in the table of DESIGN.md.
var rows = regexp.MustCompile("(?m)^\\| `(runway_[a-z_]+)")

// What a running coordinator shows is what the table says, well named, and nothing
// else.
func TestMetrics_AreThoseOfTheTable(t *testing.T) {
	c := config(t, t.TempDir())
	registry := &described{Registry: prometheus.NewRegistry(), names: map[string]bool{}}
	c.Registerer = registry
	process, stop := run(t, c)
	defer stop()
	if _, err := info(t, c, process); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, row := range rows.FindAllStringSubmatch(string(text), -1) {
		told[row[1]] = true
	}
	for _, name := range slices.Sorted(maps.Keys(registry.names)) {
		if !told[name] {
			t.Errorf("%s is not in the table of DESIGN.md", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(told)) {
		if !registry.names[name] {
			t.Errorf("%s is in the table of DESIGN.md, and no coordinator shows it", name)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

func TestContents_CountWhatTheStateHolds(t *testing.T) {
	s := coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.RegisterIngress("i1"),
		coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 3),
		coordinatortest.Assign(coordinatortest.Replica("r1", "web", 1, "n1", 20000)),
		&runwayv1.AssignReplicas{Problems: []*runwayv1.PlacementProblem{{
			Workload: coordinatortest.Key("web"), Region: "local", Count: 2, Cause: &runwayv1.Cause{Code: "RW-2001"},
		}}})
	registry := prometheus.NewRegistry()
	registry.MustRegister(newContents(s.View))
	want := `
# HELP runway_coordinator_deployments_active Deployments in progress.
# TYPE runway_coordinator_deployments_active gauge
runway_coordinator_deployments_active 1
# HELP runway_coordinator_unplaced_replicas Replicas that are wanted and fit nowhere.
# TYPE runway_coordinator_unplaced_replicas gauge
runway_coordinator_unplaced_replicas 2
# HELP runway_coordinator_workloads Workloads that are not being deleted.
# TYPE runway_coordinator_workloads gauge
runway_coordinator_workloads 1
# HELP runway_coordinator_ingresses Ingresses by phase.
# TYPE runway_coordinator_ingresses gauge
runway_coordinator_ingresses{phase="live"} 1
runway_coordinator_ingresses{phase="lost"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "runway_coordinator_deployments_active",
		"runway_coordinator_unplaced_replicas", "runway_coordinator_workloads", "runway_coordinator_ingresses"); err != nil {
		t.Error(err)
	}
}

// The result of a deployment is counted when it is written, and not when it is
// refused.
func TestOutcomes_CountWhatWasWritten(t *testing.T) {
	s := coordinatortest.NewState(t, coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 1))
	o := newOutcomes(s)
	end := &runwayv1.SetDeploymentStatus{Deployment: "d1", Status: &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED}}
	if _, err := o.Apply(t.Context(), end); err == nil {
		t.Fatal("a write with an old index was taken")
	}
	end.ModifiedIndex = s.View().Deployment("d1").GetMeta().GetModifiedIndex()
	if _, err := o.Apply(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	if got := testutil.ToFloat64(o.ended.WithLabelValues("failed")); got != 1 {
		t.Errorf("%v deployments failed, want 1", got)
	}
}
