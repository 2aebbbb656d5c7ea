package simulation

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/runway-platform/runway/coordinator/fleet"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	succeeded  = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
	rolledBack = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK
	cancelled  = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_CANCELLED
)

// A full cluster has room for the next replica only when one that drains has stopped,
// which may take as long as its requests do.
func TestDeployment_WaitsForRoomThatReplicasGiveBackAsTheyStop(t *testing.T) {
	slow := func(*runwayv1.Replica, *rand.Rand) Behaviour {
		return Behaviour{Start: time.Second, Stop: 20 * time.Second}
	}
	sound(t, Config{Nodes: 1, Ingresses: 2, Behave: slow}, func(w *World) {
		w.Deploy("d1", Spec(2<<30), 3) // 8 GiB: one more fits
		w.Await("d1", time.Minute)
		watched(w, 3, func() {
			w.Deploy("d2", Spec(2<<30), 3)
			if d := w.Await("d2", 5*time.Minute); phaseOf(d) != succeeded {
				t.Errorf("got %v, want succeeded", d.GetStatus())
			}
		})
	})
}

// Room that no leaving replica will give back is not waited for.
func TestDeployment_DoesNotWaitForRoomThatWillNotCome(t *testing.T) {
	slow := func(*runwayv1.Replica, *rand.Rand) Behaviour {
		return Behaviour{Start: time.Second, Stop: time.Hour}
	}
	sound(t, Config{Nodes: 1, Ingresses: 1, Behave: slow}, func(w *World) {
		w.Deploy("d1", Spec(2<<30), 3)
		w.Await("d1", time.Minute)
		w.Scale(2)
		w.Sleep(3 * time.Second) // virtual: one drains, and 2 GiB come with it
		w.Deploy("d2", Spec(5<<30), 2)
		d := w.Await("d2", 30*time.Second)
		if phaseOf(d) != rolledBack || d.GetStatus().GetCause().GetCode() != string(code.Unplaceable) {
			t.Errorf("got %v, want unplaceable", d.GetStatus())
		}
	})
}

// An undo ends when what served at its begin serves again, whole or not, and its cause is
// known meanwhile.
func TestDeployment_UndoOfAWorkloadThatWasNotWhole(t *testing.T) {
	for _, row := range []struct {
		name   string
		cancel bool
		want   runwayv1.DeploymentPhase
	}{
		{"the fix fails", false, rolledBack},
		{"the fix is cancelled", true, cancelled},
	} {
		t.Run(row.name, func(t *testing.T) {
			behave := func(r *runwayv1.Replica, _ *rand.Rand) Behaviour {
				b := Behaviour{Start: time.Second}
				if r.GetDeployment() == "fix" {
					b.Start, b.Cause = 5*time.Second, &runwayv1.Cause{Code: string(code.PortNeverBound)}
				}
				return b
			}
			sound(t, Config{Nodes: 1, Ingresses: 1, Behave: behave}, func(w *World) {
				w.Deploy("d1", Spec(2<<30), 2)
				w.Await("d1", time.Minute)
				w.Scale(8)               // two more fit
				w.Sleep(5 * time.Second) // virtual
				w.Deploy("fix", Spec(16*mebibyte), 8)
				w.Sleep(2 * time.Second) // virtual
				if row.cancel {
					w.Cancel("fix")
				}
				d := w.Await("fix", time.Minute)
				if phaseOf(d) != row.want || !d.GetStatus().GetUndone() {
					t.Errorf("got %v, want %v and undone", d.GetStatus(), row.want)
				}
				if got := serving(w.View()); got != 4 {
					t.Errorf("%d replicas serve, want the 4 that did", got)
				}
			})
		})
	}
}

// The revision that served before a fix crashes at once, every time: there is nothing
// to wait for.
func TestDeployment_UndoOfAWorkloadThatCrashes(t *testing.T) {
	behave := func(r *runwayv1.Replica, _ *rand.Rand) Behaviour {
		if r.GetDeployment() == "fix" {
			return Behaviour{Start: 5 * time.Second, Cause: &runwayv1.Cause{Code: string(code.PortNeverBound)}}
		}
		return Behaviour{Start: time.Second, Crash: 500 * time.Millisecond}
	}
	sound(t, Config{Nodes: 2, Ingresses: 1, Behave: behave}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 2)
		d := w.Await("d1", time.Minute)
		if phaseOf(d) != succeeded {
			t.Fatalf("it crashed before it was seen to serve: %v", d.GetStatus())
		}
		w.Deploy("fix", Spec(64*mebibyte), 2)
		if d := w.Await("fix", time.Minute); phaseOf(d) != rolledBack {
			t.Errorf("got %v, want rolled back", d.GetStatus())
		}
	})
}

// What a superseded deployment made is not what served before: after an undo the base
// serves alone.
func TestDeployment_UndoneOnlyWhenTheBaseServesAlone(t *testing.T) {
	sound(t, Config{Nodes: 2, Ingresses: 2, Behave: failing("d3", true)}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 4)
		w.Await("d1", time.Minute)
		watched(w, 4, func() {
			w.Deploy("d2", Spec(32*mebibyte), 4)
			w.Sleep(4 * time.Second) // virtual: some of its replicas serve
			w.Deploy("d3", Spec(16*mebibyte), 4)
			d := w.Await("d3", 5*time.Minute)
			if phaseOf(d) != rolledBack {
				t.Fatalf("got %v, want rolled back", d.GetStatus())
			}
			for _, r := range w.View().Replicas() {
				if r.GetRevision() != 1 && (r.GetRouting().GetServing() || fleet.Counts(w.View(), r)) {
					t.Errorf("replica %s of revision %d serves beside revision 1", r.GetId(), r.GetRevision())
				}
			}
		})
	})
}

// Where nothing ever served there is nothing to go back to: what superseded deployments
// made goes with the rest.
func TestDeployment_SupersededFirstOneLeavesNothing(t *testing.T) {
	sound(t, Config{Nodes: 2, Ingresses: 1, Behave: failing("d2", true)}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 4)
		w.Sleep(1200 * time.Millisecond) // virtual: its replicas are about to serve
		w.Deploy("d2", Spec(32*mebibyte), 4)
		if d := w.Await("d2", time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED || d.GetStatus().GetUndone() {
			t.Errorf("got %v, want failed", d.GetStatus())
		}
		if got := serving(w.View()); got != 0 {
			t.Errorf("%d replicas serve after the end", got)
		}
		awaitConverged(t, w)
	})
}

// Replicas of the base are not kept back by the failures of other revisions.
func TestDeployment_BadOnesDoNotDelayTheBase(t *testing.T) {
	behave := func(r *runwayv1.Replica, _ *rand.Rand) Behaviour {
		b := Behaviour{Start: time.Second}
		if r.GetRevision() > 1 {
			b.Cause = &runwayv1.Cause{Code: string(code.ExitedDuringStart)}
		}
		return b
	}
	sound(t, Config{Nodes: 2, Ingresses: 1, Behave: behave}, func(w *World) {
		w.Deploy("d0", Spec(64*mebibyte), 4)
		w.Await("d0", time.Minute)
		for _, id := range []string{"bad1", "bad2", "bad3"} {
			w.Deploy(id, Spec(32*mebibyte), 4)
			w.Await(id, time.Minute)
		}
		w.Scale(5)
		w.Sleep(3 * time.Second) // virtual
		if got := serving(w.View()); got != 5 {
			t.Errorf("%d replicas serve 3 s after they were asked for, want 5", got)
		}
	})
}
