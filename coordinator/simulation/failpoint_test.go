package simulation

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/runway-platform/runway/failpoint"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// red runs a scenario with and without a broken promise: the checker must notice the
// one, in the words of the promise, and be silent about the other.
func red(t *testing.T, config Config, broken failpoint.Point, words string, scenario func(*World)) {
	t.Helper()
	sound(t, config, scenario)
	config.Break = broken
	found := inWorld(t, config, scenario)
	if !strings.Contains(strings.Join(found, "\n"), words) {
		t.Errorf("nobody noticed: want %q in %q", words, found)
	}
}

// replace is two deployments, one after the other.
func replace(w *World) {
	w.Deploy("d1", Spec(64*mebibyte), 3)
	w.Await("d1", time.Minute)
	w.Deploy("d2", Spec(64*mebibyte), 3)
	w.Await("d2", 5*time.Minute)
	w.Sleep(time.Minute) // virtual: all has drained
}

func TestChecker_NoticesAReplicaThatIsStoppedFirst(t *testing.T) {
	red(t, Config{Nodes: 3, Ingresses: 2}, failpoint.StopFirst, "stopped, and ingress", replace)
}

func TestChecker_NoticesASkippedAcknowledgement(t *testing.T) {
	red(t, Config{Nodes: 3, Ingresses: 2}, failpoint.SkipAcknowledgement, "routes to it", replace)
}

func TestChecker_NoticesASuccessThatHasNotReachedAnIngress(t *testing.T) {
	red(t, Config{Nodes: 3, Ingresses: 2}, failpoint.SkipAcknowledgement, "succeeded, and ingress", replace)
}

func TestChecker_NoticesASkippedDrain(t *testing.T) {
	red(t, Config{Nodes: 3, Ingresses: 2}, failpoint.SkipDrain, "has requests in flight", replace)
}

func TestChecker_NoticesAPortThatIsReusedEarly(t *testing.T) {
	red(t, Config{Nodes: 1, Ingresses: 2, Ports: 8}, failpoint.ReusePort, "which ingress i0 knows as", func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 2)
		w.Await("d1", time.Minute)
		w.ingress("i0").Stop(true)
		for _, id := range []string{"d2", "d3", "d4", "d5"} {
			w.Deploy(id, Spec(64*mebibyte), 2)
			w.Await(id, 15*time.Minute)
			w.Sleep(time.Minute) // virtual: all has drained
		}
		w.ingress("i0").Stop(false)
		awaitConverged(t, w)
	})
}

func TestChecker_NoticesAForgottenUndo(t *testing.T) {
	bad := func(r *runwayv1.Replica, _ *rand.Rand) Behaviour {
		b := Behaviour{Start: time.Second}
		if r.GetDeployment() == "d2" && r.GetId() == "r0005" {
			b.Cause = &runwayv1.Cause{Code: string(code.PortNeverBound)}
		}
		return b
	}
	red(t, Config{Seed: 3, Nodes: 3, Ingresses: 2, Behave: bad}, failpoint.ForgetUndo, "was rolled back to", replace)
}

// Every promise that the storm is to keep is broken on purpose, and the storm has to
// say so, in the words of that promise, within a few seeds.
func TestStorm_FindsEveryBrokenPromise(t *testing.T) {
	if underRace {
		t.Skip("it is about the checkers, which the run without the race detector checks")
	}
	const most = 12
	for _, row := range []struct {
		broken failpoint.Point
		words  string
		first  uint64 // seed; 0 unless the promise is tested rarely
	}{
		{broken: failpoint.StopFirst, words: "stopped, and ingress"},
		{broken: failpoint.SkipAcknowledgement, words: "routes to it"},
		{broken: failpoint.SkipDrain, words: "has requests in flight"},
		{broken: failpoint.ReusePort, words: "which ingress"},
		{broken: failpoint.ForgetUndo, words: "was rolled back to"},
		{broken: failpoint.DrainTooMany, words: "when it was decided"},
		{broken: failpoint.SucceedEarly, words: "succeeded with"},
		{broken: failpoint.FailSilently, words: "ended without saying so"},
		{broken: failpoint.NeverEnd, words: "not as asked"},
		{broken: failpoint.TwoContents, words: "has two contents"},
		{broken: failpoint.OldRoutes, words: "is sent"},
		{broken: failpoint.TwoOwners, words: "runs on node"},
		{broken: failpoint.ReuseID, words: "is made for the second time"},
		{broken: failpoint.GiveUp, words: "gave up early"},
		{broken: failpoint.Miscount, words: "notes that 99 served"},
		{broken: failpoint.SkipDraining, words: "has not drained"},
		{broken: failpoint.CountOnNobody, words: "when it was written", first: 26},
		{broken: failpoint.MakeTooMany, words: "were made, where"},
	} {
		t.Run(row.words, func(t *testing.T) {
			t.Parallel()
			for seed := row.first; seed < row.first+most; seed++ {
				if found := strings.Join(runStorm(t, seed, row.broken, nil), "\n"); strings.Contains(found, row.words) {
					return
				}
			}
			t.Errorf("%d storms did not notice", most)
		})
	}
}
