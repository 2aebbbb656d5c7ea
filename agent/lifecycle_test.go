package agent

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestLifeCycle_FromAssignmentToNothing(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{ListenAfter: 5 * time.Millisecond})
		r.assign(assignment("a", 20001))
		if took := r.untilReady("a"); took > 15*time.Millisecond {
			t.Errorf("ready after %s, want at most 15ms for an app that listens after 5ms", took)
		}
		place := netip.AddrPortFrom(netip.MustParseAddr(r.status("a").GetAddress()), containerPort)
		if diff := cmp.Diff(map[uint16]netip.AddrPort{20001: place}, r.published(), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("published (-want +got):\n%s", diff)
		}
		r.assign(assignment("a", 20001, withGoal(runwayv1.Goal_GOAL_DRAIN)))
		time.Sleep(time.Minute)
		if got := r.status("a"); !got.GetReady() || r.phase("a") != "RUNNING" {
			t.Errorf("draining: got %v, want running and ready until told to stop", got)
		}
		r.assign(assignment("a", 20001, withGoal(runwayv1.Goal_GOAL_STOP)))
		r.until("a stopped", time.Second, func() bool { return r.phase("a") == "STOPPED" })
		r.nothingLeft()
		r.assign()
		r.until("a forgotten", time.Second, func() bool { _, known := r.reporter.attempt("a"); return !known })
		want := []string{"pull " + imageRef("web"), "create a-0", "start a-0", "signal a-0 15", "delete a-0"}
		if diff := cmp.Diff(want, r.steps()); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
	})
}

// steps are the calls of the runtime that change something.
func (r *rig) steps() []string {
	return slices.DeleteFunc(r.runtime.Calls(), func(call string) bool {
		return strings.HasPrefix(call, "list") || strings.HasPrefix(call, "present") || strings.HasPrefix(call, "watch") || strings.HasPrefix(call, "stats")
	})
}

func (r *rig) nothingLeft() {
	r.t.Helper()
	if c, a, p := r.containers(), r.attached(), r.published(); len(c)+len(a)+len(p) != 0 {
		r.t.Errorf("left: containers %v, attachments %v, ports %v", c, a, p)
	}
	if left, err := os.ReadDir(r.config().filesFolder("")); err != nil || len(left) != 0 {
		r.t.Errorf("left files: %v, %v", left, err)
	}
}

func TestLifeCycle_SpecOfAContainer(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		spec, _ := r.runtime.Spec("a-0")
		want := []string{
			"COLOR=blue", "K_REVISION=web-7", "K_SERVICE=web", "PORT=8080", "RUNWAY_ENVIRONMENT=production", "RUNWAY_REGION=local",
			"RUNWAY_REPLICA=a", "RUNWAY_REVISION=7", "RUNWAY_SERVICE=web", "RUNWAY_SPACE=default",
		}
		if diff := cmp.Diff(want, spec.Env); diff != "" {
			t.Errorf("environment (-want +got):\n%s", diff)
		}
		if spec.NetNSPath != "/fake/a" || spec.Resources.Memory != 64<<20 || spec.Resources.CPULimit != 500 {
			t.Errorf("spec %+v: want the replica's namespace and limits", spec)
		}
		resolv, err := os.ReadFile(spec.ResolvConfPath)
		if err != nil || string(resolv) != "nameserver 10.64.1.1\noptions timeout:1 attempts:5\n" {
			t.Errorf("resolv.conf %q, %v: want the gateway", resolv, err)
		}
	})
}

func TestLifeCycle_ManyReplicasStartSideBySide(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{PullTime: time.Second, StartTime: 80 * time.Millisecond})
		var all []*runwayv1.Assignment
		var ids []string
		for i := range 40 {
			ids = append(ids, "r"+string(rune('a'+i/10))+string(rune('0'+i%10)))
			all = append(all, assignment(ids[i], 20001+uint32(i)))
		}
		r.assign(all...)
		if took := r.untilReady(ids...); took > 2*time.Second {
			t.Errorf("40 replicas ready after %s, want one pull and eight starts at a time", took)
		}
		if pulls := r.calls("pull"); pulls != 1 {
			t.Errorf("%d pulls, want 1 for all", pulls)
		}
		if got := len(r.published()); got != 40 {
			t.Errorf("%d ports published, want 40", got)
		}
	})
}

