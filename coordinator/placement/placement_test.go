package placement

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/coordinator/loop"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const running = runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING

// rig is a planner over a state with nodes and the service "web".
type rig struct {
	*coordinatortest.State
	t       *testing.T
	planner *planner
	ids     int
	// floor is what steps keep of the work, in thousandths.
	floor uint32
}

func newRig(t *testing.T, nodes int) *rig {
	r := &rig{t: t, State: coordinatortest.NewState(t)}
	for i := range nodes {
		r.Must(t, coordinatortest.RegisterNode(fmt.Sprintf("n%d", i+1)))
	}
	r.planner = &planner{guard: loop.NewGuard("placement", slog.New(slog.DiscardHandler)), newID: func() string {
		r.ids++
		return fmt.Sprintf("r%d", r.ids)
	}}
	return r
}

// look does what the planner wants until it wants nothing, and returns how often.
func (r *rig) look() int {
	r.t.Helper()
	for looks := range 10 {
		commands := r.planner.plan(r.View(), time.Now())
		if len(commands) == 0 {
			return looks
		}
		r.Must(r.t, commands...)
	}
	r.t.Fatal("the planner never rests")
	return 0
}

// step sets what a deployment asks for, or how it ended.
func (r *rig) step(id string, phase runwayv1.DeploymentPhase, fresh, old uint32) {
	r.t.Helper()
	status := &runwayv1.DeploymentStatus{Phase: phase, Targets: []*runwayv1.DeploymentTarget{{Region: coordinatortest.Region, New: fresh, Old: old, Keep: r.floor, Relief: r.floor}}}
	r.Must(r.t, &runwayv1.SetDeploymentStatus{Deployment: id, Status: status, ModifiedIndex: r.View().Deployment(id).GetMeta().GetModifiedIndex()})
}

const (
	rolling   = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING
	undoing   = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING
	succeeded = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
	undone    = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK
)

// deployed brings "web" to rest with count replicas that serve.
func (r *rig) deployed(count uint32) *rig {
	r.t.Helper()
	r.Must(r.t, coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), count))
	r.step("d1", rolling, count, 0)
	r.look()
	r.serve("d1")
	r.step("d1", succeeded, count, 0)
	return r
}

// serve makes all replicas of a deployment serve.
func (r *rig) serve(deployment string) {
	r.t.Helper()
	for _, replica := range r.View().Replicas() {
		if replica.GetDeployment() == deployment && replica.GetPlan().GetGoal() == runwayv1.Goal_GOAL_SERVE {
			r.Must(r.t, coordinatortest.Report(replica.GetPlan().GetNode(), replica.GetId(), running), &runwayv1.ConfirmRoutes{Serving: []string{replica.GetId()}})
		}
	}
}

func (r *rig) fail(id string, c code.Code) {
	r.t.Helper()
	report := coordinatortest.Report(r.View().Replica(id).GetPlan().GetNode(), id, runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED)
	report.Reports[0].Status.Cause = &runwayv1.Cause{Code: string(c)}
	r.Must(r.t, report)
}

// count returns how many replicas of each deployment are meant to serve.
func (r *rig) count() map[string]int {
	counts := map[string]int{}
	for _, replica := range r.View().Replicas() {
		if fleet.Counts(r.View(), replica) {
			counts[replica.GetDeployment()]++
		}
	}
	return counts
}

func (r *rig) want(when string, want map[string]int) {
	r.t.Helper()
	if got := r.count(); fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Errorf("%s: got %v, want %v", when, got, want)
	}
}

func TestPlan_AtRestThereAreAsManyAsWanted(t *testing.T) {
	r := newRig(t, 2).deployed(3)
	for _, wanted := range []uint32{3, 5, 1, 2} {
		r.Must(t, &runwayv1.SetWanted{Workload: coordinatortest.Key("web"), Region: coordinatortest.Region, Count: wanted, Writer: "test"})
		r.look()
		r.want(fmt.Sprintf("%d are wanted", wanted), map[string]int{"d1": int(wanted)})
	}
}

