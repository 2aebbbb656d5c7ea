package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// move is one thing that the coordinator, the machine or an operator does.
type move struct {
	kind    string
	replica int
	image   string
	step    runtimetest.Step
	times   int
	pause   time.Duration
}

var moves = []string{
	"add", "add", "add", "advance", "advance", "remove", "restart agent", "killed while attaching", "exit", "oom", "lose", "reboot",
	"fail step", "network down", "network up", "delete container", "detach", "orphan", "sicken", "heal",
}

// behaviors of the images that moves choose from. The well ones must be serving in the end, the others must not hang.
var behaviors = map[string]runtimetest.Behavior{
	"well":    {ListenAfter: 5 * time.Millisecond},
	"slow":    {PullTime: 3 * time.Second, StartTime: time.Second, ListenAfter: 10 * time.Second},
	"deaf":    {IgnoreTerm: true},
	"crashes": {Exits: true, ExitAfter: 20 * time.Millisecond, ExitCode: 1, NeverListens: true},
	"silent":  {NeverListens: true},
	"greedy":  {OOMs: true, OOMAfter: 10 * time.Millisecond, NeverListens: true},
}

var aMove = rapid.Custom(func(t *rapid.T) move {
	return move{
		kind:    rapid.SampledFrom(moves).Draw(t, "kind"),
		replica: rapid.IntRange(0, 5).Draw(t, "replica"),
		image:   rapid.SampledFrom(slices.Sorted(maps.Keys(behaviors))).Draw(t, "image"),
		step: rapid.SampledFrom([]runtimetest.Step{
			runtimetest.StepPull, runtimetest.StepCreate, runtimetest.StepStart, runtimetest.StepSignal, runtimetest.StepDelete, runtimetest.StepList,
		}).Draw(t, "step"),
		times: rapid.IntRange(1, 6).Draw(t, "times"),
		pause: time.Duration(rapid.SampledFrom([]int{0, 1, 10, 40, 300, 2000, 60_000}).Draw(t, "pause")) * time.Millisecond,
	}
})