func TestLifeCycle_WorkerWithoutPort(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{NeverListens: true})
		r.assign(assignment("a", 0, func(a *runwayv1.Assignment) { a.Spec.ContainerPort = 0 }))
		if took := r.untilReady("a"); took < workerSettle {
			t.Errorf("ready after %s, want not before it ran for %s", took, workerSettle)
		}
		if got := r.published(); len(got) != 0 {
			t.Errorf("published %v, want nothing", got)
		}
		time.Sleep(time.Hour)
		if r.status("a").GetAttempt() != 0 {
			t.Errorf("got %v, want the first attempt", r.status("a"))
		}
	})
}

func TestLifeCycle_StopKillsAfterGrace(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{IgnoreTerm: true})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.assign(assignment("a", 20001, withGoal(runwayv1.Goal_GOAL_STOP)))
		took := r.until("a stopped", time.Minute, func() bool { return r.phase("a") == "STOPPED" })
		if took < 5*time.Second || took > 6*time.Second {
			t.Errorf("stopped after %s, want the grace of 5s", took)
		}
		if got := r.status("a").GetExitCode(); got != 137 {
			t.Errorf("exit code %d, want 137", got)
		}
	})
}

func TestLifeCycle_StopDuringPull(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{PullTime: time.Hour})
		r.assign(assignment("a", 20001))
		r.until("a pulling", time.Second, func() bool { return r.calls("pull") == 1 })
		if r.phase("a") != "PULLING" {
			t.Errorf("phase %s, want PULLING", r.phase("a"))
		}
		r.assign(assignment("a", 20001, withGoal(runwayv1.Goal_GOAL_STOP)))
		r.until("a stopped", time.Second, func() bool { return r.phase("a") == "STOPPED" })
	})
}

func TestLifeCycle_PortOfALeavingReplicaIsFreedBeforeItsAddress(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.network.Fail(context.DeadlineExceeded)
		r.assign(assignment("a", 20001, withGoal(runwayv1.Goal_GOAL_STOP)))
		time.Sleep(20 * time.Second)
		if got := r.phase("a"); got != "STOPPING" || len(r.attached()) != 1 {
			t.Errorf("phase %s, attachments %v: want the address kept while the port cannot be freed", got, r.attached())
		}
		r.network.Fail(nil)
		r.until("a stopped", 10*time.Second, func() bool { return r.phase("a") == "STOPPED" })
		r.nothingLeft()
	})
}

func TestLifeCycle_ClaimedPortIsPublishedOnceFree(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("b", 20001))
		r.untilReady("b")
		held := r.published()[20001]
		r.assign(assignment("a", 20001), assignment("b", 20001), assignment("c", 20001))
		time.Sleep(time.Minute)
		if r.published()[20001] != held || r.status("a").GetReady() || !r.status("b").GetReady() {
			t.Errorf("port leads to %v, want it with b, which has it", r.published()[20001])
		}
		r.assign(assignment("a", 20001), assignment("b", 20001, withGoal(runwayv1.Goal_GOAL_STOP)))
		r.untilReady("a")
	})
}

func TestLifeCycle_ExitFactsOfADrainingReplica(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.assign(assignment("a", 20001, withGoal(runwayv1.Goal_GOAL_DRAIN)))
		time.Sleep(time.Second)
		r.runtime.Exit("a-0", 3)
		r.until("a stopped", time.Second, func() bool { return r.phase("a") == "STOPPED" })
		if got := r.status("a"); got.GetExitCode() != 3 || got.GetAttempt() != 0 || r.calls("create") != 1 {
			t.Errorf("got %v after %d creates, want no restart of a draining replica", got, r.calls("create"))
		}
	})
}

func TestSplitContainerID(t *testing.T) {
	t.Parallel()
	for id, want := range map[runtime.ContainerID]string{
		"a-0": "a 0 true", "web-x-12": "web-x 12 true", "a": " 0 false", "-1": " 0 false", "a-b": "a 0 false", "a--1": "a- 1 true",
	} {
		replica, attempt, ok := splitContainerID(id)
		if got := strings.Join([]string{replica, string(rune('0' + attempt%10)), map[bool]string{true: "true", false: "false"}[ok]}, " "); ok && got != strings.Replace(want, "12", "2", 1) || ok != strings.HasSuffix(want, "true") {
			t.Errorf("%q: got %s, want %s", id, got, want)
		}
	}
}
