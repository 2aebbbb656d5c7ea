package reaper

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	serve   = runwayv1.Goal_GOAL_SERVE
	drain   = runwayv1.Goal_GOAL_DRAIN
	stop    = runwayv1.Goal_GOAL_STOP
	running = runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING
	failed  = runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
	stopped = runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED
)

// rig has "web" with r1 on n1 and r2 on n2, of which one is wanted.
type rig struct {
	*coordinatortest.State
	t       *testing.T
	planner planner
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, planner: planner{guard: loop.NewGuard("reaper", slog.New(slog.DiscardHandler))}}
	replica := func(id, node string) *runwayv1.Replica {
		made := coordinatortest.Replica(id, "web", 1, node, 20000)
		made.Deployment = "d1"
		return made
	}
	r.State = coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.RegisterNode("n2"),
		coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 1), coordinatortest.Assign(replica("r1", "n1"), replica("r2", "n2")))
	return r
}

func (r *rig) end(phase runwayv1.DeploymentPhase) {
	r.Must(r.t, &runwayv1.SetDeploymentStatus{Deployment: "d1", Status: &runwayv1.DeploymentStatus{Phase: phase},
		ModifiedIndex: r.View().Deployment("d1").GetMeta().GetModifiedIndex()})
}

func (r *rig) goal(id string, goal runwayv1.Goal) {
	r.Must(r.t, &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: id, Goal: goal, Reason: "more replicas than wanted"}}})
}

func (r *rig) report(id string, phase runwayv1.ReplicaPhase, c code.Code) {
	report := coordinatortest.Report("n"+id[1:], id, phase)
	if c != "" {
		report.Reports[0].Status.Cause = &runwayv1.Cause{Code: string(c)}
	}
	r.Must(r.t, report)
}

func (r *rig) look() []proto.Message { return r.planner.plan(r.View(), time.Now()) }

func TestNextGoal(t *testing.T) {
	succeeded := func(r *rig) { r.end(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED) }
	nodeDown := func(r *rig) {
		r.Must(r.t, &runwayv1.SetNodePhase{Node: "n1", Phase: runwayv1.NodePhase_NODE_PHASE_DOWN})
	}
	// next lets a replica serve of a revision that is whole with size of them.
	next := func(r *rig, size uint32) {
		spec := coordinatortest.Spec()
		spec.Scale = &runwayv1.ScalePolicy{Min: size, Max: size}
		r.Must(r.t, coordinatortest.Deploy("d2", "web", spec, 1), coordinatortest.Assign(coordinatortest.Replica("r3", "web", 2, "n2", 20001)),
			coordinatortest.Report("n2", "r3", running), &runwayv1.ConfirmRoutes{Serving: []string{"r3"}})
	}
	for _, row := range []struct {
		name    string
		prepare func(*rig)
		goal    runwayv1.Goal
		reason  string
	}{
		{"serves on", func(r *rig) { r.report("r1", running, "") }, serve, ""},
		{"drains until it has drained", func(r *rig) { r.goal("r1", drain) }, drain, ""},
		{"stops once it has", func(r *rig) {
			r.goal("r1", drain)
			r.Must(r.t, &runwayv1.ConfirmRoutes{Drained: []string{"r1"}})
		}, stop, "more replicas than wanted"},
		{"the service is deleted", func(r *rig) {
			r.Must(r.t, &runwayv1.DeleteWorkload{Workload: coordinatortest.Key("web"), By: "test"})
		}, drain, "the service is deleted"},
		{"failed while its deployment still judges", func(r *rig) { r.report("r1", failed, code.ProbeFailed) }, serve, ""},
		{"failed at rest", func(r *rig) { succeeded(r); r.report("r1", failed, code.ProbeFailed) }, drain, "it ended"},
		{"stopped without being asked", func(r *rig) { succeeded(r); r.report("r1", stopped, "") }, drain, "it ended"},
		{"its port is not its own", func(r *rig) { r.report("r1", failed, code.NodePortTaken) }, drain, "its node port is in use by somebody else"},
		{"its node is down and nothing replaced it", func(r *rig) { nodeDown(r) }, serve, ""},
		{"its node is down and its replacement is only starting", func(r *rig) { nodeDown(r); r.report("r2", running, "") }, serve, ""},
		{"its node is down and its replacement serves", func(r *rig) {
			nodeDown(r)
			r.report("r2", running, "")
			r.Must(r.t, &runwayv1.ConfirmRoutes{Serving: []string{"r2"}})
		}, drain, "its node was down and it was replaced"},
		{"its node is down and a third of a larger set serves", func(r *rig) { nodeDown(r); next(r, 3) }, serve, ""},
		{"its node is down and a smaller set serves whole", func(r *rig) {
			r.Must(r.t, &runwayv1.SetWanted{Workload: coordinatortest.Key("web"), Region: coordinatortest.Region, Count: 3, Writer: "alice"})
			nodeDown(r)
			next(r, 1)
		}, drain, "its node was down and it was replaced"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			row.prepare(r)
			goal, reason := nextGoal(r.View(), r.View().Replica("r1"))
			if goal != row.goal || reason != row.reason {
				t.Errorf("got %v %q, want %v %q", goal, reason, row.goal, row.reason)
			}
		})
	}
}

