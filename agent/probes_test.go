package agent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/agent/runtimetest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// withLiveness asks /livez each second and takes three failures for death.
func withLiveness(a *runwayv1.Assignment) {
	a.Spec.LivenessProbe = &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Path: "/livez", Declared: true, Period: durationpb.New(time.Second),
		Timeout: durationpb.New(time.Second), FailureThreshold: 3,
	}
}

// failingAt answers 500 at a path, and 200 at any other.
func failingAt(failing string) func(string, string) (int, string) {
	return func(_, path string) (int, string) {
		if path == failing {
			return 500, "dead"
		}
		return 200, "ok"
	}
}

func TestLiveness_OneThatNeverPassesIsEnforced(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.answers(failingAt("/livez"))
		r.assign(assignment("a", 20001, withLiveness))
		r.untilReady("a")
		took := r.until("condemned", 10*time.Second, func() bool { return r.status("a").GetCause().GetCode() == string(code.LivenessFailed) })
		if took < time.Second || took > 4*time.Second {
			t.Errorf("condemned after %s, want three questions one second apart", took)
		}
		r.until("attempt 1", 10*time.Second, func() bool { return r.status("a").GetAttempt() == 1 })
		if !r.restarted("RW-1204") {
			t.Error("the restart is not counted as a liveness failure")
		}
	})
}

// An agent that starts knows nothing yet: it must see as many failures, as far apart, as one that was there all the time.
func TestLiveness_RestartOfTheAgentIsNoHurry(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.assign(assignment("a", 20001, withLiveness))
		r.untilReady("a")
		time.Sleep(time.Minute)
		r.kill()
		r.answers(failingAt("/livez"))
		r.boot()
		time.Sleep(1500 * time.Millisecond)
		if got := r.status("a"); !got.GetReady() || got.GetCause() != nil {
			t.Errorf("1.5 s after the agent's start: %v, want no judgement before three periods", got)
		}
		r.answers(nil)
		time.Sleep(time.Minute)
		if got := r.status("a"); got.GetAttempt() != 0 || !got.GetReady() {
			t.Errorf("got %v, want the workload untouched", got)
		}
	})
}

// withReadiness asks /ready each second, and two failures make a replica unready.
func withReadiness(a *runwayv1.Assignment) {
	a.Spec.ReadinessProbe = &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Path: "/ready", Declared: true, Period: durationpb.New(time.Second),
		Timeout: durationpb.New(time.Second), FailureThreshold: 2,
	}
}

// A readiness probe says when a replica gets requests, at its start and later; it never ends a process that was ready.
func TestReadiness_DecidesWhoGetsRequests(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.answers(failingAt("/ready"))
		r.assign(assignment("a", 20001, withStartupProbe(50*time.Second), withReadiness))
		r.until("running", time.Second, func() bool { return r.phase("a") == "RUNNING" })
		time.Sleep(40 * time.Second)
		if got := r.status("a"); got.GetReady() || r.phase("a") != "RUNNING" {
			t.Errorf("within its start, with / passing and /ready failing: %v, want running and not ready", got)
		}
		r.answers(nil)
		r.untilReady("a")
		r.answers(failingAt("/ready"))
		took := r.until("unready", 10*time.Second, func() bool { return !r.status("a").GetReady() })
		if took < time.Second || took > 4*time.Second {
			t.Errorf("unready after %s, want two questions one second apart", took)
		}
		time.Sleep(10 * time.Minute)
		if got := r.status("a"); got.GetAttempt() != 0 || r.phase("a") != "RUNNING" {
			t.Errorf("ten minutes unready: %v, want the process untouched", got)
		}
	})
}

// The startup probe says how long the start may take, also when the readiness probe says what is asked.
func TestReadiness_OneThatNeverPassesEndsWithTheStartupProbe(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.answers(failingAt("/ready"))
		r.listening = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}
		r.assign(assignment("a", 20001, withStartupProbe(50*time.Second), withReadiness))
		took := r.untilPhase("a", "FAILED", 2*time.Minute)
		if why := r.status("a").GetCause(); why.GetCode() != string(code.ProbeFailed) || !strings.Contains(why.GetSummary(), "/ready: 500") || took < 45*time.Second {
			t.Errorf("after %s: %v, want GET /ready: 500 after the startup probe's 50 s", took, why)
		}
	})
}

