package simulation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const mebibyte = 1 << 20

// inWorld runs a scenario in virtual time, ends everybody in it, and returns what the
// checker found.
func inWorld(t *testing.T, config Config, scenario func(*World)) (broken []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := New(t, config)
		defer w.Close()
		scenario(w)
		broken = w.Broken.All()
	})
	return broken
}

// sound is inWorld where nothing may be found.
func sound(t *testing.T, config Config, scenario func(*World)) {
	t.Helper()
	for _, broken := range inWorld(t, config, scenario) {
		t.Error(broken)
	}
}

// watched runs what may never take the service below floor.
func watched(w *World, floor int, during func()) {
	w.Floor(floor)
	during()
	w.Floor(0)
}

func awaitConverged(t *testing.T, w *World) {
	t.Helper()
	if missing := w.Converge(); missing != "" {
		t.Error(missing)
	}
}

func phaseOf(d *runwayv1.Deployment) runwayv1.DeploymentPhase { return d.GetStatus().GetPhase() }

func TestDeployment_FirstOneSucceedsWhenEveryIngressConfirmed(t *testing.T) {
	sound(t, Config{Seed: 1, Nodes: 2, Ingresses: 2}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 3)
		d := w.Await("d1", time.Minute)
		if phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
			t.Fatalf("got %v, want succeeded", d.GetStatus())
		}
		if got := serving(w.View()); got != 3 {
			t.Errorf("%d replicas serve, want 3", got)
		}
	})
}

func TestDeployment_NeverServesFewerThanTheOldRevisionNeeds(t *testing.T) {
	slow := func(_ *runwayv1.Replica, r *rand.Rand) Behaviour {
		return Behaviour{Start: between(r, 50*time.Millisecond, 5*time.Second)}
	}
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			sound(t, Config{Seed: seed, Nodes: 3, Ingresses: 2, Behave: slow}, func(w *World) {
				count := uint32(1 + seed%6)
				w.Deploy("d0", Spec(64*mebibyte), count)
				w.Await("d0", 10*time.Minute)
				watched(w, int(count), func() {
					for i := range 3 {
						id := fmt.Sprintf("d%d", i+1)
						w.Deploy(id, Spec(64*mebibyte), count)
						if d := w.Await(id, 10*time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
							t.Errorf("%s: got %v, want succeeded", id, d.GetStatus())
						}
					}
				})
			})
		})
	}
}

func TestDeployment_FailureIsUndoneAndTheOldRevisionServesThroughout(t *testing.T) {
	failure := &runwayv1.Cause{Code: string(code.ExitedDuringStart), Summary: "exit code 1 twice"}
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			bad := func(r *runwayv1.Replica, random *rand.Rand) Behaviour {
				b := Behaviour{Start: between(random, 10*time.Millisecond, 3*time.Second)}
				if r.GetDeployment() == "bad" && random.IntN(1+int(seed%4)) == 0 {
					b.Cause = failure // at once, or when some of the new ones serve
				}
				return b
			}
			sound(t, Config{Seed: seed, Nodes: 3, Ingresses: 2, Behave: bad}, func(w *World) {
				w.Deploy("good", Spec(64*mebibyte), 4)
				w.Await("good", time.Minute)
				watched(w, 4, func() {
					w.Deploy("bad", Spec(32*mebibyte), 4)
					d := w.Await("bad", 10*time.Minute)
					if phaseOf(d) == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
						return // none of its replicas was a bad one
					}
					if phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK {
						t.Errorf("got %v, want rolled back", d.GetStatus())
					}
					if got := d.GetStatus().GetCause(); !proto.Equal(got, failure) {
						t.Errorf("cause: got %v, want %v", got, failure)
					}
				})
			})
		})
	}
}

func TestDeployment_FirstFailureHasNothingToGoBackTo(t *testing.T) {
	bad := func(*runwayv1.Replica, *rand.Rand) Behaviour {
		return Behaviour{Start: time.Second, Cause: &runwayv1.Cause{Code: string(code.PortNeverBound)}}
	}
	sound(t, Config{Seed: 1, Nodes: 1, Ingresses: 1, Behave: bad}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 2)
		d := w.Await("d1", time.Minute)
		if phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED {
			t.Errorf("got %v, want failed", d.GetStatus())
		}
	})
}

