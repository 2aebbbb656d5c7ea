package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func (r *rig) untilPhase(id, phase string, most time.Duration) time.Duration {
	r.t.Helper()
	return r.until(id+" "+phase, most, func() bool { return r.phase(id) == phase })
}

// restarted reports whether there was a restart in place for that cause.
func (r *rig) restarted(c string) bool {
	return testutil.ToFloat64(r.deps.Metrics.restarts.WithLabelValues(c)) > 0
}

func TestRestart_KeepsAddressPortAndNamespace(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		before := r.status("a")
		ports := fmt.Sprint(r.network.Publishes())
		r.runtime.Exit("a-0", 1)
		r.until("a unready", time.Second, func() bool { return !r.status("a").GetReady() })
		took := r.untilReady("a")
		after := r.status("a")
		if after.GetAttempt() != 1 || after.GetAddress() != before.GetAddress() || fmt.Sprint(r.network.Publishes()) != ports {
			t.Errorf("after a crash: %v, want attempt 1 at the same address and node port", after)
		}
		if took > time.Second || r.calls("pull") != 1 {
			t.Errorf("ready after %s and %d pulls, want at most 1s and no second pull", took, r.calls("pull"))
		}
		if after.GetExitCode() != 1 || after.GetCause() != nil || !r.restarted("RW-1102") {
			t.Errorf("got %v, events %v: want the exit code and an event", after, r.events())
		}
	})
}

// B13: delays double to the cap, and ten good minutes forget them.
func TestB13_BackOffDoublesToItsCapAndResets(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		var delays []time.Duration
		for attempt := range 10 {
			r.runtime.Exit(runtime.NewContainerID("a", attempt), 1)
			delays = append(delays, r.until("next attempt", 3*time.Minute, func() bool {
				return r.status("a").GetAttempt() == uint32(attempt+1) && r.status("a").GetReady()
			}).Round(500*time.Millisecond))
		}
		want := "[500ms 1s 2s 4s 8s 16s 32s 1m4s 2m0s 2m0s]"
		if fmt.Sprint(delays) != want {
			t.Errorf("delays %v, want %s", delays, want)
		}
		time.Sleep(healthyAfter + time.Second)
		r.runtime.Exit("a-10", 1)
		if took := r.until("attempt 11", time.Minute, func() bool { return r.status("a").GetAttempt() == 11 && r.status("a").GetReady() }); took > time.Second {
			t.Errorf("after ten good minutes: %s, want the first back-off", took)
		}
	})
}

// B13: with the jitter that nodes have, each delay lies in the second half of its step, and they are not all alike.
func TestB13_BackOffIsSpread(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.kill()
		r.jitter = halfJitter
		r.boot()
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		var all []*runwayv1.Assignment
		for i := range 20 {
			all = append(all, assignment(fmt.Sprintf("r%d", i), 20100+uint32(i)))
		}
		r.assign(all...)
		r.until("all ready", 10*time.Second, func() bool {
			return !slices.ContainsFunc(all, func(a *runwayv1.Assignment) bool { return !r.status(a.GetReplica()).GetReady() })
		})
		for attempt, step := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
			delays := map[time.Duration]bool{}
			began := time.Now()
			for _, a := range all {
				r.runtime.Exit(runtime.NewContainerID(a.GetReplica(), attempt), 1)
			}
			waiting := slices.Clone(all)
			r.until("all tried again", step+time.Second, func() bool {
				waiting = slices.DeleteFunc(waiting, func(a *runwayv1.Assignment) bool {
					spec, made := r.runtime.Spec(runtime.NewContainerID(a.GetReplica(), attempt+1))
					if made {
						delays[time.Since(began)] = true
					}
					return made && spec.ID != ""
				})
				return len(waiting) == 0
			})
			for delay := range delays {
				if delay < step/2 || delay > step+2*afterEvent {
					t.Errorf("crash %d: tried again after %s, want between %s and %s", attempt+1, delay, step/2, step)
				}
			}
			if len(delays) < 5 {
				t.Errorf("crash %d: %d different delays of 20 replicas, want them spread", attempt+1, len(delays))
			}
			r.until("all ready again", time.Second, func() bool {
				return !slices.ContainsFunc(all, func(a *runwayv1.Assignment) bool { return !r.status(a.GetReplica()).GetReady() })
			})
		}
	})
}