func TestPlan_DeploymentDecidesItself(t *testing.T) {
	r := newRig(t, 2).deployed(3)
	r.Must(t, coordinatortest.Deploy("d2", "web", coordinatortest.Spec(), 3))
	r.look()
	r.want("before it has decided", map[string]int{"d1": 3})
	r.step("d2", rolling, 1, 3)
	r.look()
	r.want("its first step", map[string]int{"d1": 3, "d2": 1})
	r.serve("d2")
	r.step("d2", rolling, 2, 2)
	r.look()
	r.want("its second step", map[string]int{"d1": 2, "d2": 2})
	r.step("d2", undoing, 1, 3)
	r.look()
	r.want("on the way back", map[string]int{"d1": 3, "d2": 1})
}

// A step may be older than what is there, right after a change of leaders: what serves
// is kept as long as the other set does not make up for it.
func TestPlan_StaleStepTakesNothingThatIsNeeded(t *testing.T) {
	r := newRig(t, 2).deployed(3)
	r.floor = 1000
	r.Must(t, coordinatortest.Deploy("d2", "web", coordinatortest.Spec(), 3))
	r.step("d2", rolling, 2, 0)
	r.look()
	r.want("no new one serves yet", map[string]int{"d1": 3, "d2": 2})
	r.serve("d2")
	r.look()
	r.want("two do", map[string]int{"d1": 1, "d2": 2})
	r.step("d2", undoing, 0, 3)
	r.look()
	r.want("two old ones are only starting", map[string]int{"d1": 3, "d2": 2})
	r.serve("d1")
	r.look()
	r.want("all old ones serve", map[string]int{"d1": 3})
}

// An undo makes the base whole although a superseded deployment has replicas that serve,
// and lets those go as the base takes their place.
func TestPlan_UndoReplacesWhatASupersededDeploymentMade(t *testing.T) {
	r := newRig(t, 2).deployed(3)
	r.floor = 1000
	r.Must(t, coordinatortest.Deploy("d2", "web", coordinatortest.Spec(), 3))
	r.step("d2", rolling, 2, 1)
	r.look()
	r.serve("d2")
	r.look()
	r.Must(t, coordinatortest.Deploy("d3", "web", coordinatortest.Spec(), 3))
	r.step("d3", rolling, 1, 3)
	r.look()
	r.want("before the undo", map[string]int{"d1": 1, "d2": 2, "d3": 1})
	r.step("d3", undoing, 0, 3)
	r.look()
	r.want("two of the base are starting", map[string]int{"d1": 3, "d2": 2})
	r.serve("d1")
	r.look()
	r.want("the base serves", map[string]int{"d1": 3})
}

// A stray of a revision that is whole with more and smaller replicas does less of the
// work than one of the base.
func TestPlan_StraysStayByTheWorkThatTheyDo(t *testing.T) {
	r := newRig(t, 2)
	one, two := coordinatortest.Spec(), coordinatortest.Spec()
	one.Scale, two.Scale = &runwayv1.ScalePolicy{Min: 1, Max: 1}, &runwayv1.ScalePolicy{Min: 2, Max: 2}
	r.Must(t, coordinatortest.Deploy("d1", "web", one, 1))
	r.step("d1", rolling, 1, 0)
	r.look()
	r.serve("d1")
	r.step("d1", succeeded, 1, 0)
	r.Must(t, coordinatortest.Deploy("d2", "web", two, 1))
	r.step("d2", rolling, 2, 0)
	r.look()
	r.serve("d2")
	r.look()
	r.want("two halves took the place of one", map[string]int{"d2": 2})
	r.step("d2", undone, 0, 1)
	r.look()
	r.want("the base is starting, and a half is not enough", map[string]int{"d1": 1, "d2": 2})
	r.serve("d1")
	r.look()
	r.want("the base serves", map[string]int{"d1": 1})
}