func TestDeployment_UnplaceableFailsFastWithTheReason(t *testing.T) {
	sound(t, Config{Seed: 1, Nodes: 2, Ingresses: 1}, func(w *World) {
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
	sound(t, Config{Seed: 3, Nodes: 2, Ingresses: 2}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 4)
		w.Await("d1", time.Minute)
		w.Deploy("d2", Spec(32*mebibyte), 4)
		w.Sleep(1500 * time.Millisecond) // virtual: the first new replica serves
		w.Cancel("d2")
		if d := w.Await("d2", time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_CANCELLED {
			t.Errorf("got %v, want cancelled", d.GetStatus())
		}
		if got := serving(w.View()); got != 4 {
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
	sound(t, Config{Seed: 4, Nodes: 2, Ingresses: 2}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 3)
		w.Await("d1", time.Minute)
		w.Deploy("d2", Spec(32*mebibyte), 3)
		w.Sleep(1500 * time.Millisecond) // virtual
		w.Deploy("d3", Spec(16*mebibyte), 3)
		if d := w.Await("d2", time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUPERSEDED {
			t.Errorf("d2: got %v, want superseded", d.GetStatus())
		}
		if d := w.Await("d3", time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
			t.Errorf("d3: got %v, want succeeded", d.GetStatus())
		}
		w.Sleep(2 * time.Minute) // virtual: drained, stopped and purged
		if got := len(w.View().Replicas()); got != 3 {
			t.Errorf("%d replicas are left, want 3", got)
		}
	})
}

func TestScale_UpAndDown(t *testing.T) {
	sound(t, Config{Seed: 5, Nodes: 3, Ingresses: 2}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 2)
		w.Await("d1", time.Minute)
		for _, count := range []uint32{9, 1, 4} {
			w.Scale(count)
			w.Sleep(2 * time.Minute) // virtual
			if got := serving(w.View()); got != int(count) {
				t.Errorf("scaled to %d: %d serve", count, got)
			}
			if got := len(w.View().Replicas()); got != int(count) {
				t.Errorf("scaled to %d: %d rows are left", count, got)
			}
		}
	})
}

// A live ingress that confirms nothing holds a deployment up for seconds, not for
// ever, and the port that it may still use is not given away.
func TestIngress_SilentOneIsLostAndItsPortsStayInQuarantine(t *testing.T) {
	sound(t, Config{Nodes: 2, Ingresses: 2}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 2)
		w.Await("d1", time.Minute)
		mute := w.ingress("i0")
		mute.Mute(true)
		w.Deploy("d2", Spec(64*mebibyte), 2)
		if d := w.Await("d2", time.Minute); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
			t.Errorf("got %v, want succeeded", d.GetStatus())
		}
		if phase := w.View().Ingress("i0").GetStatus().GetPhase(); phase != runwayv1.IngressPhase_INGRESS_PHASE_LOST {
			t.Errorf("the silent ingress is %v, want lost", phase)
		}
		w.Sleep(12 * time.Minute) // virtual: longer than every deadline
		if got := len(w.View().Replicas()); got != 4 {
			t.Errorf("%d rows are kept, want 2 that serve and 2 in quarantine", got)
		}
		mute.Mute(false)
		awaitConverged(t, w)
		if phase := w.View().Ingress("i0").GetStatus().GetPhase(); phase != runwayv1.IngressPhase_INGRESS_PHASE_LIVE {
			t.Errorf("after it confirmed, the ingress is %v, want live", phase)
		}
		if got := len(w.View().Replicas()); got != 2 {
			t.Errorf("%d rows are left after it confirmed, want 2", got)
		}
	})
}

func TestIngress_RemovalEndsTheQuarantine(t *testing.T) {
	sound(t, Config{Nodes: 2, Ingresses: 2}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 2)
		w.Await("d1", time.Minute)
		w.ingress("i0").Stop(true)
		w.Deploy("d2", Spec(64*mebibyte), 2)
		w.Await("d2", time.Minute)
		w.Sleep(12 * time.Minute) // virtual: longer than every deadline
		if got := len(w.View().Replicas()); got != 4 {
			t.Fatalf("%d rows are kept, want 4", got)
		}
		w.must(&runwayv1.RemoveIngress{Ingress: "i0"})
		w.Sleep(time.Minute) // virtual
		if got := len(w.View().Replicas()); got != 2 {
			t.Errorf("%d rows are left after its removal, want 2", got)
		}
	})
}