func TestRestart_CrashLoopIsTheCauseWhileItWaits(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{Exits: true, ExitAfter: time.Millisecond, ExitCode: 9, NeverListens: true})
		r.runtime.Exit("a-0", 1)
		r.until("loop", time.Minute, func() bool { return r.status("a").GetAttempt() == 4 })
		got := r.status("a").GetCause()
		if got.GetCode() != string(code.CrashLoop) || !strings.Contains(got.GetSummary(), "ended 4 times in a row; last: exited with code 9") {
			t.Errorf("cause %v, want the loop and the last exit", got)
		}
		if r.phase("a") == "FAILED" {
			t.Error("a replica that was ready is not given up by the agent")
		}
	})
}

func TestStart_TwoExitsFailWithTheCause(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{Exits: true, ExitAfter: 3 * time.Millisecond, ExitCode: 2, NeverListens: true})
		r.assign(assignment("a", 20001))
		took := r.untilPhase("a", "FAILED", time.Minute)
		got := r.status("a")
		if took > time.Second || got.GetCause().GetCode() != string(code.ExitedDuringStart) || got.GetExitCode() != 2 {
			t.Errorf("after %s: %v, want a failure within 1s with the exit code", took, got)
		}
		if !strings.Contains(got.GetCause().GetSummary(), "exited with code 2 after 3ms") || got.GetCause().GetFix() == "" {
			t.Errorf("cause %v, want summary and fix", got.GetCause())
		}
		r.until("cleaned up", time.Second, func() bool { return len(r.attached()) == 0 })
		time.Sleep(time.Hour)
		if creates := r.calls("create"); creates != 2 {
			t.Errorf("%d attempts, want 2", creates)
		}
		r.assign(assignment("a", 20001, withGoal(runwayv1.Goal_GOAL_STOP)))
		r.untilPhase("a", "STOPPED", time.Second)
		if r.status("a").GetCause().GetCode() != string(code.ExitedDuringStart) {
			t.Error("a stopped replica keeps the cause of its failure")
		}
	})
}

// lateWriter is a runtime whose shims write what a process said only when it is removed, and then remove it.
type lateWriter struct {
	runtime.Runtime
	rig *rig
}

func (w lateWriter) Create(ctx context.Context, spec runtime.ContainerSpec) error {
	w.rig.writes(string(spec.ID), "") // a shim opens it at once
	return w.Runtime.Create(ctx, spec)
}

func (w lateWriter) Delete(ctx context.Context, id runtime.ContainerID) error {
	w.rig.writes(string(id), "GREETING is not set\n")
	spool, err := w.rig.deps.Logs.Spool(string(id))
	return errors.Join(err, os.Remove(spool), w.Runtime.Delete(ctx, id))
}

// What a process says last explains why it ended, also when it gets to the log after its end is known.
func TestStart_LastWordsThatComeLateAreTheEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.wrapRuntime = func(made runtime.Runtime) runtime.Runtime { return lateWriter{made, r} }
		r.boot()
		defer r.kill()
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{Exits: true, ExitAfter: 3 * time.Millisecond, ExitCode: 1, NeverListens: true})
		r.assign(assignment("a", 20001))
		r.untilPhase("a", "FAILED", time.Minute)
		if got := strings.Join(r.status("a").GetCause().GetEvidence(), "\n"); !strings.Contains(got, "GREETING is not set") {
			t.Errorf("evidence %q, want what it said", got)
		}
	})
}

// B12: the limit and the peak are in the cause.
func TestB12_OutOfMemoryDuringStart(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{OOMs: true, OOMAfter: time.Millisecond, NeverListens: true})
		r.assign(assignment("a", 20001))
		r.untilPhase("a", "FAILED", time.Second)
		got := r.status("a")
		if got.GetCause().GetCode() != string(code.OutOfMemory) || !got.GetOomKilled() || got.GetCause().GetSummary() != "killed at its memory limit of 64 MiB; peak 64 MiB; give it 96 MiB or more" {
			t.Errorf("got %v, want out of memory with limit and peak", got)
		}
	})
}

func TestB12_OutOfMemoryLaterRestartsWithAnEvent(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.runtime.OOM("a-0")
		r.until("attempt 1", time.Second, func() bool { return r.status("a").GetReady() && r.status("a").GetAttempt() == 1 })
		if got := r.status("a"); !got.GetOomKilled() || !r.restarted("RW-1103") {
			t.Errorf("got %v, want the out-of-memory kill in the status and the count", got)
		}
	})
}