func TestPurgeable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		holds := func(want bool, when string) {
			t.Helper()
			if got := purgeable(r.View(), r.View().Replica("r1"), time.Now()); got != want {
				t.Errorf("%s: got %v, want %v", when, got, want)
			}
		}
		holds(false, "pending")
		r.goal("r1", stop)
		r.report("r1", stopped, code.NodePortTaken)
		holds(false, "stopped, its port not released")
		time.Sleep(keepFailed) // virtual
		holds(false, "long after, its port still not released")
		r.Must(t, &runwayv1.ConfirmRoutes{Released: []string{"r1"}})
		holds(false, "released, and its port was refused a moment ago")
		time.Sleep(keepFailed + time.Second) // virtual
		holds(true, "released, and long ago")
	})
}

func TestPurgeable_WorkerWaitsForNoIngress(t *testing.T) {
	worker := coordinatortest.Spec()
	worker.ContainerPort, worker.Public, worker.Internal = 0, false, false
	s := coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.RegisterIngress("lost"),
		coordinatortest.Deploy("d1", "worker", worker, 1), coordinatortest.Assign(coordinatortest.Replica("r1", "worker", 1, "n1", 0)),
		coordinatortest.Report("n1", "r1", stopped))
	if !purgeable(s.View(), s.View().Replica("r1"), time.Now()) {
		t.Error("a stopped worker that nothing routes to is kept")
	}
}

func TestPlan_DismantlesADeletedService(t *testing.T) {
	r := newRig(t)
	r.Must(t, &runwayv1.DeleteWorkload{Workload: coordinatortest.Key("web"), By: "test"})
	for range 10 {
		for _, command := range r.look() {
			r.Must(t, command)
		}
		for _, replica := range r.View().Replicas() {
			r.Must(t, &runwayv1.ConfirmRoutes{Drained: []string{replica.GetId()}, Released: []string{replica.GetId()}})
			if replica.GetPlan().GetGoal() == stop {
				r.report(replica.GetId(), stopped, code.CrashLoop)
			}
		}
	}
	if w := r.View().Workload(coordinatortest.ID("web")); w != nil {
		t.Errorf("left of the service: %v, %v", w, r.View().Replicas())
	}
}

// A node that was removed takes its replicas' rows with it: nothing refers to them.
func TestPlan_RemovedNodeLeavesNothingToReap(t *testing.T) {
	r := newRig(t)
	r.end(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED)
	r.goal("r1", drain)
	r.Must(t, &runwayv1.RemoveNode{Node: "n1"})
	if commands := r.look(); len(commands) != 0 {
		t.Errorf("got %v, want nothing to do", commands)
	}
}

// What is to go counts on those that stay: somebody else may let them go meanwhile.
func TestPlan_ReplacedOneGoesOnlyWhileItsReplacementServes(t *testing.T) {
	r := newRig(t)
	r.end(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED)
	for _, id := range []string{"r1", "r2"} {
		r.report(id, running, "")
	}
	r.Must(t, &runwayv1.ConfirmRoutes{Serving: []string{"r1", "r2"}}, &runwayv1.SetNodePhase{Node: "n1", Phase: runwayv1.NodePhase_NODE_PHASE_DOWN})
	commands := r.look()
	r.Must(t, coordinatortest.RegisterNode("n1")) // r1 serves again
	r.goal("r2", drain)
	for _, c := range commands {
		if result, err := r.Apply(t.Context(), c); err != nil || len(coordinatortest.Refused(result)) != 1 {
			t.Errorf("%v: got %v, %v, want it refused", c, result.Value, err)
		}
	}
	if got := r.View().Replica("r1").GetPlan().GetGoal(); len(commands) != 1 || got != serve {
		t.Errorf("%d commands, and the last one that serves is to %v", len(commands), got)
	}
}