// What is kept is the strategy's to say: one that stops all before it starts any is not
// overruled.
func TestPlan_KeepsNoMoreThanTheStrategySays(t *testing.T) {
	r := newRig(t, 2).deployed(3)
	r.Must(t, coordinatortest.Deploy("d2", "web", coordinatortest.Spec(), 3))
	r.step("d2", rolling, 0, 0)
	r.look()
	r.want("nothing is kept", map[string]int{})
}

func TestPlan_UndoMakesNoReplicaOfTheNewRevision(t *testing.T) {
	r := newRig(t, 2).deployed(3)
	r.Must(t, coordinatortest.Deploy("d2", "web", coordinatortest.Spec(), 3))
	r.step("d2", undoing, 2, 3)
	r.look()
	r.want("two are asked for and none is there", map[string]int{"d1": 3})
}

// Replicas of a deployment that did not succeed go one by one, as those of the
// revision that serves take their place.
func TestPlan_StraysAreReplacedAtRest(t *testing.T) {
	r := newRig(t, 2).deployed(3)
	r.Must(t, coordinatortest.Deploy("d2", "web", coordinatortest.Spec(), 3))
	r.step("d2", rolling, 2, 1)
	r.look()
	r.serve("d2")
	r.look()
	r.want("before it ends", map[string]int{"d1": 1, "d2": 2})
	r.step("d2", undone, 2, 1)
	r.look()
	r.want("two are starting", map[string]int{"d1": 3, "d2": 2})
	r.serve("d1")
	r.look()
	r.want("all serve", map[string]int{"d1": 3})
}

func TestPlan_NothingIsLeftWhereNothingEverServed(t *testing.T) {
	r := newRig(t, 1)
	r.Must(t, coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 2))
	r.step("d1", rolling, 2, 0)
	r.look()
	r.step("d1", runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED, 0, 0)
	r.look()
	r.want("after the first one failed", map[string]int{})
}

func TestPlan_MoreFailuresThanTheHistoryKeepsTakeNothing(t *testing.T) {
	r := newRig(t, 2).deployed(2)
	for i := range state.DeploymentsKept + 1 {
		id := fmt.Sprintf("f%02d", i)
		r.Must(t, coordinatortest.Deploy(id, "web", coordinatortest.Spec(), 2))
		r.step(id, undone, 0, 2)
	}
	if r.View().Deployment("d1") != nil {
		t.Fatal("the history still has the deployment that serves")
	}
	r.look()
	r.want("the deployment that serves is forgotten", map[string]int{"d1": 2})
}

func TestPlan_BoundsOfTheRevisionThatServesHold(t *testing.T) {
	r := newRig(t, 2).deployed(3)
	narrow := coordinatortest.Spec()
	narrow.Scale = &runwayv1.ScalePolicy{Min: 1, Max: 2}
	r.Must(t, coordinatortest.Deploy("d2", "web", narrow, 2))
	r.step("d2", succeeded, 2, 0)
	r.Must(t, coordinatortest.Deploy("d3", "web", coordinatortest.Spec(), 9)) // wants 9, and fails
	r.step("d3", undone, 0, 2)
	for range 3 {
		r.serve("d2")
		r.look()
	}
	r.want("9 are wanted of a revision that allows 2", map[string]int{"d2": 2})
}

func TestRetire_ChoosesWhoDoesLeast(t *testing.T) {
	r := newRig(t, 3).deployed(3) // one on each node
	r.Must(t, &runwayv1.SetWanted{Workload: coordinatortest.Key("web"), Region: coordinatortest.Region, Count: 4, Writer: "test"})
	r.look()
	crowded := r.View().Replica("r4").GetPlan().GetNode()
	victim := func(want string, when string) {
		t.Helper()
		target := targetsOf(r.View(), r.View().Workload(coordinatortest.ID("web")))[0]
		goals := retire(r.View(), target, 1)
		if goals[0].GetReplica() != want || goals[0].GetGoal() != runwayv1.Goal_GOAL_DRAIN || goals[0].GetReason() != "more replicas than wanted" {
			t.Errorf("%s: got %v, want %s", when, goals[0], want)
		}
	}
	victim("r4", "it does not serve")
	r.serve("d1")
	victim("r4", "all serve, and it is the newest on the node with most")
	idle := "r1"
	if r.View().Replica("r1").GetPlan().GetNode() == crowded {
		idle = "r2"
	}
	report := coordinatortest.Report(r.View().Replica(idle).GetPlan().GetNode(), idle, running)
	report.Reports[0].Status.Ready = false
	r.Must(t, report)
	victim(idle, "it is not ready")
}

