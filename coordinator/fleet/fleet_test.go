package fleet_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	. "github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// world has one replica of "web" on node n1, changed as told.
func world(t *testing.T, spec *runwayv1.RevisionSpec, change ...func(*coordinatortest.State)) (*state.View, *runwayv1.Replica) {
	t.Helper()
	port := uint32(20000)
	if spec.GetContainerPort() == 0 {
		port = 0
	}
	s := coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.Deploy("d1", "web", spec, 1),
		coordinatortest.Assign(coordinatortest.Replica("r1", "web", 1, "n1", port)))
	for _, f := range change {
		f(s)
	}
	return s.View(), s.View().Replica("r1")
}

func apply(t *testing.T, payload ...any) func(*coordinatortest.State) {
	return func(s *coordinatortest.State) {
		for _, p := range payload {
			switch p := p.(type) {
			case *runwayv1.ReportReplicas:
				s.Must(t, p)
			case *runwayv1.SetReplicaGoals:
				s.Must(t, p)
			case *runwayv1.SetNodePhase:
				s.Must(t, p)
			case *runwayv1.ConfirmRoutes:
				s.Must(t, p)
			default:
				t.Fatalf("unexpected %T", p)
			}
		}
	}
}

func TestCountsAndServes(t *testing.T) {
	ready := coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING)
	confirmed := &runwayv1.ConfirmRoutes{Serving: []string{"r1"}}
	phase := func(p runwayv1.NodePhase) *runwayv1.SetNodePhase { return &runwayv1.SetNodePhase{Node: "n1", Phase: p} }
	drain := &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: "r1", Goal: runwayv1.Goal_GOAL_DRAIN}}}
	worker := coordinatortest.Spec()
	worker.ContainerPort, worker.Public, worker.Internal = 0, false, false
	for _, row := range []struct {
		name           string
		spec           *runwayv1.RevisionSpec
		change         []any
		counts, serves bool
	}{
		{"placed only", nil, nil, true, false},
		{"ready, not confirmed", nil, []any{ready}, true, false},
		{"ready and confirmed", nil, []any{ready, confirmed}, true, true},
		{"worker needs no route", worker, []any{ready}, true, true},
		{"on a suspect node", nil, []any{ready, confirmed, phase(runwayv1.NodePhase_NODE_PHASE_SUSPECT)}, true, false},
		{"on a node that is down", nil, []any{ready, confirmed, phase(runwayv1.NodePhase_NODE_PHASE_DOWN)}, false, false},
		{"draining", nil, []any{ready, confirmed, drain}, false, false},
		{"failed", nil, []any{coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED)}, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			spec := row.spec
			if spec == nil {
				spec = coordinatortest.Spec()
			}
			view, r := world(t, spec, apply(t, row.change...))
			if got := Counts(view, r); got != row.counts {
				t.Errorf("Counts: got %v, want %v", got, row.counts)
			}
			if got := Serves(view, r); got != row.serves {
				t.Errorf("Serves: got %v, want %v", got, row.serves)
			}
		})
	}
}

func TestMayBeRouted(t *testing.T) {
	drain := &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: "r1", Goal: runwayv1.Goal_GOAL_DRAIN}}}
	worker := coordinatortest.Spec()
	worker.ContainerPort, worker.Public, worker.Internal = 0, false, false
	for _, row := range []struct {
		name   string
		spec   *runwayv1.RevisionSpec
		change []any
		want   bool
	}{
		{"confirmed", coordinatortest.Spec(), []any{&runwayv1.ConfirmRoutes{Serving: []string{"r1"}}}, true},
		{"told to go before anybody confirmed", coordinatortest.Spec(), []any{drain}, true},
		{"given up by all", coordinatortest.Spec(), []any{drain, &runwayv1.ConfirmRoutes{Unrouted: []string{"r1"}}}, false},
		{"drained, as older versions wrote it", coordinatortest.Spec(), []any{drain, &runwayv1.ConfirmRoutes{Drained: []string{"r1"}}}, false},
		{"a worker has no route", worker, []any{drain}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if view, r := world(t, row.spec, apply(t, row.change...)); MayBeRouted(view, r) != row.want {
				t.Errorf("%v: got %v, want %v", r.GetRouting(), !row.want, row.want)
			}
		})
	}
}

func TestBaseOf_OutlivesTheHistoryOfDeployments(t *testing.T) {
	s := coordinatortest.NewState(t, coordinatortest.Deploy("d00", "web", coordinatortest.Spec(), 1))
	base := func() *Base { return BaseOf(s.View(), s.View().Workload(coordinatortest.ID("web"))) }
	if got := base(); got != nil {
		t.Errorf("before the first success: got %v, want none", got)
	}
	end := func(id string, phase runwayv1.DeploymentPhase) {
		s.Must(t, &runwayv1.SetDeploymentStatus{Deployment: id, Status: &runwayv1.DeploymentStatus{Phase: phase},
			ModifiedIndex: s.View().Deployment(id).GetMeta().GetModifiedIndex()})
	}
	end("d00", runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED)
	if got := base(); got == nil || *got != (Base{Revision: 1, Deployment: "d00"}) {
		t.Errorf("after the first success: got %v", got)
	}
	for i := range state.DeploymentsKept + 1 {
		id := "f" + string(rune('a'+i))
		s.Must(t, coordinatortest.Deploy(id, "web", coordinatortest.Spec(), 1))
		end(id, runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED)
	}
	if got := base(); got == nil || *got != (Base{Revision: 1}) {
		t.Errorf("after more failures than the history keeps: got %v, want revision 1 all the same", got)
	}
}

func TestPortRefused(t *testing.T) {
	for c, want := range map[code.Code]bool{code.NodePortTaken: true, code.ImageNotFound: false, "": false} {
		r := &runwayv1.Replica{Status: &runwayv1.ReplicaStatus{Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED, Cause: &runwayv1.Cause{Code: string(c)}}}
		if got := PortRefused(r); got != want {
			t.Errorf("PortRefused(%q): got %v, want %v", c, got, want)
		}
	}
}

// What leaves and what has come make up for each other: never less than the whole.
func TestShare_IsNeverTooLittleAndEndsAtNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		outgoing, incoming := rapid.IntRange(0, 200).Draw(t, "outgoing"), rapid.IntRange(1, 200).Draw(t, "incoming")
		serving := rapid.IntRange(0, 250).Draw(t, "serving")
		share := Share(outgoing, incoming, serving)
		if share*incoming+min(serving, incoming)*outgoing < outgoing*incoming {
			t.Errorf("%d stay of %d while %d of %d serve", share, outgoing, serving, incoming)
		}
		if serving >= incoming && share != 0 {
			t.Errorf("%d stay though all serve", share)
		}
		if share > outgoing || serving > 0 && serving < incoming && outgoing == incoming && share != incoming-serving {
			t.Errorf("%d stay of %d while %d of %d serve", share, outgoing, serving, incoming)
		}
	})
}
