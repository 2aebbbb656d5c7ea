package simulation

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const mebibyte = 1 << 20

// inWorld runs a scenario in virtual time and ends every goroutine of it.
func inWorld(t *testing.T, seed uint64, nodes, ingresses int, scenario func(*World, context.Context)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := New(t, seed, nodes, ingresses)
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		w.Run(ctx, &wait)
		scenario(w, ctx)
		cancel()
		wait.Wait()
		for _, broken := range w.Broken.All() {
			t.Error(broken)
		}
	})
}

func phaseOf(d *runwayv1.Deployment) runwayv1.DeploymentPhase { return d.GetStatus().GetPhase() }

func TestDeployment_FirstOneSucceedsWhenEveryIngressConfirmed(t *testing.T) {
	inWorld(t, 1, 2, 2, func(w *World, _ context.Context) {
		w.Deploy("d1", Spec(64*mebibyte), 3)
		d := w.Await("d1", time.Minute)
		if phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
			t.Fatalf("got %v, want succeeded", d.GetStatus())
		}
		if got := w.serving(w.View()); got != 3 {
			t.Errorf("%d replicas serve, want 3", got)
		}
	})
}

func TestDeployment_NeverServesFewerThanTheOldRevisionNeeds(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, seed, 3, 2, func(w *World, ctx context.Context) {
				count := uint32(1 + seed%6)
				w.Behave = func(*runwayv1.Replica) Behaviour {
					return Behaviour{Start: w.between(50*time.Millisecond, 5*time.Second)}
				}
				w.Deploy("d0", Spec(64*mebibyte), count)
				w.Await("d0", 10*time.Minute)

				var found Violations
				watching, stop := context.WithCancel(ctx)
				var wait sync.WaitGroup
				wait.Go(func() { w.Watch(watching, func() int { return int(count) }, &found) })
				for i := range 3 {
					id := fmt.Sprintf("d%d", i+1)
					w.Deploy(id, Spec(64*mebibyte), count)
					if d := w.Await(id, 10*time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
						t.Errorf("%s: got %v, want succeeded", id, d.GetStatus())
					}
				}
				stop()
				wait.Wait()
				for _, violation := range found.All() {
					t.Error(violation)
				}
			})
		})
	}
}

func TestDeployment_FailureIsUndoneAndTheOldRevisionServesThroughout(t *testing.T) {
	failure := &runwayv1.Cause{Code: string(code.ExitedDuringStart), Summary: "exit code 1 twice"}
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			inWorld(t, seed, 3, 2, func(w *World, ctx context.Context) {
				w.Deploy("good", Spec(64*mebibyte), 4)
				w.Await("good", time.Minute)
				w.Behave = func(r *runwayv1.Replica) Behaviour {
					b := Behaviour{Start: w.between(10*time.Millisecond, 3*time.Second)}
					if r.GetDeployment() == "bad" {
						b.Cause = failure
					}
					return b
				}
				var found Violations
				watching, stop := context.WithCancel(ctx)
				var wait sync.WaitGroup
				wait.Go(func() { w.Watch(watching, func() int { return 4 }, &found) })
				w.Deploy("bad", Spec(32*mebibyte), 4)
				d := w.Await("bad", 10*time.Minute)
				stop()
				wait.Wait()
				if phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK {
					t.Errorf("got %v, want rolled back", d.GetStatus())
				}
				if got := d.GetStatus().GetCause(); !proto.Equal(got, failure) {
					t.Errorf("cause: got %v, want %v", got, failure)
				}
				for _, violation := range found.All() {
					t.Error(violation)
				}
			})
		})
	}
}

func TestDeployment_FirstFailureHasNothingToGoBackTo(t *testing.T) {
	inWorld(t, 1, 1, 1, func(w *World, _ context.Context) {
		w.Behave = func(*runwayv1.Replica) Behaviour {
			return Behaviour{Start: time.Second, Cause: &runwayv1.Cause{Code: string(code.PortNeverBound)}}
		}
		w.Deploy("d1", Spec(64*mebibyte), 2)
		d := w.Await("d1", time.Minute)
		if phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED {
			t.Errorf("got %v, want failed", d.GetStatus())
		}
	})
}

