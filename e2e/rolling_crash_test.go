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
	name string
	// environment of what is deployed makes the moment long enough to be met.
	environment func() string
	// slow is how many requests of each kind of client are slow, all the time.
	slow int
	// concerns tells whether it is the moment, and the replica is what it is about.
	concerns func(*runwayv1.Deployment, *runwayv1.Replica) bool
	// held tells afterwards whether a kill met the moment.
	held func(kill) bool
	// undone says that the deployment cannot succeed.
	undone bool
}

// kill is one kill, and what is known of it afterwards.
type kill struct {
	at time.Time
	// ran says that the replica had a process just after the kill.
	ran        bool
	deployment *runwayv1.Deployment
	replica    *runwayv1.Replica // nil when it is gone
}

func (k kill) beforeTheEnd() bool { return k.deployment.GetStatus().GetEndedAt().AsTime().After(k.at) }

var moments = []moment{
	{
		name: "while new replicas start", environment: always("START: 500ms\n"),
		concerns: func(d *runwayv1.Deployment, r *runwayv1.Replica) bool {
			return r.GetDeployment() == d.GetId() && !r.GetStatus().GetReady()
		},
		held: func(k kill) bool { return k.replica == nil || k.replica.GetStatus().GetReadyAt().AsTime().After(k.at) },
	},
	{
		name: "while both revisions serve", environment: always("START: 200ms\n"),
		concerns: func(d *runwayv1.Deployment, r *runwayv1.Replica) bool {
			return r.GetDeployment() == d.GetId() && r.GetRouting().GetServing()
		},
		held: kill.beforeTheEnd,
	},
	{
		name: "while old replicas drain", environment: always(""), slow: 4,
		concerns: func(d *runwayv1.Deployment, r *runwayv1.Replica) bool {
			return r.GetDeployment() != d.GetId() && r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_DRAIN
		},
		held: func(k kill) bool { return k.ran },
	},
	{
		name: "while it is undone", environment: halfWay,
		concerns: func(d *runwayv1.Deployment, r *runwayv1.Replica) bool {
			return r.GetDeployment() == d.GetId() && d.GetStatus().GetPhase() == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING
		},
		held: kill.beforeTheEnd, undone: true,
	},
}

func always(environment string) func() string { return func() string { return environment } }

// halfWay is a revision of which the first replica works and the others do not.
func halfWay() string {
	const start = 2 * time.Second // the first begins before it is over, the second after
	from := time.Now().Add(start).Format(time.RFC3339Nano)
	return fmt.Sprintf("START: %s\nBREAK: exit\nBREAK_FROM: %q\n", start, from)
}

// part is what is killed. trouble is how long requests may fail for.
type part struct {
	name string
	// kill returns what is to be started again, and whether there was anything to kill.
	kill    func(*rolled, *runwayv1.ReplicaView) (*process, bool)
	trouble time.Duration
}

var crashParts = []part{
	{"coordinator", func(r *rolled, _ *runwayv1.ReplicaView) (*process, bool) { return r.killed("coordinator") }, 0},
	{"agent", func(r *rolled, v *runwayv1.ReplicaView) (*process, bool) { return r.killed(v.GetNodeName()) }, 0},
	{"ingress", func(r *rolled, _ *runwayv1.ReplicaView) (*process, bool) { return r.killed("i1") }, 0},
	{"containerd", func(r *rolled, v *runwayv1.ReplicaView) (*process, bool) {
		return r.killed("containerd-" + v.GetNodeName())
	}, 5 * time.Second},
	{"shim", func(r *rolled, v *runwayv1.ReplicaView) (*process, bool) {
		return nil, r.killShim(v.GetReplica().GetId())
	}, 5 * time.Second},
}

// kill -9 of each part in each phase of a deployment under load, on the node of the
// replica that the phase is about: no request fails on the ingress that lives, and the
// deployment ends as succeeded or undone. A kill that came late is made again.
//
// RELIABILITY rows A1, B1, B3, B4 and C5 are the parts in their order.
func TestRolling_PartKilledDuringADeployment(t *testing.T) {
	const tries = 5
	c := newCluster(t, 2, 2)
	service := newRolled(c, crashReplicas)
	for _, p := range crashParts {
		for _, m := range moments {
			t.Run(p.name+" "+m.name, func(t *testing.T) {
				for range tries {
					if service.in(t).crash(t, p, m) || t.Failed() {
						return
					}
				}
				t.Errorf("%d kills all missed the moment", tries)
			})
		}
	}
}

// crashReplicas are as few as need two steps, one on each node.
const crashReplicas = 2