func TestRetire_TakesFromTheNodeThatHasMostAtEachStep(t *testing.T) {
	r := newRig(t, 2)
	r.Must(t, coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 8))
	for i := range 8 {
		node := "n1"
		if i >= 5 {
			node = "n2"
		}
		r.Must(t, coordinatortest.Assign(coordinatortest.Replica(fmt.Sprintf("r%d", i), "web", 1, node, uint32(20000+i))))
	}
	all := target{workload: coordinatortest.ID("web"), revision: 1, replicas: r.View().Replicas()}
	for excess, want := range map[int]map[string]int{1: {"n1": 1}, 2: {"n1": 2}, 4: {"n1": 3, "n2": 1}, 8: {"n1": 5, "n2": 3}} {
		taken := map[string]int{}
		for _, goal := range retire(r.View(), all, excess) {
			taken[r.View().Replica(goal.GetReplica()).GetPlan().GetNode()]++
		}
		if fmt.Sprint(taken) != fmt.Sprint(want) {
			t.Errorf("%d of 5 and 3: taken %v, want %v", excess, taken, want)
		}
	}
}

func TestMayStart_WaitsLongerAfterEachFailure(t *testing.T) {
	now := time.Now()
	rows := func(failures int) (all []*runwayv1.Replica) {
		s := coordinatortest.NewState(t, coordinatortest.RegisterNode("n1"), coordinatortest.Deploy("d1", "web", coordinatortest.Spec(), 1))
		r := &rig{t: t, State: s}
		for i := range failures {
			id := fmt.Sprintf("f%02d", i)
			s.Must(t, coordinatortest.Assign(coordinatortest.Replica(id, "web", 1, "n1", uint32(20000+i))))
			r.fail(id, code.ExitedDuringStart)
		}
		return s.View().Replicas()
	}
	for failures, want := range map[int]time.Duration{0: 0, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 12: failureDelayMax} {
		target := target{rows: rows(failures), revision: 1}
		at := now
		if failures > 0 {
			at = target.rows[failures-1].GetMeta().GetModifiedAt().AsTime()
		}
		if mayStart(target, at.Add(want-1)) && want > 0 {
			t.Errorf("%d failures: may start before %s", failures, want)
		}
		if !mayStart(target, at.Add(want)) {
			t.Errorf("%d failures: may not start after %s", failures, want)
		}
		if target.revision = 2; !mayStart(target, at) {
			t.Errorf("%d failures of revision 1: revision 2 may not start at once", failures)
		}
	}
}

func TestPlan_RefusedPortIsInQuarantineWhileItsRowIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1).deployed(1)
		refused := r.View().Replica("r1").GetPlan().GetNodePort()
		r.fail("r1", code.NodePortTaken)
		for range 50 {
			time.Sleep(failureDelayMax) // virtual
			r.look()
			newest := r.View().Replica(fmt.Sprintf("r%d", r.ids))
			if newest.GetId() != "r1" && newest.GetPlan().GetNodePort() == refused {
				t.Fatalf("port %d was given again to %s", refused, newest.GetId())
			}
			r.fail(newest.GetId(), code.NodePortTaken)
		}
	})
}

