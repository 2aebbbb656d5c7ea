package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// B1: a killed agent finds its replicas and changes nothing about them, not even for a moment.
func TestB1_RestartedAgentAdoptsItsReplicas(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001), assignment("b", 20002))
		r.untilReady("a", "b")
		before, steps, publishes := r.container("a-0"), r.steps(), len(r.network.Publishes())
		for range 5 {
			r.kill()
			time.Sleep(3 * time.Second)
			r.boot()
			r.until("observed", time.Second, func() bool { return r.reporter.next() != nil })
			if !r.status("a").GetReady() || !r.status("b").GetReady() {
				t.Error("the first report calls a replica unready that was ready all the time")
			}
			time.Sleep(time.Minute)
		}
		if diff := cmp.Diff(steps, r.steps()); diff != "" {
			t.Errorf("steps (-before +after):\n%s", diff)
		}
		after := r.container("a-0")
		if after.PID != before.PID || !after.StartedAt.Equal(before.StartedAt) || len(r.network.Publishes()) != publishes {
			t.Errorf("container %+v, %d publishes: want it untouched: %+v, %d", after, len(r.network.Publishes()), before, publishes)
		}
	})
}

func TestB1_RestartedAgentWithoutHistories(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.runtime.Exit("a-0", 1)
		r.until("attempt 1", time.Second, func() bool { return r.status("a").GetAttempt() == 1 && r.status("a").GetReady() })
		steps := r.steps()
		r.kill()
		if err := os.WriteFile(historiesPath(r.dir), []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.boot()
		r.untilReady("a")
		if got := r.status("a").GetAttempt(); got != 1 || !slices.Equal(steps, r.steps()) {
			t.Errorf("attempt %d, steps %v: want attempt 1 adopted from its container", got, r.steps())
		}
	})
}

// An agent that is killed between making a namespace and its interface leaves something
// that looks like a place and leads nowhere. The next one finishes it before it starts
// anything inside.
func TestB1_AttachmentThatWasCutShortIsFinished(t *testing.T) {
	for name, reserved := range map[string]bool{"before the address": false, "before the interface": true} {
		t.Run(name, func(t *testing.T) {
			onRig(t, func(t *testing.T, r *rig) {
				r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
				r.kill()
				r.network.CutShort("a", reserved)
				r.boot()
				r.assign(assignment("a", 20001))
				r.untilReady("a")
				if !r.network.Leads("a") || r.status("a").GetAttempt() != 0 {
					t.Errorf("got %v, leads to it: %t", r.status("a"), r.network.Leads("a"))
				}
			})
		})
	}
}

func TestRestartedAgent_FindsWhatHappenedMeanwhile(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001), assignment("b", 20002))
		r.untilReady("a", "b")
		address := r.status("a").GetAddress()
		r.kill()
		r.runtime.Exit("a-0", 1)
		r.boot()
		r.until("a again", time.Second, func() bool { return r.status("a").GetReady() && r.status("a").GetAttempt() == 1 })
		if got := r.status("a").GetAddress(); got != address || r.status("b").GetAttempt() != 0 {
			t.Errorf("a at %s, b %v: want a at %s again and b untouched", got, r.status("b"), address)
		}
	})
}

// B5: after a reboot every container, namespace and rule is lost; the node comes back by itself with the same ports and addresses.
func TestB5_RebootWithoutCoordinator(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001), assignment("b", 20002))
		r.untilReady("a", "b")
		ports := r.published()
		r.kill()
		r.runtime.Reboot()
		r.network.Reboot()
		if len(r.published()) != 0 {
			t.Fatalf("ports %v outlive a reboot", r.published())
		}
		r.boot()
		took := r.until("serving again", 10*time.Second, func() bool {
			return r.status("a").GetReady() && r.status("b").GetReady() && r.status("a").GetAttempt() == 1
		})
		if diff := cmp.Diff(ports, r.published(), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("after %s: ports (-before +after):\n%s", took, diff)
		}
		if r.calls("pull") > 1 {
			t.Errorf("%d pulls, want none: the image is on the disk", r.calls("pull"))
		}
		for _, id := range []string{"a", "b"} {
			if where := ports[uint16(r.worker.replicas[id].nodePort())].Addr().String(); r.status(id).GetAddress() != where {
				t.Errorf("replica %q is at %s, want %s again", id, r.status(id).GetAddress(), where)
			}
		}
	})
}

// B3: while containerd does not answer nothing is judged, and what happened is found afterwards.
func TestB3_RuntimeOutage(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001), assignment("b", 20002))
		r.untilReady("a", "b")
		time.Sleep(time.Minute)
		outage := slices.Repeat([]error{runtime.ErrUnavailable}, 30)
		r.runtime.FailNext(runtimetest.StepList, outage...)
		r.runtime.FailNext(runtimetest.StepSignal, outage[:3]...)
		r.runtime.Lose("a-0")
		r.assign(assignment("a", 20001), assignment("b", 20002, withGoal(runwayv1.Goal_GOAL_STOP)))
		r.until("a again, b stopped", time.Minute, func() bool {
			return r.status("a").GetReady() && r.status("a").GetAttempt() == 1 && r.phase("b") == "STOPPED"
		})
		if events := r.events(); !slices.Contains(events, "node.blind RW-5001") {
			t.Errorf("events %v, want the outage once", events)
		}
		if diff := cmp.Diff([]string{"a-1 running"}, r.containers()); diff != "" {
			t.Errorf("containers (-want +got):\n%s", diff)
		}
	})
}