func TestDeployment_UnplaceableFailsFastWithTheReason(t *testing.T) {
	inWorld(t, 1, 2, 1, func(w *World, _ context.Context) {
		w.Deploy("d1", Spec(7<<30), 3) // two nodes of 8 GiB
		d := w.Await("d1", 30*time.Second)
		if phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED {
			t.Errorf("got %v, want failed", d.GetStatus())
		}
		if got := d.GetStatus().GetCause().GetCode(); got != string(code.Unplaceable) {
			t.Errorf("cause: got %q, want %q", got, code.Unplaceable)
		}
	})
}

func TestDeployment_CancelBringsTheOldRevisionBack(t *testing.T) {
	inWorld(t, 3, 2, 2, func(w *World, _ context.Context) {
		w.Deploy("d1", Spec(64*mebibyte), 4)
		w.Await("d1", time.Minute)
		w.Deploy("d2", Spec(32*mebibyte), 4)
		time.Sleep(1500 * time.Millisecond) // virtual: the first new replica serves
		w.Cancel("d2")
		if d := w.Await("d2", time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_CANCELLED {
			t.Errorf("got %v, want cancelled", d.GetStatus())
		}
		if got := w.serving(w.View()); got != 4 {
			t.Errorf("%d replicas serve after the cancel, want 4", got)
		}
		for _, r := range w.View().Replicas() {
			if r.GetDeployment() == "d2" && r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_SERVE {
				t.Errorf("replica %s of the cancelled deployment is still meant to serve", r.GetId())
			}
		}
	})
}

func TestDeployment_NewerOneSupersedesAndTakesOver(t *testing.T) {
	inWorld(t, 4, 2, 2, func(w *World, _ context.Context) {
		w.Deploy("d1", Spec(64*mebibyte), 3)
		w.Await("d1", time.Minute)
		w.Deploy("d2", Spec(32*mebibyte), 3)
		time.Sleep(1500 * time.Millisecond) // virtual
		w.Deploy("d3", Spec(16*mebibyte), 3)
		if d := w.Await("d2", time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUPERSEDED {
			t.Errorf("d2: got %v, want superseded", d.GetStatus())
		}
		if d := w.Await("d3", time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
			t.Errorf("d3: got %v, want succeeded", d.GetStatus())
		}
		time.Sleep(2 * time.Minute) // virtual: drained, stopped and purged
		if got := len(w.View().Replicas()); got != 3 {
			t.Errorf("%d replicas are left, want 3", got)
		}
	})
}

func TestScale_UpAndDown(t *testing.T) {
	inWorld(t, 5, 3, 2, func(w *World, _ context.Context) {
		w.Deploy("d1", Spec(64*mebibyte), 2)
		w.Await("d1", time.Minute)
		for _, count := range []uint32{9, 1, 4} {
			w.Scale(count)
			time.Sleep(2 * time.Minute) // virtual
			if got := w.serving(w.View()); got != int(count) {
				t.Errorf("scaled to %d: %d serve", count, got)
			}
			if got := len(w.View().Replicas()); got != int(count) {
				t.Errorf("scaled to %d: %d rows are left", count, got)
			}
		}
	})
}

// The checker must notice when the promise is broken on purpose.
func TestChecker_NoticesAReplicaThatIsStoppedBeforeTheAcknowledgement(t *testing.T) {
	found := false
	for seed := uint64(0); seed < 10 && !found; seed++ {
		synctest.Test(t, func(t *testing.T) {
			w := New(t, seed, 3, 2)
			w.Skip = StopFirst
			ctx, cancel := context.WithCancel(t.Context())
			var wait sync.WaitGroup
			w.Run(ctx, &wait)
			w.Deploy("d1", Spec(64*mebibyte), 3)
			w.Await("d1", time.Minute)
			w.Deploy("d2", Spec(64*mebibyte), 3)
			w.Await("d2", time.Minute)
			cancel()
			wait.Wait()
			found = len(w.Broken.All()) > 0
		})
	}
	if !found {
		t.Error("a replica was stopped before the ingresses confirmed, and nobody noticed")
	}
}
