//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// missed is how long a killed part is away, as under a supervisor.
const missed = time.Second

// moment is a phase of a deployment in which something is killed.
type moment struct {
	name  string
	there func(d *runwayv1.Deployment, replicas []*runwayv1.Replica) bool
}

var moments = []moment{
	{"while new replicas start", func(d *runwayv1.Deployment, replicas []*runwayv1.Replica) bool {
		for _, r := range replicas {
			if r.GetDeployment() == d.GetId() && r.GetStatus().GetPid() == 0 && !r.GetStatus().GetReady() {
				return true
			}
		}
		return false
	}},
	{"while both revisions serve", func(d *runwayv1.Deployment, _ []*runwayv1.Replica) bool {
		return d.GetStatus().GetServing() > 0
	}},
	{"while old replicas drain", func(d *runwayv1.Deployment, replicas []*runwayv1.Replica) bool {
		for _, r := range replicas {
			if r.GetDeployment() != d.GetId() && r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_DRAIN {
				return true
			}
		}
		return false
	}},
}

// part is what is killed. trouble is how long requests may fail for.
type part struct {
	name    string
	kill    func(*rolled) *process // returns nil when nothing is to be started again
	trouble time.Duration
}

var crashParts = []part{
	{"coordinator", func(r *rolled) *process { return r.killed(r.c.coordinator) }, 0},
	{"agent", func(r *rolled) *process { return r.killed(r.c.agents[0]) }, 0},
	{"ingress", func(r *rolled) *process { return r.killed(r.c.ingresses[0]) }, 0},
	{"containerd", func(r *rolled) *process { return r.killed(r.c.named("containerd-a1")) }, 5 * time.Second},
	{"shim", func(r *rolled) *process { r.killShim(); return nil }, 5 * time.Second},
}

// kill -9 of each part in each phase of a deployment under load: no request fails
// on the ingress that lives, and the deployment ends as succeeded or undone.
func TestRolling_PartKilledDuringADeployment(t *testing.T) {
	c := newCluster(t, 2, 2)
	service := newRolled(c, 4)
	for _, p := range crashParts {
		for _, m := range moments {
			t.Run(p.name+" "+m.name, func(t *testing.T) { service.in(t).crash(t, p, m) })
		}
	}
}

// crash is one kill in one deployment.
func (r *rolled) crash(t *testing.T, p part, m moment) {
	c := r.c
	load := c.startClients(300, c.edges[1])
	deployed := r.deployUntil(t, m)
	victim := p.kill(r)
	if victim != nil {
		pause(missed)
		victim.run(t)
	}
	back := time.Now()
	eventually(t, 30*time.Second, "converged", func() error { return r.converged(4) })
	took := time.Since(back)
	end := <-deployed
	pause(time.Second) // late failures are failures too
	got := load.stop()

	d, err := c.deployment(rollingService)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s; %s after %s; deploy: %v; %d requests, %d failed for %s", d.GetStatus().GetPhase(), d.GetStatus().GetCause(), took.Round(time.Millisecond), end.err, got.Requests, got.Failed, got.Troubled)
	if d.GetStatus().GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED && end.err != nil {
		t.Errorf("the deployment succeeded and deploy says: %v", end.err)
	}
	if took > 10*time.Second {
		t.Errorf("converged only %s after the part came back", took)
	}
	if got.Requests < 200 {
		t.Errorf("only %d requests: nothing was shown", got.Requests)
	}
	if got.Failed > 0 && (p.trouble == 0 || got.Troubled > p.trouble) {
		t.Errorf("%d of %d requests failed for %s, allowed %s:\n%s", got.Failed, got.Requests, got.Troubled, p.trouble, got.failures())
	}
}