// B12: a child's kill is an event, and no explanation for an end hours later; the replica's neighbours notice nothing.
func TestB12_ChildOutOfMemoryIsAnEventAndNoLaterCause(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001), assignment("b", 20002))
		r.untilReady("a", "b")
		for range 5 {
			r.runtime.OOMChild("a-0")
			time.Sleep(time.Minute)
		}
		if events := r.eventTexts(); len(events) != 1 || events[0] != "replica.oom: killed at its memory limit of 64 MiB; peak 64 MiB; give it 96 MiB or more" {
			t.Errorf("events %q, want one with limit, peak and a suggestion", events)
		}
		if got := testutil.ToFloat64(r.deps.Metrics.ooms); got != 5 {
			t.Errorf("counted %v kills, want 5", got)
		}
		r.kill()
		r.boot() // and a restart of the agent forgets nothing of it
		time.Sleep(time.Hour)
		r.runtime.Exit("a-0", 1)
		r.until("attempt 1", time.Second, func() bool { return r.status("a").GetAttempt() == 1 && r.status("a").GetReady() })
		if got := r.status("a"); got.GetOomKilled() || !r.restarted("RW-1102") || r.restarted("RW-1103") {
			t.Errorf("got %v, want an ordinary exit", got)
		}
		r.runtime.OOMChild("a-1")
		r.until("seen", 10*time.Second, func() bool { return testutil.ToFloat64(r.deps.Metrics.ooms) == 1 })
		r.runtime.Exit("a-1", 1)
		r.until("attempt 2", 3*time.Second, func() bool { return r.status("a").GetAttempt() == 2 && r.status("a").GetReady() })
		if got := r.status("a"); !got.GetOomKilled() || !r.restarted("RW-1103") {
			t.Errorf("got %v, want the end right after a kill put down to memory", got)
		}
		if b := r.status("b"); !b.GetReady() || b.GetAttempt() != 0 {
			t.Errorf("neighbour %v, want it untouched", b)
		}
	})
}

// eventTexts are the kinds and messages of all events so far.
func (r *rig) eventTexts() []string {
	r.reporter.mu.Lock()
	defer r.reporter.mu.Unlock()
	var texts []string
	for _, e := range r.reporter.events {
		texts = append(texts, e.event.GetKind()+": "+e.event.GetMessage())
	}
	return texts
}

// B4: a killed shim leaves a container that cannot be supervised.
func TestB4_LostContainerIsReplacedInPlace(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		time.Sleep(time.Minute)
		r.runtime.Lose("a-0")
		took := r.until("attempt 1", lookEvery+time.Second, func() bool { return r.status("a").GetReady() && r.status("a").GetAttempt() == 1 })
		if !r.restarted("RW-5005") || took > 5*time.Second+afterAction+afterEvent || r.status("a").GetCause() != nil {
			t.Errorf("after %s: %v, want the reason counted", took, r.status("a"))
		}
	})
}

func TestRestart_VanishedContainerIsDrift(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		time.Sleep(time.Minute)
		if err := r.runtime.Delete(t.Context(), "a-0"); err != nil {
			t.Fatal(err)
		}
		r.until("attempt 1", 10*time.Second, func() bool { return r.status("a").GetReady() && r.status("a").GetAttempt() == 1 })
		if !slices.Contains(r.events(), "node.drift RW-5101") {
			t.Errorf("events %v, want the drift", r.events())
		}
	})
}

func TestRestart_VanishedNamespaceIsMadeAnew(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		time.Sleep(time.Minute)
		if err := r.network.Detach(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		r.until("attempt 1", 20*time.Second, func() bool { return r.status("a").GetReady() && r.status("a").GetAttempt() == 1 })
		if got := r.published()[20001]; got.Addr().String() != r.status("a").GetAddress() {
			t.Errorf("port leads to %v, want the new address %s", got, r.status("a").GetAddress())
		}
	})
}

func TestStart_PortNeverBound(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{NeverListens: true})
		r.listening = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort("0.0.0.0:3000")}
		r.assign(assignment("a", 20001))
		took := r.untilPhase("a", "FAILED", time.Minute)
		got := r.status("a").GetCause()
		if took < bindBudget || took > bindBudget+time.Second || got.GetCode() != string(code.PortNeverBound) {
			t.Errorf("after %s: %v, want port never bound after 30s", took, got)
		}
		if !strings.Contains(got.GetSummary(), "port 8080 was not listened on within 30s; listening: 127.0.0.1:8080, 0.0.0.0:3000") {
			t.Errorf("summary %q, want the sockets that are open", got.GetSummary())
		}
	})
}