func TestNode_LossIsMadeUpForAndAFlappingOneIsNotUsedAgainAtOnce(t *testing.T) {
	sound(t, Config{Nodes: 4, Ingresses: 1}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 4)
		w.Await("d1", time.Minute)
		lost := w.View().Replicas()[0].GetPlan().GetNode()
		w.node(lost).Cut(true)
		w.Sleep(16 * time.Second) // virtual: down after 12 s, then a start and a confirmation
		if got := serving(w.View()); got != 4 {
			t.Errorf("%d replicas serve 16 s after the loss of a node, want 4", got)
		}
		moved := len(w.View().ReplicasOn(lost))
		for range 20 { // comes and goes for ten minutes
			w.node(lost).Cut(false)
			w.Sleep(15 * time.Second) // virtual
			w.node(lost).Cut(true)
			w.Sleep(15 * time.Second) // virtual
		}
		w.node(lost).Cut(false)
		awaitConverged(t, w)
		made := 0
		for _, e := range w.View().Events(10_000) {
			if e.GetKind() == "replica.placed" {
				made++
			}
		}
		if most := 4 + 2*moved; made > most {
			t.Errorf("%d replicas were made, want %d at most: two moves for each that was on the node", made, most)
		}
	})
}

func TestDeployment_RefusedPortIsTheMachinesFaultAndIsNotTriedAgain(t *testing.T) {
	refuse := map[uint32]bool{20000: true, 20001: true}
	taken := func(r *runwayv1.Replica, _ *rand.Rand) Behaviour {
		b := Behaviour{Start: time.Second}
		if refuse[r.GetPlan().GetNodePort()] {
			b.Cause = &runwayv1.Cause{Code: string(code.NodePortTaken), Summary: "node port is in use by another process"}
		}
		return b
	}
	sound(t, Config{Nodes: 1, Ingresses: 1, Behave: taken}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 1)
		d := w.Await("d1", time.Minute)
		if phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
			t.Errorf("got %v, want succeeded", d.GetStatus())
		}
		ports := map[uint32]int{}
		for _, r := range w.View().Replicas() {
			ports[r.GetPlan().GetNodePort()]++
		}
		if ports[20000] != 1 || ports[20001] != 1 || ports[20002] != 1 {
			t.Errorf("replicas by port: got %v, want one of each, the refused ones in quarantine", ports)
		}
	})
}

func TestDeployment_BoundsOfTheOldRevisionHoldUntilTheNewOneServes(t *testing.T) {
	behave := func(r *runwayv1.Replica, _ *rand.Rand) Behaviour {
		b := Behaviour{Start: time.Second}
		if r.GetDeployment() == "bad" {
			b.Cause = &runwayv1.Cause{Code: string(code.PortNeverBound)}
		}
		return b
	}
	sound(t, Config{Nodes: 3, Ingresses: 1, Behave: behave}, func(w *World) {
		wide, narrow := Spec(64*mebibyte), Spec(128*mebibyte)
		wide.Scale = &runwayv1.ScalePolicy{Min: 8, Max: 10}
		narrow.Scale = &runwayv1.ScalePolicy{Min: 2, Max: 3}
		deploy := func(id string, spec *runwayv1.RevisionSpec, count uint32) *runwayv1.Deployment {
			w.must(&runwayv1.Deploy{Deployment: id, Workload: Key, Spec: spec, CreatedBy: "test",
				Wanted: []*runwayv1.Wanted{{Workload: Key, Region: "local", Count: count, Writer: "manifest"}}})
			return w.Await(id, 10*time.Minute)
		}
		deploy("d1", wide, 8)
		watched(w, 8, func() {
			if d := deploy("bad", narrow, 2); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK {
				t.Errorf("got %v, want rolled back", d.GetStatus())
			}
		})
		if d := deploy("d3", narrow, 2); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
			t.Errorf("got %v, want succeeded", d.GetStatus())
		}
		if got := serving(w.View()); got != 2 {
			t.Errorf("%d replicas serve, want 2", got)
		}
	})
}

func TestDeployment_WithoutAnIngressSaysSo(t *testing.T) {
	sound(t, Config{Nodes: 1}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 1)
		d := w.Await("d1", 12*time.Minute)
		want := "no progress for 10m0s: 0 of 1 replicas serve; no ingress is live, so that no route can be confirmed"
		if got := d.GetStatus().GetCause().GetSummary(); got != want {
			t.Errorf("summary:\n got %q\nwant %q", got, want)
		}
		if got := d.GetStatus().GetCause().GetEvidence(); len(got) != 1 || got[0] != "replica r0001 is ready, and no ingress is live" {
			t.Errorf("evidence: got %q", got)
		}
	})
}

