package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Faults come every faultLow to faultHigh and last up to faultLong, which is longer
// than every deadline of the controllers but those of a deployment.
const (
	faultLow  = 100 * time.Millisecond
	faultHigh = 8 * time.Second
	faultLong = 40 * time.Second
)

// faults is what can happen, each as likely as the others. Deployments are what the
// rest is to disturb.
var faults = []struct {
	name   string
	strike func(*storm)
}{
	{"node cut off", func(s *storm) { n := s.node(); n.Cut(true); s.later(func() { n.Cut(false) }) }},
	{"node without power", func(s *storm) { n := s.node(); n.Power(false); s.later(func() { n.Power(true) }) }},
	{"replica crashes", func(s *storm) { s.node().Crash() }},
	{"ingress frozen", func(s *storm) { i := s.ingress(); i.Stop(true); s.later(func() { i.Stop(false) }) }},
	{"ingress mute", func(s *storm) { i := s.ingress(); i.Mute(true); s.later(func() { i.Mute(false) }) }},
	{"ingress joins", func(s *storm) {
		if len(s.world.View().Ingresses()) < 4 {
			s.world.Join()
		}
	}},
	{"leader lost", func(s *storm) { s.world.depose(); sleep(s.ctx, between(s.rand, 0, 5*time.Second)); s.world.elect() }},
	{"deploy", (*storm).deploy},
	{"deploy again", (*storm).deploy},
	{"deploy once more", (*storm).deploy},
	{"cancel", (*storm).cancel},
	{"scale", func(s *storm) { s.world.Scale(uint32(1 + s.rand.IntN(6))) }},
}

// storm is a series of faults.
type storm struct {
	world   *World
	ctx     context.Context
	rand    *rand.Rand
	deploys int
	ends    []func()
}

// Storm lets faults happen for a while, then ends all that still last: machines are
// back, and no replica ends by itself any more.
func (w *World) Storm(ctx context.Context, duration time.Duration) {
	s := &storm{world: w, ctx: ctx, rand: w.random("storm")}
	for end := time.Now().Add(duration); time.Now().Before(end); {
		fault := faults[s.rand.IntN(len(faults))]
		w.t.Logf("%s: %s", time.Since(w.Broken.start), fault.name)
		fault.strike(s)
		if !sleep(ctx, between(s.rand, faultLow, faultHigh)) {
			return
		}
	}
	for _, end := range s.ends {
		end()
	}
	w.calm.Store(true)
}

// later ends a fault after a random time, and at the end of the storm at the latest.
func (s *storm) later(end func()) {
	timer := time.AfterFunc(between(s.rand, 0, faultLong), end)
	s.ends = append(s.ends, func() {
		if timer.Stop() {
			end()
		}
	})
}

func (s *storm) node() *node {
	ids := slices.Sorted(maps.Keys(s.world.nodes))
	return s.world.nodes[ids[s.rand.IntN(len(ids))]]
}

func (s *storm) ingress() *ingress {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	ids := slices.Sorted(maps.Keys(s.world.ingresses))
	return s.world.ingresses[ids[s.rand.IntN(len(ids))]]
}

func (s *storm) deploy() {
	s.deploys++
	s.world.Deploy(fmt.Sprintf("d%02d", s.deploys), Spec(int64(1+s.deploys)<<20), uint32(1+s.rand.IntN(5)))
}

func (s *storm) cancel() {
	for _, d := range s.world.View().ActiveDeployments() {
		s.world.Cancel(d.GetId())
	}
}

// Erratic replicas start within 5 s; some revisions fail at the start or crash later,
// and some ports are in use by somebody else.
func Erratic(seed uint64) func(*runwayv1.Replica, *rand.Rand) Behaviour {
	return func(r *runwayv1.Replica, random *rand.Rand) Behaviour {
		b := Behaviour{Start: between(random, 50*time.Millisecond, 5*time.Second)}
		revision := rand.New(rand.NewPCG(seed, r.GetRevision()))
		switch kind := revision.IntN(8); {
		case r.GetRevision() == 1:
		case random.IntN(20) == 0:
			b.Cause = &runwayv1.Cause{Code: string(code.NodePortTaken)}
		case kind == 0:
			b.Cause = &runwayv1.Cause{Code: string(code.ExitedDuringStart)}
		case kind == 1:
			b.Crash = between(random, time.Second, 20*time.Second)
		}
		return b
	}
}

// Converged tells what is not yet as asked, empty when all is.
func (w *World) Converged() string {
	view := w.View()
	if active := view.ActiveDeployments(); len(active) > 0 {
		return fmt.Sprintf("deployment %s is %v", active[0].GetId(), active[0].GetStatus())
	}
	need := 0
	workload := view.Workload(keyID)
	if workload.GetServingRevision() != 0 {
		need = wanted(view, workload.GetServingRevision())
	}
	meant := 0
	for _, r := range view.ReplicasOf(keyID) {
		phase := r.GetStatus().GetPhase()
		switch {
		case r.GetPlan().GetGoal() == runwayv1.Goal_GOAL_SERVE && r.GetRevision() == workload.GetServingRevision():
			meant++
		case phase != runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED:
			return fmt.Sprintf("replica %s is left: %v, %v", r.GetId(), r.GetPlan(), r.GetStatus())
		case r.GetStatus().GetCause() == nil:
			return fmt.Sprintf("row of replica %s is left: %v", r.GetId(), r.GetRouting())
		}
	}
	if got := serving(view); got != need || meant != need {
		return fmt.Sprintf("%d replicas serve, %d are meant to, %d are wanted", got, meant, need)
	}
	return w.misrouted(view)
}

// misrouted tells which ingress routes to something else than what serves.
func (w *World) misrouted(view *state.View) string {
	for _, known := range view.Ingresses() {
		routes := w.checker.ingress(known.GetId()).routes()
		for _, r := range view.ReplicasOf(keyID) {
			if r.GetRouting().GetServing() != (routes[r.GetId()] != "") {
				return fmt.Sprintf("ingress %s routes to %v", known.GetId(), routes)
			}
		}
	}
	return ""
}