func TestStart_StartupProbeBudget(t *testing.T) {
	for _, row := range []struct {
		name      string
		listening string
		code      code.Code
	}{
		{"port bound, probe fails", "0.0.0.0:8080", code.ProbeFailed},
		{"port not bound", "0.0.0.0:1", code.PortNeverBound},
	} {
		t.Run(row.name, func(t *testing.T) {
			onRig(t, func(t *testing.T, r *rig) {
				r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{NeverListens: true})
				r.listening = []netip.AddrPort{netip.MustParseAddrPort(row.listening)}
				r.assign(assignment("a", 20001, withStartupProbe(50*time.Second)))
				took := r.untilPhase("a", "FAILED", 2*time.Minute)
				if got := r.status("a").GetCause(); took < 50*time.Second || took > 52*time.Second || got.GetCode() != string(row.code) {
					t.Errorf("after %s: %v, want %s after the probe's budget of 50s", took, got, row.code)
				}
			})
		})
	}
}

func TestStart_DefaultProbeHasTheWholeStartBudget(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{NeverListens: true})
		r.listening = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}
		r.assign(assignment("a", 20001))
		took := r.untilPhase("a", "FAILED", 10*time.Minute)
		if got := r.status("a").GetCause(); took < startBudget || took > startBudget+5*time.Second || got.GetCode() != string(code.ProbeFailed) {
			t.Errorf("after %s: %v, want the failed probe after the start budget", took, got)
		}
	})
}

func TestLiveness_FailureRestarts(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{IgnoreTerm: true})
		r.assign(assignment("a", 20001, func(a *runwayv1.Assignment) {
			a.Spec.LivenessProbe = &runwayv1.Probe{Kind: runwayv1.ProbeKind_PROBE_KIND_TCP, Declared: true, Period: durationpb.New(time.Second), FailureThreshold: 3}
		}))
		r.untilReady("a")
		time.Sleep(time.Minute)
		r.sicken("a", true)
		r.until("condemned", 10*time.Second, func() bool { return r.status("a").GetCause().GetCode() == string(code.LivenessFailed) })
		r.sicken("a", false)
		r.until("attempt 1", 20*time.Second, func() bool { return r.status("a").GetReady() && r.status("a").GetAttempt() == 1 })
		if !r.restarted("RW-1204") {
			t.Errorf("events %v, want the liveness failure", r.events())
		}
	})
}

func TestReadiness_FailureOnlyTakesTrafficAway(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		r.sicken("a", true)
		r.until("unready", time.Minute, func() bool { return !r.status("a").GetReady() })
		time.Sleep(time.Hour)
		if got := r.status("a"); r.phase("a") != "RUNNING" || got.GetAttempt() != 0 || got.GetCause().GetCode() != string(code.ProbeFailed) {
			t.Errorf("got %v, want it running and unready with the probe's answer", got)
		}
		r.sicken("a", false)
		r.untilReady("a")
	})
}

func TestPull_TerminalErrorsFailAtOnce(t *testing.T) {
	for _, row := range []struct {
		name string
		err  error
		code code.Code
	}{
		{"not found", runtime.ErrImageNotFound, code.ImageNotFound},
		{"denied", runtime.ErrImageDenied, code.ImageDenied},
		{"platform", runtime.ErrImagePlatform, code.ImagePlatform},
	} {
		t.Run(row.name, func(t *testing.T) {
			onRig(t, func(t *testing.T, r *rig) {
				r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{PullErr: fmt.Errorf("pull: %w", row.err)})
				r.assign(assignment("a", 20001))
				took := r.untilPhase("a", "FAILED", time.Second)
				if got := r.status("a").GetCause().GetCode(); took > 20*time.Millisecond || got != string(row.code) {
					t.Errorf("after %s: %s, want %s at once", took, got, row.code)
				}
			})
		})
	}
}

func TestPull_UnreachableRegistryIsRetried(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{PullErr: runtime.ErrRegistryUnreachable})
		r.assign(assignment("a", 20001))
		time.Sleep(time.Minute)
		if got := r.status("a").GetCause().GetCode(); r.phase("a") != "PULLING" || got != string(code.RegistryUnreachable) {
			t.Errorf("phase %s, cause %s: want it pulling with the cause shown", r.phase("a"), got)
		}
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.untilReady("a")
	})
}