// deployUntil deploys the next revision and waits for the moment. A deployment that
// was through it before it was seen is followed by another.
func (r *rolled) deployUntil(t *testing.T, m moment) <-chan outcome {
	const tries = 5
	for range tries {
		deployed := r.c.background(r.next()...)
		there := false
		eventually(t, 30*time.Second, m.name, func() (err error) {
			there, err = r.at(m)
			return err
		})
		if there {
			return deployed
		}
		if end := <-deployed; end.err != nil {
			t.Fatal(end.err)
		}
	}
	t.Fatalf("%d deployments were never seen %s", tries, m.name)
	return nil
}

// at tells whether the newest deployment is at the moment; an error means neither
// that nor ended.
func (r *rolled) at(m moment) (bool, error) {
	d, err := r.c.deployment(rollingService)
	if err != nil {
		return false, err
	}
	if d.GetSpec().GetRevision() != uint64(r.revision) {
		return false, fmt.Errorf("revision %d is not yet being deployed", r.revision)
	}
	rows, err := r.c.rows(rollingService)
	if err != nil || ended(d) {
		return false, err
	}
	if !m.there(d, rows) {
		return false, fmt.Errorf("not %s: %s", m.name, d.GetStatus().GetPhase())
	}
	return true, nil
}

func ended(d *runwayv1.Deployment) bool { return d.GetStatus().GetEndedAt() != nil }

// converged returns an error until the deployment has ended as it may, and its
// replicas alone are left, all of one revision and serving.
func (r *rolled) converged(count int) error {
	d, err := r.c.deployment(rollingService)
	if err != nil {
		return err
	}
	want := d.GetSpec().GetRevision()
	switch phase := d.GetStatus().GetPhase(); phase {
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED:
	case runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK:
		want = d.GetSpec().GetPreviousRevision()
	default:
		return fmt.Errorf("deployment is %s", phase)
	}
	rows, err := r.c.rows(rollingService)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.GetRevision() != want || !row.GetStatus().GetReady() || !row.GetRouting().GetServing() {
			return fmt.Errorf("replica %s of revision %d: %s %s", row.GetId(), row.GetRevision(), row.GetStatus().GetPhase(), row.GetPlan().GetGoal())
		}
	}
	if slices.Contains(r.c.containers(0), r.orphan) {
		return fmt.Errorf("%s runs on without its shim", r.orphan)
	}
	if len(rows) != count {
		return fmt.Errorf("%d replicas, want %d", len(rows), count)
	}
	return r.c.complete(2, 2)
}

func (r *rolled) killed(p *process) *process {
	r.c.t.Helper()
	p.kill9(r.c.t)
	return p
}

// killShim ends the shim of the newest replica that has a process on the first node.
func (r *rolled) killShim() {
	c := r.c
	c.t.Helper()
	rows, err := c.rows(rollingService)
	if err != nil {
		c.t.Fatal(err)
	}
	slices.SortFunc(rows, func(a, b *runwayv1.Replica) int {
		return int(b.GetMeta().GetCreatedIndex()) - int(a.GetMeta().GetCreatedIndex())
	})
	containers := c.containers(0)
	for _, row := range rows {
		i := slices.IndexFunc(containers, func(container string) bool { return strings.HasPrefix(container, row.GetId()) })
		if i < 0 {
			continue
		}
		shim, err := parentOf(strings.Fields(containers[i])[1])
		if err == nil {
			err = syscall.Kill(shim, syscall.SIGKILL)
		}
		if err != nil {
			c.t.Fatalf("kill the shim of %s: %v", containers[i], err)
		}
		r.orphan = containers[i]
		return
	}
	c.t.Fatal("no replica runs on the first node")
}

// parentOf returns the parent of a process, which must be a shim.
func parentOf(pid string) (int, error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	name, err := os.ReadFile("/proc/" + fields[1] + "/comm")
	if err != nil || !strings.HasPrefix(string(name), "containerd-shim") {
		return 0, fmt.Errorf("parent %s is %q, no shim: %w", fields[1], name, err)
	}
	return strconv.Atoi(fields[1])
}
