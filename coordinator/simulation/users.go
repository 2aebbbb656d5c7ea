package simulation

import (
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// stormKeys are the workloads of a storm; the last one has no endpoint.
var stormKeys = []*runwayv1.WorkloadKey{Key, keyOf("api"), keyOf("worker")}

// unit is the memory by which replicas and nodes are measured in a storm: a node has
// eight, and a replica takes one or two.
const unit = 1 << 30

// users do what they may do at any time, whatever is going on.
type users struct {
	world   *World
	rand    *rand.Rand
	deploys int
}

// acts is what users do, deployments most of all.
var acts = []struct {
	name  string
	moves bool
	do    func(*users, *runwayv1.WorkloadKey)
}{
	{"deploy", true, (*users).deploy},
	{"deploy", true, (*users).deploy},
	{"deploy", true, (*users).deploy},
	{"deploy", true, (*users).deploy},
	{"roll back", true, (*users).rollBack},
	{"restart", true, (*users).restart},
	{"cancel", false, (*users).cancel},
	{"scale", false, (*users).scale},
	{"scale", false, (*users).scale},
	{"delete", false, (*users).remove},
	{"cordon", false, (*users).cordon},
}

func (u *users) act() {
	act := draw(u.rand, acts)
	key := draw(u.rand, stormKeys)
	if u.world.config.Patient && act.moves && u.world.View().Workload(state.IDOf(key)).GetActiveDeployment() != "" {
		return
	}
	u.world.note(act.name + " " + key.GetService())
	act.do(u, key)
}

// ask is a request that may be refused, as between a delete and its end.
func (u *users) ask(payload proto.Message) {
	if u.world.leader != nil {
		_, _ = u.world.ask(payload)
	}
}

func (u *users) newID() string {
	u.deploys++
	return fmt.Sprintf("d%02d", u.deploys)
}

// deploy brings a revision with its own size and bounds.
func (u *users) deploy(key *runwayv1.WorkloadKey) {
	spec := Spec(int64(1+u.rand.IntN(2)) * unit)
	spec.Image.Reference = u.newID()
	least := uint32(1 + u.rand.IntN(3))
	spec.Scale = &runwayv1.ScalePolicy{Min: least, Max: least + uint32(u.rand.IntN(3))}
	if key.GetService() == "worker" {
		spec.ContainerPort, spec.Public, spec.Internal = 0, false, false
		spec.Scale = &runwayv1.ScalePolicy{Min: 1, Max: 1 + uint32(u.rand.IntN(3))}
	}
	u.ask(deployOf(spec.GetImage().GetReference(), key, spec, spec.GetScale().GetMin(), state.WriterManifest))
}

func (u *users) rollBack(key *runwayv1.WorkloadKey) {
	view := u.world.View()
	revisions := view.Revisions(state.IDOf(key))
	if len(revisions) == 0 {
		return
	}
	to := draw(u.rand, revisions)
	c := deployOf(u.newID(), key, nil, to.GetSpec().GetScale().GetMin(), state.WriterManifest)
	c.Revision = to.GetNumber()
	u.ask(c)
}

func (u *users) restart(key *runwayv1.WorkloadKey) {
	u.ask(&runwayv1.Deploy{Deployment: u.newID(), Workload: key, Restart: true, CreatedBy: "test"})
}

func (u *users) cancel(*runwayv1.WorkloadKey) {
	if active := u.world.View().ActiveDeployments(); len(active) > 0 {
		u.ask(&runwayv1.CancelDeployment{Deployment: draw(u.rand, active).GetId(), By: "test"})
	}
}

func (u *users) scale(key *runwayv1.WorkloadKey) { u.ask(scaleOf(key, uint32(1+u.rand.IntN(5)))) }

// remove deletes a service, not too often: little happens to one that is gone.
func (u *users) remove(key *runwayv1.WorkloadKey) {
	if u.rand.IntN(3) == 0 {
		u.ask(&runwayv1.DeleteWorkload{Workload: key, By: "test"})
	}
}

// cordon takes a node from use for a while.
func (u *users) cordon(*runwayv1.WorkloadKey) {
	n := draw(u.rand, u.world.nodes)
	u.ask(&runwayv1.SetNodeSpec{Node: n.id, Spec: &runwayv1.NodeSpec{Cordoned: true}})
	u.world.turns.later(between(u.rand, 0, faultLong), func() {
		_, _ = u.world.ask(&runwayv1.SetNodeSpec{Node: n.id, Spec: &runwayv1.NodeSpec{}})
	})
}

// Erratic replicas start within 5 s, or far later; some revisions have no image, end
// at the start, never become ready, or crash later; some ports are in use by somebody
// else.
func Erratic(seed uint64) func(*runwayv1.Replica, *rand.Rand) Behaviour {
	return func(r *runwayv1.Replica, random *rand.Rand) Behaviour {
		b := Behaviour{
			Pull:  between(random, 0, time.Second),
			Start: between(random, 50*time.Millisecond, 5*time.Second),
			Stop:  between(random, 0, 3*time.Second),
		}
		kind := rand.New(rand.NewPCG(seed, uint64(len(r.GetWorkload().GetService()))<<32+r.GetRevision())).IntN(12)
		switch {
		case r.GetRevision() == 1:
		case random.IntN(20) == 0:
			b.Cause, b.Passing = &runwayv1.Cause{Code: string(code.NodePortTaken)}, true
		case random.IntN(20) == 0:
			b.Cause, b.Passing = &runwayv1.Cause{Code: string(code.ContainerFailed)}, true
		case kind == 0:
			b.Cause = &runwayv1.Cause{Code: string(code.ExitedDuringStart)}
		case kind == 1:
			b.Cause, b.NoImage = &runwayv1.Cause{Code: string(code.ImageNotFound)}, true
		case kind == 2:
			b.Cause, b.Start = &runwayv1.Cause{Code: string(code.ProbeTimeout)}, 5*time.Minute
		case kind == 3:
			b.Crash = between(random, time.Second, 20*time.Second)
		case kind == 4:
			b.Start = between(random, 5*time.Second, 40*time.Second)
		}
		return b
	}
}