func TestDeployment_SupersededReplicasDoNotStayWhenItsSuccessorFails(t *testing.T) {
	behave := func(r *runwayv1.Replica, _ *rand.Rand) Behaviour {
		b := Behaviour{Start: time.Second}
		if r.GetDeployment() == "d3" {
			b.Cause = &runwayv1.Cause{Code: string(code.PortNeverBound)}
		}
		return b
	}
	sound(t, Config{Nodes: 2, Ingresses: 2, Behave: behave}, func(w *World) {
		w.Deploy("d1", Spec(64*mebibyte), 4)
		w.Await("d1", time.Minute)
		watched(w, 4, func() {
			w.Deploy("d2", Spec(32*mebibyte), 4)
			w.Sleep(4 * time.Second) // virtual: some of its replicas serve
			w.Deploy("d3", Spec(16*mebibyte), 4)
			w.Await("d3", 5*time.Minute)
			awaitConverged(t, w)
		})
	})
}

// A narrower revision takes the place of what serves as it serves: until then, and after
// an undo, there is what there was. The pin is the user's and outlives both.
func TestDeployment_NarrowerRevisionDrainsNothingBeforeItServes(t *testing.T) {
	for _, row := range []struct {
		name  string
		fails bool
		want  runwayv1.DeploymentPhase
		ends  int
	}{
		{"it fails", true, runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK, 8},
		{"it serves", false, runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED, 3},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := Config{Nodes: 3, Ingresses: 2, Behave: failing("d2", row.fails)}
			sound(t, config, func(w *World) {
				w.Deploy("d1", bounds(1, 100), 1)
				w.Await("d1", time.Minute)
				w.Scale(8)
				awaitConverged(t, w)
				floor := 3
				if row.fails {
					floor = 8
				}
				watched(w, floor, func() {
					w.Deploy("d2", bounds(1, 3), 1)
					if d := w.Await("d2", 5*time.Minute); phaseOf(d) != row.want {
						t.Errorf("got %v, want %v", d.GetStatus(), row.want)
					}
				})
				if got := serving(w.View()); got != row.ends {
					t.Errorf("%d replicas serve in the end, want %d", got, row.ends)
				}
				if got := w.View().Wanted(keyID, "local"); got.GetCount() != 8 || got.GetWriter() != "test" {
					t.Errorf("the pin has become %v", got)
				}
			})
		})
	}
}

// An undo brings back what was, not what the failed revision would have asked for,
// which may not fit.
func TestDeployment_UndoDoesNotRaiseTheOldRevision(t *testing.T) {
	sound(t, Config{Nodes: 1, Ingresses: 1, Behave: failing("d2", true)}, func(w *World) {
		deploy := func(id string, spec *runwayv1.RevisionSpec) *runwayv1.Deployment {
			w.must(&runwayv1.Deploy{Deployment: id, Workload: Key, Spec: spec, CreatedBy: "test",
				Wanted: []*runwayv1.Wanted{{Workload: Key, Region: "local", Count: spec.GetScale().GetMin(), Writer: state.WriterManifest}}})
			return w.Await(id, time.Minute)
		}
		old := bounds(2, 10)
		old.Resources.MemoryBytes = 3 << 30 // two fit, three do not
		deploy("d1", old)
		if d := deploy("d2", bounds(8, 10)); phaseOf(d) != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK {
			t.Errorf("got %v, want rolled back", d.GetStatus())
		}
		if got := serving(w.View()); got != 2 {
			t.Errorf("%d replicas serve, want 2", got)
		}
	})
}

// bounds is a small service with bounds of its own.
func bounds(least, most uint32) *runwayv1.RevisionSpec {
	spec := Spec(64 * mebibyte)
	spec.Scale = &runwayv1.ScalePolicy{Min: least, Max: most}
	return spec
}

// failing makes every replica of a deployment fail after a second.
func failing(deployment string, fails bool) func(*runwayv1.Replica, *rand.Rand) Behaviour {
	return func(r *runwayv1.Replica, _ *rand.Rand) Behaviour {
		b := Behaviour{Start: time.Second}
		if fails && r.GetDeployment() == deployment {
			b.Cause = &runwayv1.Cause{Code: string(code.PortNeverBound)}
		}
		return b
	}
}
