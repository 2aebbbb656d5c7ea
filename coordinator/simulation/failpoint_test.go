package simulation

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// red runs a scenario with and without a broken promise: the checker must notice the
// one, in the words of the promise, and be silent about the other.
func red(t *testing.T, config Config, broken Failpoint, words string, scenario func(*World, context.Context)) {
	t.Helper()
	sound(t, config, scenario)
	config.Break = broken
	found := inWorld(t, config, scenario)
	if !strings.Contains(strings.Join(found, "\n"), words) {
		t.Errorf("nobody noticed: want %q in %q", words, found)
	}
}

// replace is two deployments, one after the other.
func replace(w *World, _ context.Context) {
	w.Deploy("d1", Spec(64*mebibyte), 3)
	w.Await("d1", time.Minute)
	w.Deploy("d2", Spec(64*mebibyte), 3)
	w.Await("d2", 5*time.Minute)
	time.Sleep(time.Minute) // virtual: all has drained
	synctest.Wait()
}

func TestChecker_NoticesAReplicaThatIsStoppedFirst(t *testing.T) {
	red(t, Config{Nodes: 3, Ingresses: 2}, StopFirst, "stopped, and ingress", replace)
}

func TestChecker_NoticesASkippedAcknowledgement(t *testing.T) {
	red(t, Config{Nodes: 3, Ingresses: 2}, SkipAcknowledgement, "routes to it", replace)
}

func TestChecker_NoticesASkippedDrain(t *testing.T) {
	red(t, Config{Nodes: 3, Ingresses: 2}, SkipDrain, "has requests in flight", replace)
}

func TestChecker_NoticesAPortThatIsReusedEarly(t *testing.T) {
	red(t, Config{Nodes: 1, Ingresses: 2, Ports: 8}, ReusePort, "which ingress i0 knows as", func(w *World, ctx context.Context) {
		w.Deploy("d1", Spec(64*mebibyte), 2)
		w.Await("d1", time.Minute)
		w.checker.ingress("i0").Stop(true)
		for _, id := range []string{"d2", "d3", "d4", "d5"} {
			w.Deploy(id, Spec(64*mebibyte), 2)
			w.Await(id, 15*time.Minute)
			time.Sleep(time.Minute) // virtual: all has drained
		}
		w.checker.ingress("i0").Stop(false)
		awaitConverged(t, w, ctx)
	})
}

func TestChecker_NoticesAForgottenUndo(t *testing.T) {
	bad := func(r *runwayv1.Replica, random *rand.Rand) Behaviour {
		b := Behaviour{Start: time.Second}
		if r.GetDeployment() == "d2" && random.IntN(2) == 0 {
			b.Cause = &runwayv1.Cause{Code: string(code.PortNeverBound)}
		}
		return b
	}
	red(t, Config{Seed: 3, Nodes: 3, Ingresses: 2, Behave: bad}, ForgetUndo, "was rolled back to", replace)
}