func TestPlan_ReturnedNodeIsUsedOnlyWhenTheOthersDoNotSuffice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		time.Sleep(time.Second) // virtual
		r.Must(t, &runwayv1.SetNodePhase{Node: "n1", Phase: runwayv1.NodePhase_NODE_PHASE_DOWN}, coordinatortest.RegisterNode("n1"))
		r.deployed(4)
		if got := len(r.View().ReplicasOn("n1")); got != 0 {
			t.Errorf("%d replicas are on the node that has just returned, want none", got)
		}
		r.Must(t, &runwayv1.SetNodeSpec{Node: "n2", Spec: &runwayv1.NodeSpec{Cordoned: true}})
		r.Must(t, &runwayv1.SetWanted{Workload: coordinatortest.Key("web"), Region: coordinatortest.Region, Count: 5, Writer: "test"})
		r.look()
		if got := len(r.View().ReplicasOn("n1")); got != 1 {
			t.Errorf("%d replicas are on the only node that is left, want 1", got)
		}
		time.Sleep(settle) // virtual
		if returned(r.View().Node("n1"), time.Now()) {
			t.Error("a node that stayed for its time still counts as just returned")
		}
	})
}

func TestProblem_IsSaidOnceAndEndsWithTheAllClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		huge := coordinatortest.Spec()
		huge.Resources.MemoryBytes = 6 << 30
		r.Must(t, coordinatortest.Deploy("d1", "web", huge, 3))
		r.step("d1", rolling, 3, 0)
		r.look()
		wanted := func() *runwayv1.Wanted { return r.View().Wanted(coordinatortest.ID("web"), coordinatortest.Region) }
		want := &runwayv1.Cause{
			Code:     string(code.Unplaceable),
			Summary:  "no node fits web (2 replicas pending): 1 short of memory; add a node or lower the memory reservation",
			Fix:      code.Unplaceable.Fix(),
			Evidence: []string{"1 nodes: memory"},
		}
		if got := wanted().GetUnplaced(); !proto.Equal(got, want) {
			t.Errorf("got\n%v\nwant\n%v", got, want)
		}
		since := wanted().GetMeta().GetModifiedIndex()
		time.Sleep(time.Minute) // virtual
		r.look()
		if got := wanted().GetMeta().GetModifiedIndex(); got != since {
			t.Errorf("the same problem was written again, at %d after %d", got, since)
		}
		r.Must(t, coordinatortest.RegisterNode("n2"), coordinatortest.RegisterNode("n3"))
		r.look()
		if got := wanted(); got.GetUnplaced() != nil || got.GetUnplacedCount() != 0 {
			t.Errorf("all have a node, and the problem is still %v", got.GetUnplaced())
		}
	})
}

func TestProblem_HasTheCodeOfItsReason(t *testing.T) {
	narrow, last := coordinatortest.RegisterNode("n1"), uint32(20000)
	narrow.Facts.PortFirst, narrow.Facts.PortLast = last, last
	r := newRig(t, 0)
	r.Must(t, narrow)
	r.deployed(2)
	got := r.View().Wanted(coordinatortest.ID("web"), coordinatortest.Region).GetUnplaced()
	if got.GetCode() != string(code.NodePortsExhausted) || got.GetFix() != code.NodePortsExhausted.Fix() {
		t.Errorf("no port is left: got %v, want %s", got, code.NodePortsExhausted)
	}
}