// Whatever is assigned and whatever fails, once failures stop the machine has exactly what is desired.
func TestProperty_ConvergesOnceFailuresStop(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(aMove, 1, 25).Draw(rt, "moves")
		var problem error
		synctest.Test(t, func(t *testing.T) { problem = play(t, plan) })
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// game is a rig with what the coordinator of the test wants.
type game struct {
	*rig
	desired map[string]*runwayv1.Assignment
	serial  int
	// before is what was last reported of each replica.
	before map[string]*runwayv1.ReplicaStatus
}

func play(t *testing.T, plan []move) error {
	g := &game{rig: newRig(t), desired: map[string]*runwayv1.Assignment{}, before: map[string]*runwayv1.ReplicaStatus{}}
	for image, behavior := range behaviors {
		g.runtime.AddImage(imageRef(image), behavior)
	}
	g.boot()
	defer g.kill()
	g.send() // before that the agent holds
	for i, m := range plan {
		g.play(m)
		time.Sleep(m.pause)
		synctest.Wait()
		if err := errors.Join(g.oneProcessEach(), g.onlyForward()); err != nil {
			return fmt.Errorf("after move %d %+v: %w", i, m, err)
		}
	}
	g.network.Fail(nil)
	g.healAll()
	var problem error
	for range patience {
		time.Sleep(lookEvery)
		synctest.Wait()
		if problem = g.converged(); problem == nil {
			return nil
		}
	}
	return problem
}

// patience is how many looks convergence may take: the start budget, the longest back-off and some.
const patience = 120

func (g *game) play(m move) {
	ids := slices.Sorted(maps.Keys(g.desired))
	id := ""
	if len(ids) > 0 {
		id = ids[m.replica%len(ids)]
	}
	switch m.kind {
	case "add":
		g.serial++
		id = fmt.Sprintf("r%d", g.serial)
		g.desired[id] = assignment(id, 20000+uint32(g.serial), withImage(m.image))
		g.send()
	case "advance":
		g.advance(id)
	case "remove":
		delete(g.desired, id)
		g.send()
	case "restart agent":
		g.kill()
		g.boot()
	case "killed while attaching":
		g.kill()
		g.cutShort(id, m.times%2 == 0)
		g.boot()
	case "network down":
		g.network.Fail(errors.New("nft does not answer"))
	case "network up":
		g.network.Fail(nil)
	case "fail step":
		g.runtime.FailNext(m.step, slices.Repeat([]error{runtime.ErrUnavailable}, m.times)...)
	case "reboot":
		g.kill() // nothing outlives it
		g.runtime.Reboot()
		g.network.Reboot()
		g.boot()
	case "orphan":
		g.makeOrphan()
	case "sicken":
		g.sicken(id, true)
	case "heal":
		g.sicken(id, false)
	default:
		g.harm(m.kind, id)
	}
}

// harm does something to the newest container of a replica, behind the agent's back.
func (g *game) harm(how, id string) {
	for attempt := range 100 {
		container := runtime.NewContainerID(id, attempt)
		if _, found := g.runtime.Spec(container); !found {
			continue
		}
		switch how {
		case "exit":
			g.runtime.Exit(container, 1)
		case "oom":
			g.runtime.OOM(container)
		case "lose":
			g.runtime.Lose(container)
		case "delete container":
			_ = g.runtime.Delete(context.Background(), container) // it may have been told to fail
		case "detach":
			_ = g.network.Detach(context.Background(), id)
		}
	}
}

// cutShort leaves half a place, where a replica may just be getting one: nothing was made in it yet, and it is not over.
func (g *game) cutShort(id string, reserved bool) {
	inside := func(c runtime.Container) bool {
		of, _, _ := splitContainerID(c.ID)
		return of == id
	}
	if id != "" && g.phase(id) != "STOPPED" && !slices.ContainsFunc(g.runtime.Containers(), inside) {
		g.network.CutShort(id, reserved)
	}
}

func (g *game) makeOrphan() {
	g.serial++
	id := runtime.ContainerID(fmt.Sprintf("r%d-0", g.serial))
	ctx := context.Background()
	_, err := g.runtime.Pull(ctx, runtime.PullRequest{Ref: imageRef("well")})
	spec := runtime.ContainerSpec{ID: id, Image: imageRef("well"), LogPath: "/x", Resources: runtime.Resources{Memory: 1 << 20}}
	_ = errors.Join(err, g.runtime.Create(ctx, spec), g.runtime.Start(ctx, id)) // it may have been told to fail
}

func (g *game) advance(id string) {
	now := g.desired[id]
	if now == nil || now.GetGoal() == runwayv1.Goal_GOAL_STOP {
		return
	}
	g.desired[id] = assignment(id, now.GetNodePort(), withGoal(now.GetGoal()+1))
	g.desired[id].Spec = now.GetSpec()
	g.send()
}

func (g *game) send() {
	g.assign(slices.Collect(maps.Values(g.desired))...)
}

// oneProcessEach is what must hold at any time: an attempt never begins while another one runs.
func (g *game) oneProcessEach() error {
	listed, err := g.runtime.List(context.Background())
	if err != nil {
		return nil // told to fail
	}
	running := map[string]runtime.ContainerID{}
	for _, c := range listed {
		id, _, _ := splitContainerID(c.ID)
		if other, twice := running[id]; twice && c.State == runtime.StateRunning {
			return fmt.Errorf("replica %q runs twice: %s and %s", id, other, c.ID)
		}
		if c.State == runtime.StateRunning {
			running[id] = c.ID
		}
	}
	return nil
}

// inTime is the order of the phases in time; the coordinator takes a report that goes back for an old one.
var inTime = []runwayv1.ReplicaPhase{
	runwayv1.ReplicaPhase_REPLICA_PHASE_UNSPECIFIED, runwayv1.ReplicaPhase_REPLICA_PHASE_PENDING,
	runwayv1.ReplicaPhase_REPLICA_PHASE_PULLING, runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING,
	runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING, runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED,
	runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPING, runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED,
}

// onlyForward is what must hold of reports, also over restarts of the agent.
func (g *game) onlyForward() error {
	for id := range g.desired {
		before, now := g.before[id], g.status(id)
		if now.GetPhase() == runwayv1.ReplicaPhase_REPLICA_PHASE_UNSPECIFIED {
			continue // the agent has just started
		}
		g.before[id] = now
		back := slices.Index(inTime, now.GetPhase()) < slices.Index(inTime, before.GetPhase())
		if now.GetAttempt() < before.GetAttempt() || now.GetAttempt() == before.GetAttempt() && back {
			return fmt.Errorf("replica %q went back from attempt %d, %s to attempt %d, %s", id,
				before.GetAttempt(), before.GetPhase(), now.GetAttempt(), now.GetPhase())
		}
	}
	return nil
}

func (g *game) converged() error {
	if _, err := g.runtime.List(context.Background()); err != nil {
		return err // told to fail
	}
	var containers, attached []string
	ports := map[uint16]string{}
	var problems []error
	for id, want := range g.desired {
		phase, status := g.phase(id), g.status(id)
		image := strings.TrimSuffix(strings.TrimPrefix(want.GetSpec().GetImage().GetResolved(), "registry.test/"), "@"+digest)
		switch {
		case want.GetGoal() == runwayv1.Goal_GOAL_STOP:
			problems = append(problems, expect(id, phase, "STOPPED"))
		case phase == "FAILED" && status.GetCause() == nil:
			problems = append(problems, fmt.Errorf("replica %q failed without a cause", id))
		case phase == "FAILED":
		case want.GetGoal() == runwayv1.Goal_GOAL_DRAIN && phase == "STOPPED":
		case image == "well" || image == "slow" || image == "deaf":
			if !status.GetReady() {
				problems = append(problems, fmt.Errorf("replica %q (%s): %v, want it ready", id, image, status))
			}
			containers = append(containers, fmt.Sprintf("%s-%d running", id, status.GetAttempt()))
			attached = append(attached, id)
			ports[uint16(want.GetNodePort())] = fmt.Sprintf("%s:%d", status.GetAddress(), containerPort)
		default:
			problems = append(problems, fmt.Errorf("replica %q (%s): phase %s, want it failed", id, image, phase))
		}
	}
	published := map[uint16]string{}
	for port, target := range g.published() {
		published[port] = target.String()
	}
	slices.Sort(containers)
	slices.Sort(attached)
	if got := g.containers(); !slices.Equal(got, containers) {
		problems = append(problems, fmt.Errorf("containers %v, want %v", got, containers))
	}
	if got := g.attached(); !slices.Equal(got, attached) {
		problems = append(problems, fmt.Errorf("attachments %v, want %v", got, attached))
	}
	if !maps.Equal(published, ports) {
		problems = append(problems, fmt.Errorf("ports %v, want %v", published, ports))
	}
	return errors.Join(problems...)
}

func expect(id, got, want string) error {
	if got != want {
		return fmt.Errorf("replica %q is %s, want %s", id, got, want)
	}
	return nil
}