func TestHold_DamagedAssignmentsStopNothing(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.kill()
		content, err := os.ReadFile(assignmentsPath(r.dir))
		if err != nil {
			t.Fatal(err)
		}
		content[len(content)-1] ^= 1
		if err := os.WriteFile(assignmentsPath(r.dir), content, 0o600); err != nil {
			t.Fatal(err)
		}
		steps := r.steps()
		r.boot()
		time.Sleep(time.Hour)
		if diff := cmp.Diff(steps, r.steps()); diff != "" || len(r.published()) != 1 {
			t.Errorf("while holding: ports %v, steps (-before +after):\n%s", r.published(), diff)
		}
		if r.reporter.next() != nil {
			t.Error("a holding agent has nothing to report, for it would say that replicas are gone")
		}
		if !slices.Contains(r.events(), "node.hold RW-6009") {
			t.Errorf("events %v, want the hold", r.events())
		}
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		if diff := cmp.Diff(steps, r.steps()); diff != "" {
			t.Errorf("after the set: steps (-before +after):\n%s", diff)
		}
	})
}

func TestOrphans_AreRemovedOnlyOnceASetIsKnown(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.orphan("lost-3")
		if _, err := r.network.Attach(t.Context(), "empty"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if diff := cmp.Diff([]string{"lost-3 running"}, r.containers()); diff != "" {
			t.Fatalf("without a set (-want +got):\n%s", diff)
		}
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.until("orphans gone", time.Minute, func() bool {
			return slices.Equal(r.containers(), []string{"a-0 running"}) && slices.Equal(r.attached(), []string{"a"})
		})
		if !slices.Contains(r.events(), "node.drift RW-5101") {
			t.Errorf("events %v, want the drift", r.events())
		}
		if got := r.reporter.next(); len(got.GetReplicas()) != 1 {
			t.Errorf("reported %v, want only what was assigned", got.GetReplicas())
		}
	})
}

// orphan makes a running container that nobody assigned.
func (r *rig) orphan(id runtime.ContainerID) {
	r.t.Helper()
	_, err := r.runtime.Pull(context.Background(), runtime.PullRequest{Ref: imageRef("web")})
	spec := runtime.ContainerSpec{ID: id, Image: imageRef("web"), LogPath: "/x", Resources: runtime.Resources{Memory: 1 << 20}}
	if err := errors.Join(err, r.runtime.Create(context.Background(), spec), r.runtime.Start(context.Background(), id)); err != nil {
		r.t.Fatal(err)
	}
}

func TestLeftoverOfAnEarlierAttemptIsRemoved(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.orphan("a-0")
		r.orphan("a-1")
		if _, err := r.network.Attach(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.until("one left", time.Second, func() bool { return slices.Equal(r.containers(), []string{"a-1 running"}) })
	})
}

func TestLogs_TailIsInTheCauseAndLeftoversAreSwept(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		if _, err := r.deps.Logs.Spool("gone-0"); err != nil {
			t.Fatal(err)
		}
		r.kill()
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{Exits: true, ExitAfter: time.Second, NeverListens: true})
		r.boot()
		synctest.Wait() // the first look is over
		r.assign(assignment("a", 20001))
		for _, name := range []string{"a-0", "a-1"} {
			r.until(name, 10*time.Second, func() bool { _, made := r.runtime.Spec(runtime.ContainerID(name)); return made })
			spec, _ := r.runtime.Spec(runtime.ContainerID(name))
			if err := os.WriteFile(spec.LogPath, []byte("hello\npanic: no DATABASE_URL\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r.untilPhase("a", "FAILED", time.Minute)
		if diff := cmp.Diff([]string{"log: hello", "log: panic: no DATABASE_URL"}, r.status("a").GetCause().GetEvidence()); diff != "" {
			t.Errorf("evidence (-want +got):\n%s", diff)
		}
		r.assign()
		r.until("forgotten", time.Second, func() bool { _, known := r.reporter.attempt("a"); return !known })
		if names, err := r.deps.Logs.Containers(); err != nil || len(names) != 1 {
			t.Errorf("logs left: %v, %v: want only those of before the set was known", names, err)
		}
	})
}

