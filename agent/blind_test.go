package agent

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

var errOutage = fmt.Errorf("dial containerd.sock: %w", runtime.ErrUnavailable)

// B1 and B3 together: an agent that starts while containerd is down still knows what was ready, and asks it.
func TestB3_AgentStartsDuringAnOutageOfTheRuntime(t *testing.T) {
	onSession(t, func(c *connected) {
		c.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		c.coordinator.greeting = []*runwayv1.CoordinatorMessage{assigns(setOf(5, true, assignment("a", 20001), assignment("b", 20002), assignment("c", 20003, withGoal(runwayv1.Goal_GOAL_DRAIN))))}
	}, func(t *testing.T, c *connected) {
		co := c.coordinator
		c.until("ready reported", time.Second, co.read(func() bool { return co.statuses["a"].GetReady() && co.statuses["b"].GetReady() }))
		time.Sleep(time.Second)
		fulls, published := co.fulls, c.published()
		c.kill()
		c.runtime.Outage(errOutage)
		c.runtime.Exit("b-0", 1)
		steps := c.steps()
		c.launch(c.conn)
		c.until("the dead one is reported unready", 30*time.Second, co.read(func() bool { return co.statuses["b"] != nil && !co.statuses["b"].GetReady() }))
		time.Sleep(time.Minute)
		if !co.statuses["a"].GetReady() || co.fulls != fulls || !slices.Contains(co.events, "node.blind RW-5001") {
			t.Errorf("a %v, %d full reports, events %v: want a ready, no full report and the blindness", co.statuses["a"], co.fulls-fulls, co.events)
		}
		if diff := cmp.Diff(steps, c.steps()); diff != "" || len(c.published()) != len(published) {
			t.Errorf("blind agent did something: ports %v, steps (-before +after):\n%s", c.published(), diff)
		}
		c.runtime.Outage(nil)
		c.until("b again", 10*time.Second, co.read(func() bool { return co.statuses["b"].GetReady() && co.statuses["b"].GetAttempt() == 1 }))
		if got := c.status("a"); got.GetAttempt() != 0 || got.GetPid() == 0 || co.fulls != fulls+1 {
			t.Errorf("a %v, %d full reports: want a untouched and one full report once all was seen", got, co.fulls-fulls)
		}
		if slices.Contains(co.events, "node.drift RW-5101") {
			t.Errorf("events %v: what was presumed is no drift", co.events)
		}
	})
}

// B3: a runtime that dies during twenty stops delays them and breaks nothing.
func TestB3_OutageDuringTwentyStops(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		var running, stopping []*runwayv1.Assignment
		var ids []string
		for i := range 20 {
			ids = append(ids, fmt.Sprintf("r%d", i))
			running = append(running, assignment(ids[i], 20100+uint32(i)))
			stopping = append(stopping, assignment(ids[i], 20100+uint32(i), withGoal(runwayv1.Goal_GOAL_STOP)))
		}
		r.assign(running...)
		r.untilReady(ids...)
		r.assign(stopping...)
		r.until("half of them signalled", time.Second, func() bool { return r.calls("signal") > 10 })
		r.runtime.Outage(errOutage)
		time.Sleep(20 * time.Second)
		r.runtime.Outage(nil)
		took := r.until("all stopped", time.Minute, func() bool {
			return !slices.ContainsFunc(ids, func(id string) bool { return r.phase(id) != "STOPPED" })
		})
		if r.nothingLeft(); r.calls("create") != 20 {
			t.Errorf("after %s: %d containers were made, want no duplicate", took, r.calls("create"))
		}
	})
}

// flickering is a runtime that once calls every container lost.
type flickering struct {
	runtime.Runtime
	wrong atomic.Bool
}

func (f *flickering) List(ctx context.Context) ([]runtime.Container, error) {
	listed, err := f.Runtime.List(ctx)
	if f.wrong.CompareAndSwap(true, false) {
		for i := range listed {
			listed[i].State, listed[i].PID = runtime.StateUnknown, 0
		}
	}
	return listed, err
}

func TestB4_OneWrongSightingCostsNoReplica(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.kill()
		flicker := &flickering{Runtime: r.runtime}
		r.wrapRuntime = func(runtime.Runtime) runtime.Runtime { return flicker }
		r.boot()
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		time.Sleep(time.Minute)
		steps := r.steps()
		for range 3 {
			flicker.wrong.Store(true)
			r.until("seen", 2*lookEvery, func() bool { return !flicker.wrong.Load() })
			if !r.status("a").GetReady() {
				t.Error("a replica is unready for one wrong answer of its runtime")
			}
			time.Sleep(time.Minute)
		}
		if diff := cmp.Diff(steps, r.steps()); diff != "" {
			t.Errorf("steps (-before +after):\n%s", diff)
		}
	})
}

// B4: a supervisor that hangs is reported; its replica serves on, and can still be stopped.
func TestB4_SilentSupervisorCostsNoReplica(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001), assignment("b", 20002))
		r.untilReady("a", "b")
		r.runtime.Hang("a-0", true)
		r.runtime.Hang("b-0", true)
		time.Sleep(time.Hour)
		if events := r.events(); len(events) != 2 || events[0] != "replica.silent RW-5001" || !r.status("a").GetReady() || r.status("a").GetAttempt() != 0 {
			t.Errorf("events %v, a %v: want one event each and the replicas untouched", events, r.status("a"))
		}
		r.runtime.Exit("a-0", 1)
		r.until("a again", 2*lookEvery, func() bool { return r.status("a").GetReady() && r.status("a").GetAttempt() == 1 })
		r.assign(assignment("a", 20001), assignment("b", 20002, withGoal(runwayv1.Goal_GOAL_STOP)))
		r.untilPhase("b", "STOPPED", 20*time.Second)
	})
}