func TestProblem_OtherFiguresAreNotToldAtOnce(t *testing.T) {
	stored := &runwayv1.Wanted{UnplacedCount: 2, Unplaced: &runwayv1.Cause{Summary: "3 short of memory"}}
	same := &runwayv1.PlacementProblem{Count: 2, Cause: &runwayv1.Cause{Summary: "3 short of memory"}}
	other := &runwayv1.PlacementProblem{Count: 2, Cause: &runwayv1.Cause{Summary: "4 short of memory"}}
	fewer := &runwayv1.PlacementProblem{Count: 1, Cause: same.GetCause()}
	written := stored.GetMeta().GetModifiedAt().AsTime()
	for _, row := range []struct {
		name    string
		problem *runwayv1.PlacementProblem
		after   time.Duration
		want    bool
	}{
		{"same", same, time.Hour, false},
		{"other figures, at once", other, retell - 1, false},
		{"other figures, later", other, retell, true},
		{"other count", fewer, 0, true},
	} {
		if got := worth(stored, row.problem, written.Add(row.after)); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
}

// What lacks a node is what is made: while a deployment rolls its own replicas, and those of
// the base when it is undone.
func TestProblem_IsThatOfTheSetThatIsMade(t *testing.T) {
	r := newRig(t, 2).deployed(2)
	r.Must(t, &runwayv1.SetNodePhase{Node: "n1", Phase: runwayv1.NodePhase_NODE_PHASE_DOWN}, &runwayv1.SetNodePhase{Node: "n2", Phase: runwayv1.NodePhase_NODE_PHASE_DOWN})
	r.Must(t, coordinatortest.Deploy("d2", "web", coordinatortest.Spec(), 2))
	for _, step := range []struct {
		phase            runwayv1.DeploymentPhase
		fresh, old, want uint32
	}{{rolling, 1, 2, 1}, {rolling, 2, 0, 2}, {undoing, 0, 1, 1}} {
		r.step("d2", step.phase, step.fresh, step.old)
		if looks := r.look(); looks != 1 {
			t.Errorf("%+v: it took %d looks to say it, want 1", step, looks)
		}
		if got := r.View().Wanted(coordinatortest.ID("web"), coordinatortest.Region).GetUnplacedCount(); got != step.want {
			t.Errorf("%+v: %d replicas are said to lack a node", step, got)
		}
	}
}

// A step follows what there is and may be a look behind, as when a node is lost or returns.
// Nothing may be made only to be taken, or taken only to be made.
func TestPlan_RollingSetsGoOneWay(t *testing.T) {
	r := newRig(t, 3).deployed(3)
	r.Must(t, coordinatortest.Deploy("d2", "web", coordinatortest.Spec(), 3))
	r.step("d2", rolling, 2, 3)
	r.look()
	r.want("its first step", map[string]int{"d1": 3, "d2": 2})
	r.step("d2", rolling, 1, 3)
	r.look()
	r.want("own ones that there are stay", map[string]int{"d1": 3, "d2": 2})
	r.step("d2", rolling, 2, 5)
	r.look()
	r.want("old ones are not made", map[string]int{"d1": 3, "d2": 2})
	r.Must(t, &runwayv1.SetWanted{Workload: coordinatortest.Key("web"), Region: coordinatortest.Region, Count: 1, Writer: "test"})
	r.step("d2", rolling, 1, 3)
	r.look()
	r.want("more than wanted in the end do not stay", map[string]int{"d1": 3, "d2": 1})
	r.step("d2", undoing, 0, 4)
	r.look()
	r.want("an undo brings the old ones back", map[string]int{"d1": 4})
}

func TestPlan_DeletedServiceIsLeftAlone(t *testing.T) {
	r := newRig(t, 1).deployed(2)
	r.Must(t, &runwayv1.DeleteWorkload{Workload: coordinatortest.Key("web"), By: "test"})
	if commands := r.planner.plan(r.View(), time.Now()); len(commands) != 0 {
		t.Errorf("got %v, want nothing: ending it is the reaper's", commands)
	}
}

// The surplus is decided on a look: what stays by it may be gone when it is written.
func TestPlan_SurplusGoesOnlyWhileTheOthersServe(t *testing.T) {
	r := newRig(t, 2).deployed(3)
	r.Must(t, &runwayv1.SetWanted{Workload: coordinatortest.Key("web"), Region: coordinatortest.Region, Count: 2, Writer: "test"})
	commands := r.planner.plan(r.View(), time.Now())
	gone := commands[0].(*runwayv1.SetReplicaGoals).GetGoals()[0].GetReplica()
	for _, replica := range r.View().Replicas() {
		if replica.GetId() != gone {
			r.fail(replica.GetId(), code.ContainerFailed)
			break
		}
	}
	if result, err := r.Apply(t.Context(), commands[0]); err != nil || len(coordinatortest.Refused(result)) != 1 {
		t.Errorf("got %v, %v, want %s to stay", result.Value, err, gone)
	}
}