func TestB1_LogsGoOnAfterARestartAndLateLinesAreMarked(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.writes("a-0", "before\n")
		time.Sleep(time.Second)
		r.kill()
		r.writes("a-0", "during\n")
		r.boot()
		time.Sleep(time.Second)
		r.writes("a-0", "after\n")
		time.Sleep(time.Second)
		lines, err := r.deps.Logs.Tail("a-0", 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, line := range lines {
			got = append(got, fmt.Sprintf("%s %t", line.Text, line.Late))
		}
		if diff := cmp.Diff([]string{"before false", "during true", "after false"}, got); diff != "" {
			t.Errorf("lines and whether they are late (-want +got):\n%s", diff)
		}
	})
}

func TestNode_IngressesAreAllowedAndTheNearestIsUsed(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		peers := []*runwayv1.IngressPeer{
			{Id: "far", SourceAddress: "192.0.2.9", InternalDns: "192.0.2.9:5300", InternalHttp: "192.0.2.9:8000"},
			{Id: "near", SourceAddress: "192.0.2.1", InternalDns: "192.0.2.1:5300", InternalHttp: "192.0.2.1:8000"},
			{Id: "none", SourceAddress: "192.0.2.9"},
		}
		r.ingress("192.0.2.9:8000", true)
		r.ingress("192.0.2.1:8000", true)
		r.worker.inbox.putDesired(&assignments{Incarnation: "i1", ingresses: peers})
		to := func(dns, http string) network.Internal {
			return network.Internal{DNS: netip.MustParseAddrPort(dns), HTTP: netip.MustParseAddrPort(http)}
		}
		r.until("near", 10*time.Second, func() bool { return r.network.Internal() == to("192.0.2.1:5300", "192.0.2.1:8000") })
		if got := r.network.Ingresses(); len(got) != 2 {
			t.Errorf("allowed %v, want both source addresses once", got)
		}
		r.ingress("192.0.2.1:8000", false)
		r.until("far", 10*time.Second, func() bool { return r.network.Internal() == to("192.0.2.9:5300", "192.0.2.9:8000") })
		r.worker.inbox.putDesired(&assignments{Incarnation: "i1"})
		r.until("closed", 10*time.Second, func() bool { return len(r.network.Ingresses()) == 0 && r.network.Internal() == network.Internal{} })
	})
}

// A restart of the agent does not keep somebody in whom nobody allows any more.
func TestNode_RestartClosesWhatIsNoLongerAllowed(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		if err := r.network.AllowIngress(t.Context(), []netip.Addr{netip.MustParseAddr("192.0.2.66")}); err != nil {
			t.Fatal(err)
		}
		r.assign() // no ingress at all
		r.until("closed", time.Second, func() bool { return len(r.network.Ingresses()) == 0 })
	})
}

// One ingress with an address that cannot be let in is refused alone, and said once.
func TestNode_IngressWithoutIPv4IsRefusedAlone(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		peers := []*runwayv1.IngressPeer{
			{Id: "six", SourceAddress: "2001:db8::9", InternalHttp: "[2001:db8::9]:8000"},
			{Id: "four", SourceAddress: "192.0.2.9", InternalHttp: "192.0.2.9:8000", InternalDns: "[2001:db8::9]:53"},
		}
		r.worker.inbox.putDesired(&assignments{Incarnation: "i1", ingresses: peers})
		four := network.Internal{HTTP: netip.MustParseAddrPort("192.0.2.9:8000")}
		r.until("the other is let in", time.Second, func() bool { return len(r.network.Ingresses()) == 1 && r.network.Internal() == four })
		time.Sleep(time.Minute)
		want := []string{`node.ingress: ingress "six" cannot reach this node: its source address "2001:db8::9" is no IPv4 address`}
		if diff := cmp.Diff(want, r.eventTexts()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// drifting is a network whose rules somebody keeps changing.
type drifting struct {
	Network
	drift []network.Drift
}

func (d *drifting) Check(context.Context) ([]network.Drift, error) { return d.drift, nil }

func TestNode_RepairedRulesAreEvents(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.kill()
		r.wrap = func(n Network) Network {
			return &drifting{Network: n, drift: []network.Drift{{Part: "rules", Detail: "packet rules were missing"}}}
		}
		r.boot()
		r.assign()
		time.Sleep(12 * time.Second)
		count := 0
		for _, event := range r.events() {
			if event == "node.drift RW-5101" {
				count++
			}
		}
		if count != 3 {
			t.Errorf("%d events in 12s, want one for each of 3 repairs", count)
		}
	})
}

func TestNode_WhatTheRuntimeEndedByForceIsAnEventAndCounted(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.repairs <- runtime.Repair{ID: "a-3", Detail: "killed 2 processes without a supervisor: [7 8]"}
		r.until("told", time.Second, func() bool { return slices.Contains(r.events(), "node.drift RW-5101") })
		event := r.reporter.events[0].event
		if event.GetReplica() != "a" || event.GetMessage() != `replica "a": killed 2 processes without a supervisor: [7 8]` {
			t.Errorf("event %v, want the replica and what was ended", event)
		}
		if got := testutil.ToFloat64(r.deps.Metrics.drift.WithLabelValues("runtime")); got != 1 {
			t.Errorf("counted %v repairs, want 1", got)
		}
	})
}
