package deployment

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestReplicaFailure(t *testing.T) {
	status := func(phase runwayv1.ReplicaPhase, attempt uint32, wasReady bool, c code.Code) *runwayv1.ReplicaStatus {
		s := &runwayv1.ReplicaStatus{Phase: phase, Attempt: attempt, ExitCode: 3}
		if wasReady {
			s.ReadyAt = timestamppb.New(coordinatortest.Epoch)
		}
		if c != "" {
			s.Cause = &runwayv1.Cause{Code: string(c), Summary: "said by the agent"}
		}
		return s
	}
	const (
		running = runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING
		failed  = runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
		stopped = runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED
		serve   = runwayv1.Goal_GOAL_SERVE
	)
	for _, row := range []struct {
		name   string
		status *runwayv1.ReplicaStatus
		goal   runwayv1.Goal
		want   code.Code
	}{
		{"runs", status(running, 0, true, ""), serve, ""},
		{"failed with a cause", status(failed, 0, false, code.ExitedDuringStart), serve, code.ExitedDuringStart},
		{"failed before and was asked to go", status(failed, 0, false, code.ExitedDuringStart), runwayv1.Goal_GOAL_DRAIN, ""},
		{"its port was refused", status(failed, 0, false, code.NodePortTaken), serve, ""},
		{"ended without a cause", status(stopped, 0, false, ""), serve, ""},
		{"restarted once", status(running, 1, true, ""), serve, ""},
		{"restarted twice after it was ready", status(running, 2, true, ""), serve, code.CrashLoop},
		{"restarted twice and the agent knows why", status(running, 2, true, code.OutOfMemory), serve, code.OutOfMemory},
		{"restarted twice during its start: the agent judges", status(running, 2, false, ""), serve, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := replicaFailure(&runwayv1.Replica{Id: "r1", Plan: &runwayv1.ReplicaPlan{Goal: row.goal}, Status: row.status})
			if got.GetCode() != string(row.want) {
				t.Errorf("got %v, want %q", got, row.want)
			}
		})
	}
	got := replicaFailure(&runwayv1.Replica{Id: "r1", Plan: &runwayv1.ReplicaPlan{Goal: serve}, Status: status(running, 2, true, "")})
	if want := "replica r1 was restarted 2 times, last exit code 3"; got.GetSummary() != want {
		t.Errorf("summary: got %q, want %q", got.GetSummary(), want)
	}
}

// Whatever an agent gives a replica up for reaches the deployment as it is, but for what
// is the machine's fault.
func TestReplicaFailure_KeepsEveryCause(t *testing.T) {
	for _, entry := range code.All() {
		said := &runwayv1.Cause{Code: string(entry.Code), Summary: "said by the agent", Evidence: []string{"sockets: nothing", "log: no database"}}
		got := replicaFailure(&runwayv1.Replica{
			Plan:   &runwayv1.ReplicaPlan{Goal: runwayv1.Goal_GOAL_SERVE},
			Status: &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED, Cause: said},
		})
		if want := entry.Code != code.NodePortTaken; want != proto.Equal(got, said) {
			t.Errorf("%s: got %v", entry.Code, got)
		}
	}
}

// rig is a state with one deployment that rolls, and the planner.
type rig struct {
	*coordinatortest.State
	t       *testing.T
	planner planner
}

func newRig(t *testing.T, wanted uint32) *rig {
	r := &rig{t: t, planner: planner{guard: loop.NewGuard("deployment", slog.New(slog.DiscardHandler))}}
	r.State = coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.RegisterIngress("i1"),
		coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), wanted))
	r.look()
	return r
}

// look does what the planner wants until it wants nothing.
func (r *rig) look() *runwayv1.DeploymentStatus {
	r.t.Helper()
	for range 10 {
		commands := r.planner.plan(r.View(), time.Now())
		if len(commands) == 0 {
			return r.View().Deployment("d1").GetStatus()
		}
		r.Must(r.t, commands...)
	}
	r.t.Fatal("the planner never rests")
	return nil
}

func (r *rig) replica(id string, port uint32) {
	replica := coordinatortest.Replica(id, "web", 1, "n1", port)
	replica.Deployment = "d1"
	r.Must(r.t, coordinatortest.Assign(replica))
}

func (r *rig) unplaced(summary string) {
	r.Must(r.t, &runwayv1.AssignReplicas{Problems: []*runwayv1.PlacementProblem{{
		Workload: coordinatortest.Key("web"), Region: coordinatortest.Region, Count: 1,
		Cause: &runwayv1.Cause{Code: string(code.Unplaceable), Summary: summary},
	}}})
}

func TestUnplaceable_FailsAfterTheGraceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.Must(t, &runwayv1.SetNodeSpec{Node: "n1", Spec: &runwayv1.NodeSpec{Cordoned: true}})
		r.unplaced("no node fits web")
		time.Sleep(unplaceableGrace) // virtual
		if got := r.look(); got.GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING {
			t.Errorf("within the grace: got %v", got)
		}
		time.Sleep(time.Second) // virtual
		got := r.look()
		if got.GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED || got.GetCause().GetSummary() != "no node fits web" {
			t.Errorf("after the grace: got %v", got)
		}
	})
}

