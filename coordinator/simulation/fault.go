package simulation

import (
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Faults come every faultLow to faultHigh and last up to faultLong, which is longer
// than every deadline of the controllers but those of a deployment. One in stepOdds
// of the steps of a deployment meets one at once.
const (
	faultLow  = 100 * time.Millisecond
	faultHigh = 6 * time.Second
	faultLong = 40 * time.Second
	stepOdds  = 25
)

// faults is what can happen to machines, each as likely as the others.
var faults = []struct {
	name   string
	strike func(*storm)
}{
	{"node cut off", func(s *storm) { n := s.node(); n.Cut(true); s.mend(func() { n.Cut(false) }) }},
	{"node without power", func(s *storm) { n := s.node(); n.Power(false); s.mend(func() { n.Power(true) }) }},
	{"node reboots", func(s *storm) { n := s.node(); n.Power(false); n.Power(true) }},
	{"agent restarts", func(s *storm) { n := s.node(); n.Kill(true); s.mend(func() { n.Kill(false) }) }},
	{"node loses its disk", func(s *storm) { s.node().Wipe() }},
	{"replica crashes", func(s *storm) { s.node().Crash() }},
	{"replica crashes too", func(s *storm) { s.node().Crash() }},
	{"node is replaced", (*storm).replace},
	{"ingress frozen", func(s *storm) { i := s.ingress(); i.Stop(true); s.mend(func() { i.Stop(false) }) }},
	{"ingress restarts", func(s *storm) { i := s.ingress(); i.Kill(); s.mend(func() { i.Stop(false) }) }},
	{"ingress mute", func(s *storm) { i := s.ingress(); i.Mute(true); s.mend(func() { i.Mute(false) }) }},
	{"ingress joins", (*storm).join},
	{"ingress is replaced", (*storm).renew},
	{"leader lost", (*storm).lose},
	{"leader lost again", (*storm).lose},
	{"leader stands still", func(s *storm) { s.world.freeze(between(s.rand, 100*time.Millisecond, 15*time.Second)) }},
	{"log is slow", func(s *storm) { s.world.stalled = true; s.mend(func() { s.world.stalled = false }) }},
}

// storm is a series of faults, and of users who go on meanwhile.
type storm struct {
	world *World
	rand  *rand.Rand
	users users
	ends  []*mending
	// replaced machines; one of each kind is enough.
	nodes, ingresses int
}

// mending ends a fault.
type mending struct {
	end  func()
	done bool
}

// Storm lets faults happen and users act for a while, then ends all that still lasts:
// machines are back, and no replica ends by itself any more.
func (w *World) Storm(duration time.Duration) {
	s := &storm{world: w, rand: w.random("storm")}
	s.users = users{world: w, rand: w.random("users")}
	w.strike = s.atStep
	for end := time.Now().Add(duration); time.Now().Before(end); {
		if s.rand.IntN(2) == 0 {
			s.users.act()
		} else {
			s.strike()
		}
		w.Sleep(between(s.rand, faultLow, faultHigh))
	}
	w.strike = func(proto.Message) {}
	for _, m := range s.ends {
		m.now()
	}
	w.calm = true
}

func (s *storm) strike() {
	fault := faults[s.rand.IntN(len(faults))]
	s.world.note(fault.name)
	fault.strike(s)
}

// atStep lets a fault meet a step of a deployment, right behind it.
func (s *storm) atStep(payload proto.Message) {
	switch payload.(type) {
	case *runwayv1.Deploy, *runwayv1.SetDeploymentStatus, *runwayv1.AssignReplicas, *runwayv1.SetReplicaGoals, *runwayv1.ConfirmRoutes, *runwayv1.ReportReplicas:
		if s.rand.IntN(stepOdds) == 0 {
			s.world.turns.later(between(s.rand, 0, 5*time.Millisecond), s.strike)
		}
	}
}

// mend ends a fault after a random time, and at the end of the storm at the latest.
func (s *storm) mend(end func()) {
	m := &mending{end: end}
	s.ends = append(s.ends, m)
	s.world.turns.later(between(s.rand, 0, faultLong), m.now)
}

func (m *mending) now() {
	if !m.done {
		m.done = true
		m.end()
	}
}

func (s *storm) node() *node { return draw(s.rand, s.world.nodes) }

func (s *storm) ingress() *ingress { return draw(s.rand, s.world.ingresses) }

func draw[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// replace loses a machine for good: the operator removes it and adds another.
func (s *storm) replace() {
	if s.nodes++; s.nodes > 1 {
		return
	}
	w, n := s.world, s.node()
	n.off = true
	w.nodes = slices.DeleteFunc(w.nodes, func(other *node) bool { return other == n })
	w.turns.stop(n.works)
	w.turns.stop(n.talks)
	w.turns.later(between(s.rand, 0, faultLong), func() { _, _ = w.ask(&runwayv1.RemoveNode{Node: n.id}) })
	w.addNode()
}

// renew loses an ingress for good.
func (s *storm) renew() {
	if s.ingresses++; s.ingresses > 1 {
		return
	}
	w, i := s.world, s.ingress()
	i.Kill()
	w.turns.stop(i.acts)
	w.addIngress()
	s.mend(func() { _, _ = w.ask(&runwayv1.RemoveIngress{Ingress: i.id}) })
}

func (s *storm) join() {
	if len(s.world.ingresses) < 4 {
		s.world.addIngress()
	}
}

// lose ends the leader; the next one begins a while later.
func (s *storm) lose() {
	s.world.depose()
	s.mend(s.world.elect)
}