func TestProbe_CauseIsTheLatestAnswer(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		body := "no such table: " + strings.Repeat("\"\n", 300)
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{ListenAfter: 3 * time.Second})
		r.answers(func(string, string) (int, string) { return 500, body })
		r.listening = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}
		r.assign(assignment("a", 20001, withStartupProbe(50*time.Second)))
		summary := func() string { return r.status("a").GetCause().GetSummary() }
		r.until("refused", 10*time.Second, func() bool { return strings.Contains(summary(), "connection refused") })
		r.until("answered", 10*time.Second, func() bool { return strings.Contains(summary(), "500 X") })
		r.answers(func(string, string) (int, string) { return 503, body })
		r.untilPhase("a", "FAILED", time.Minute)
		why := r.status("a").GetCause()
		if !strings.Contains(summary(), "503 X") || !slices.Contains(why.GetEvidence(), fmt.Sprintf("answer: %q", body[:512])) {
			t.Errorf("cause %v, want the newest status and 512 bytes of the answer", why)
		}
	})
}

// A replica that answers differently each time must not become a report each time.
func TestProbe_ChangingAnswersAreFewReports(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		asked := 0
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
		r.answers(func(string, string) (int, string) { asked++; return 500 + asked%4, fmt.Sprint("request ", asked) })
		r.listening = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}
		r.assign(assignment("a", 20001))
		r.until("known", 10*time.Second, func() bool { return r.status("a").GetCause() != nil })
		reports, last := 0, ""
		for range 2000 {
			if now := r.status("a").GetCause().String(); now != last {
				reports, last = reports+1, now
			}
			time.Sleep(10 * time.Millisecond)
		}
		if reports > 11 {
			t.Errorf("%d reports in 20 s of %d answers, want one in two seconds", reports, asked)
		}
	})
}

// Whatever ends the start, the cause shows what the process said, listened on and answered.
func TestStart_EveryCauseHasItsEvidence(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*runwayv1.Assignment)
		answer int
		code   code.Code
	}{
		{"start budget", func(*runwayv1.Assignment) {}, 500, code.ProbeFailed},
		{"startup probe", withStartupProbe(50 * time.Second), 500, code.ProbeFailed},
	} {
		t.Run(row.name, func(t *testing.T) {
			onRig(t, func(t *testing.T, r *rig) {
				r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{})
				r.answers(func(string, string) (int, string) { return row.answer, "migrating" })
				r.listening = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8080")}
				r.assign(assignment("a", 20001, row.change))
				r.until("running", time.Second, func() bool { return r.phase("a") == "RUNNING" })
				r.writes("a-0", "waiting for the database\n")
				r.untilPhase("a", "FAILED", 6*time.Minute)
				why := r.status("a").GetCause()
				lines := why.GetEvidence()
				if why.GetCode() != string(row.code) || len(lines) != 4 || !strings.Contains(lines[0], ": 500 X") ||
					!slices.Equal(lines[1:], []string{`answer: "migrating"`, "sockets: 0.0.0.0:8080", "log: waiting for the database"}) {
					t.Errorf("cause %v, want status, answer, sockets and log", why)
				}
			})
		})
	}
}

func TestStart_ExitShowsTheLastAnswer(t *testing.T) {
	onRig(t, func(t *testing.T, r *rig) {
		r.runtime.AddImage(imageRef("web"), runtimetest.Behavior{Exits: true, ExitAfter: time.Second, ExitCode: 4})
		r.answers(func(string, string) (int, string) { return 500, "migrating" })
		r.assign(assignment("a", 20001))
		r.untilPhase("a", "FAILED", time.Minute)
		why := r.status("a").GetCause()
		if why.GetCode() != string(code.ExitedDuringStart) || !strings.Contains(why.GetSummary(), "exited with code 4") || !slices.Contains(why.GetEvidence(), `answer: "migrating"`) {
			t.Errorf("cause %v, want the exit and what was answered before", why)
		}
	})
}