func TestUnplaceable_WaitsForReplicasThatMayMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.replica("r1", 20000)
		r.unplaced("no node fits web")
		time.Sleep(time.Minute) // virtual
		if got := r.look(); got.GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING {
			t.Errorf("while one starts: got %v, want rolling", got)
		}
	})
}

// Room that a replica of anybody gives back when it has stopped is waited for.
func TestUnplaceable_WaitsForRoomThatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		large := coordinatortest.Spec()
		large.Resources.MemoryBytes = 8 << 30 // the whole node
		r.Must(t, coordinatortest.Deploy("other", "other", large, 1))
		full := coordinatortest.Replica("full", "other", 1, "n1", 20000)
		r.Must(t, coordinatortest.Assign(full), &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: "full", Goal: runwayv1.Goal_GOAL_DRAIN}}})
		r.unplaced("no node fits web")
		time.Sleep(time.Minute) // virtual
		if got := r.look(); got.GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING {
			t.Errorf("while one drains: got %v, want rolling", got)
		}
		time.Sleep(progressDeadline) // virtual
		if got := r.look().GetCause(); got.GetCode() != string(code.DeploymentDeadline) || !slices.Contains(got.GetEvidence(), "no node fits web") {
			t.Errorf("when it never stops: got %v, want the deadline and what it waits for", got)
		}
	})
}

// A replica that comes and goes is no progress: the deadline is reached all the same.
func TestDeadline_IsReachedByASetThatComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.replica("r1", 20000)
		r.replica("r2", 20001)
		r.Must(t, coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING))
		for range 20 {
			r.Must(t, &runwayv1.ConfirmRoutes{Serving: []string{"r1"}})
			r.look()
			time.Sleep(time.Minute) // virtual
			r.Must(t, &runwayv1.ConfirmRoutes{NotServing: []string{"r1"}})
			r.look()
		}
		got := r.look()
		if got.GetCause().GetCode() != string(code.DeploymentDeadline) {
			t.Fatalf("after 20 minutes: got %v, want the deadline", got)
		}
	})
}

func TestStuck_SaysWhatEachReplicaWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 4)
		for i, id := range []string{"r1", "r2", "r3", "r4"} {
			r.replica(id, uint32(20000+i))
		}
		r.Must(t, coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING), &runwayv1.ConfirmRoutes{Serving: []string{"r1"}})
		r.Must(t, coordinatortest.Report("n1", "r2", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING))
		slow := coordinatortest.Report("n1", "r3", runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING)
		slow.Reports[0].Status.Cause = &runwayv1.Cause{Code: string(code.ProbeFailed), Summary: "GET / 503"}
		r.Must(t, slow)
		r.look()
		time.Sleep(progressDeadline + time.Second) // virtual
		got := r.look().GetCause()
		want := &runwayv1.Cause{
			Code:    string(code.DeploymentDeadline),
			Summary: "no progress for 10m0s: 1 of 4 replicas serve",
			Fix:     code.DeploymentDeadline.Fix(),
			Evidence: []string{
				"replica r2 is ready, and not yet confirmed by every live ingress",
				"replica r3 is not ready: GET / 503",
				"replica r4 is not ready",
			},
		}
		if !proto.Equal(got, want) {
			t.Errorf("got\n%v\nwant\n%v", got, want)
		}
	})
}

// defect is a strategy that trips.
type defect struct{}

func (defect) Plan(View) []Step { panic("nil pointer") }

// One deployment that trips the controller is passed over and said so; the others
// go on.
func TestPlan_PoisonWorkloadLeavesTheOthersAlone(t *testing.T) {
	strategies["defect"] = defect{}
	defer delete(strategies, "defect")
	bad := coordinatortest.Deploy("d1", "bad", coordinatortest.Spec(), 1)
	bad.Strategy = "defect"
	s := coordinatortest.NewState(t, bad, coordinatortest.Deploy("d2", "good", coordinatortest.Spec(), 1))
	p := planner{guard: loop.NewGuard("deployment", slog.New(slog.DiscardHandler))}
	commands := p.plan(s.View(), time.Now())
	if len(commands) != 2 {
		t.Fatalf("got %v, want the good deployment's command and an event", commands)
	}
	if got := commands[0].(*runwayv1.SetDeploymentStatus).GetDeployment(); got != "d2" {
		t.Errorf("moved on: %s, want d2", got)
	}
	event := commands[1].(*runwayv1.RecordEvents).GetEvents()[0]
	if event.GetWorkload().GetService() != "bad" || !strings.Contains(event.GetMessage(), "nil pointer") {
		t.Errorf("said %v", event)
	}
}

// What keeps a new name from being served is the cause of the failure, not only that
// time passed.
func TestDeadline_NamesTheCertificateThatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.replica("r1", 20000)
		r.Must(t, coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING), &runwayv1.ReportIngress{
			Ingress: "i1", Problems: []*runwayv1.RouteProblem{{
				Workload: coordinatortest.Key("web"), Host: "web.example.com", Cause: &runwayv1.Cause{Code: string(code.CertificateFailed), Summary: "no authority"},
			}},
		})
		r.look()
		time.Sleep(progressDeadline + time.Second) // virtual
		got := r.look().GetCause()
		if want := "ingress i1 does not serve web.example.com: no authority"; got.GetCode() != string(code.CertificateFailed) || !slices.Contains(got.GetEvidence(), want) {
			t.Errorf("got %v, want RW-4101 with %q", got, want)
		}
	})
}