// crash is one kill in one deployment. It returns whether the kill met the moment.
func (r *rolled) crash(t *testing.T, p part, m moment) bool {
	load := r.c.startClientsWith(beside{slow: max(1, m.slow)}, 300, r.c.edges[1])
	view, deployed := r.deployUntil(t, m)
	victim, there := p.kill(r, view)
	k := kill{at: time.Now(), ran: r.runs(view.GetReplica().GetId())}
	if victim != nil {
		pause(missed)
		victim.run(t)
	}
	back := time.Now()
	eventually(t, 30*time.Second, "converged", func() error { return r.converged(crashReplicas) })
	took := time.Since(back)
	end := <-deployed
	pause(time.Second) // late failures are failures too
	got := load.stop()

	r.look(&k, view)
	phase := k.deployment.GetStatus().GetPhase()
	landed := there && m.held(k)
	t.Logf("met: %t; %s after %s; %d requests, %d failed for %s", landed, phase, took.Round(time.Millisecond), got.Requests, got.Failed, got.Troubled)
	if succeeded := phase == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED; succeeded != (end.err == nil) || succeeded && m.undone {
		t.Errorf("the deployment is %s and deploy says: %v", phase, end.err)
	}
	if took > comesBack {
		t.Errorf("converged only %s after the part came back", took)
	}
	if got.Requests < 200 {
		t.Errorf("only %d requests: nothing was shown", got.Requests)
	}
	if got.Failed > 0 && (p.trouble == 0 || got.Troubled > p.trouble) {
		t.Errorf("%d of %d requests failed for %s, allowed %s:\n%s", got.Failed, got.Requests, got.Troubled, p.trouble, got.failures())
	}
	return landed
}

// look reads what became of the deployment and of the replica.
func (r *rolled) look(k *kill, view *runwayv1.ReplicaView) {
	r.c.t.Helper()
	rows, err := r.c.rows(rollingService)
	if err == nil {
		k.deployment, err = r.c.deployment(rollingService)
	}
	if err != nil {
		r.c.t.Fatal(err)
	}
	if i := slices.IndexFunc(rows, func(row *runwayv1.Replica) bool { return row.GetId() == view.GetReplica().GetId() }); i >= 0 {
		k.replica = rows[i]
	}
}

// deployUntil deploys the next revision and waits for the moment, whose replica it
// returns. A deployment that was through it before it was seen is followed by another.
func (r *rolled) deployUntil(t *testing.T, m moment) (*runwayv1.ReplicaView, <-chan outcome) {
	const tries = 5
	for range tries {
		deployed := r.c.background(r.nextOf(m.environment())...)
		var there *runwayv1.ReplicaView
		eventually(t, 30*time.Second, m.name, func() (err error) {
			there, err = r.at(m)
			return err
		})
		if there != nil {
			return there, deployed
		}
		if end := <-deployed; end.err != nil && !m.undone {
			t.Fatal(end.err)
		}
	}
	t.Fatalf("%d deployments were never seen %s", tries, m.name)
	return nil, nil
}

// at returns the replica that the moment is about, nil when the newest deployment has
// ended; an error means neither.
func (r *rolled) at(m moment) (*runwayv1.ReplicaView, error) {
	d, err := r.c.deployment(rollingService)
	if err != nil {
		return nil, err
	}
	if d.GetSpec().GetRevision() != uint64(r.revision) {
		return nil, fmt.Errorf("revision %d is not yet being deployed", r.revision)
	}
	views, err := r.c.replicas(rollingService)
	if err != nil || ended(d) {
		return nil, err
	}
	i := slices.IndexFunc(views, func(v *runwayv1.ReplicaView) bool { return m.concerns(d, v.GetReplica()) })
	if i < 0 {
		return nil, fmt.Errorf("not %s: %s", m.name, d.GetStatus().GetPhase())
	}
	return views[i], nil
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
		rows, _ := r.c.rows(rollingService)
		return fmt.Errorf("deployment is %s: %v; replicas %v", phase, d, rows)
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
	if slices.Contains(r.c.everyContainer(), r.orphan) {
		return fmt.Errorf("%s runs on without its shim", r.orphan)
	}
	if len(rows) != count {
		return fmt.Errorf("%d replicas, want %d", len(rows), count)
	}
	return r.c.complete(2, 2)
}

// killed ends a process of the lab, to be started again.
func (r *rolled) killed(name string) (*process, bool) {
	r.c.t.Helper()
	p := r.c.named(name)
	p.kill9(r.c.t)
	return p, true
}

// runs tells whether a replica has a process, by the kernel's word.
func (r *rolled) runs(id string) bool { return r.container(id) != "" }

// container is the running container of a replica, as containers has it, or "".
func (r *rolled) container(id string) string {
	containers := r.c.everyContainer()
	i := slices.IndexFunc(containers, func(container string) bool { return strings.HasPrefix(container, id) })
	if i < 0 {
		return ""
	}
	return containers[i]
}

// killShim ends the shim of a replica, once it has one. It returns false when the
// replica was faster.
func (r *rolled) killShim(id string) bool {
	c := r.c
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); pause(5 * time.Millisecond) {
		container := r.container(id)
		if container == "" {
			continue
		}
		shim, err := parentOf(strings.Fields(container)[1])
		if err != nil {
			continue // the process is being made, or has just ended
		}
		if err := syscall.Kill(shim, syscall.SIGKILL); err != nil {
			c.t.Fatalf("kill the shim of %s: %v", container, err)
		}
		r.orphan = container
		return true
	}
	return false
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