func TestPull_UnreachableRegistryFailsWithTheStartBudget(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{PullErr: runtime.ErrRegistryUnreachable})
		r.assign(assignment("a", 20001))
		took := r.untilPhase("a", "FAILED", 6*time.Minute)
		if got := r.status("a").GetCause().GetCode(); took < startBudget || got != string(code.RegistryUnreachable) {
			t.Errorf("after %s: %s, want the registry after the start budget", took, got)
		}
	})
}

func TestStart_StepsAreRetried(t *testing.T) {
	for _, step := range []runtimetest.Step{runtimetest.StepPull, runtimetest.StepCreate, runtimetest.StepStart} {
		t.Run(string(step), func(t *testing.T) {
			onRig(t, func(t *testing.T, r *rig) {
				r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
				r.runtime.FailNext(step, runtime.ErrUnavailable, runtime.ErrUnavailable, runtime.ErrUnavailable)
				r.assign(assignment("a", 20001))
				r.untilReady("a")
				if got := r.status("a"); got.GetAttempt() != 0 {
					t.Errorf("got %v, want the first attempt", got)
				}
			})
		})
	}
}

// A runtime that ends cancels what it was asked: that is tried again, but not in a circle.
func TestStart_CancelledStepsAreNoHotLoop(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.runtime.FailNext(runtimetest.StepCreate, slices.Repeat([]error{context.Canceled}, 5)...)
		r.assign(assignment("a", 20001))
		if took := r.untilReady("a"); took < 5*firstRetry || r.calls("create") != 6 {
			t.Errorf("ready after %s and %d calls, want a pause after each", took, r.calls("create"))
		}
	})
}

func TestStart_RefusedContainerFails(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{StartErr: fmt.Errorf("exec: not found: %w", runtime.ErrRefused)})
		r.assign(assignment("a", 20001))
		r.untilPhase("a", "FAILED", time.Second)
		if got := r.status("a").GetCause(); got.GetCode() != string(code.ContainerFailed) || !strings.Contains(got.GetSummary(), "exec: not found") {
			t.Errorf("cause %v, want the runtime's words", got)
		}
		r.until("cleaned up", time.Second, func() bool { return len(r.containers())+len(r.attached()) == 0 })
	})
}

// A shim that is killed while it creates or starts a container is told as a refusal without a reason. It is forgiven once, like
// an exit, and not once more.
func TestStart_OneRefusalIsNoVerdict(t *testing.T) {
	killed := fmt.Errorf("ttrpc: closed: %w", runtime.ErrRefused)
	for _, step := range []runtimetest.Step{runtimetest.StepCreate, runtimetest.StepStart} {
		t.Run(string(step), func(t *testing.T) {
			onRig(t, func(t *testing.T, r *rig) {
				r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
				r.runtime.FailNext(step, killed)
				r.assign(assignment("a", 20001))
				r.untilReady("a")
				r.runtime.FailNext(step, killed)
				r.assign(assignment("a", 20001), assignment("b", 20002))
				r.runtime.FailNext(step, killed)
				r.untilPhase("b", "FAILED", time.Second)
				if got := r.status("b").GetCause(); got.GetCode() != string(code.ContainerFailed) || !strings.Contains(got.GetSummary(), "ttrpc: closed") {
					t.Errorf("cause %v, want the runtime's words", got)
				}
			})
		})
	}
}

func TestStart_ImageRemovedMeanwhileIsPulledAgain(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.runtime.FailNext(runtimetest.StepCreate, runtime.ErrImageNotFound)
		r.assign(assignment("a", 20001))
		r.untilReady("a")
		if pulls := r.calls("present"); pulls != 2 {
			t.Errorf("looked for the image %d times, want again after it was found missing", pulls)
		}
	})
}

func TestStart_TakenNodePortFails(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.network.Take(20001)
		r.assign(assignment("a", 20001), assignment("b", 20002))
		r.untilPhase("a", "FAILED", time.Second)
		r.untilReady("b")
		if got := r.status("a").GetCause().GetCode(); got != string(code.NodePortTaken) {
			t.Errorf("cause %s, want %s", got, code.NodePortTaken)
		}
	})
}

func TestStart_NodePortOutOfRangeFailsAlone(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 80), assignment("b", 20002))
		r.untilPhase("a", "FAILED", time.Second)
		r.untilReady("b")
		if got := r.status("a").GetCause(); got.GetCode() != string(code.SpecInvalid) || !strings.Contains(got.GetSummary(), "20000-29999") {
			t.Errorf("cause %v, want the node's range", got)
		}
	})
}
