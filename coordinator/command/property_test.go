package command_test

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	. "github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// world draws commands about few objects, so that they meet.
type world struct {
	*State
	goals   map[string]runwayv1.Goal
	epochs  map[string]uint64
	ended   map[string]runwayv1.DeploymentPhase
	counter int
}

func (w *world) service(t *rapid.T) string {
	return rapid.SampledFrom([]string{"web", "api", "job"}).Draw(t, "service")
}
func (w *world) node(t *rapid.T) string {
	return rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")
}
func (w *world) replica(t *rapid.T) string {
	return fmt.Sprintf("r%d", rapid.IntRange(0, 7).Draw(t, "replica"))
}
func (w *world) deployment(t *rapid.T) string {
	return fmt.Sprintf("d%d", rapid.IntRange(0, max(w.counter, 1)).Draw(t, "deployment"))
}

// do applies a command; a rejection is as good as a success, a defect is not.
func (w *world) do(t *rapid.T, payload proto.Message) {
	if _, err := w.Apply(t.Context(), payload); err != nil && isDefect(err) {
		t.Fatalf("%T %v: %v", payload, payload, err)
	}
}

func (w *world) deploy(t *rapid.T) {
	w.counter++
	spec := Spec()
	spec.Resources.CpuRequestMilli = rapid.Int64Range(0, 3000).Draw(t, "cpu")
	spec.ContainerPort = rapid.SampledFrom([]uint32{0, 8080}).Draw(t, "port")
	c := Deploy(fmt.Sprintf("d%d", w.counter), w.service(t), spec, rapid.Uint32Range(0, 4).Draw(t, "wanted"))
	if seldom(t) {
		c.Spec, c.Restart = nil, true
	}
	w.do(t, c)
}

// seldom is true in one of five draws: most commands are to have an effect.
func seldom(t *rapid.T) bool { return rapid.IntRange(0, 4).Draw(t, "seldom") == 4 }

// epochOf is mostly the present epoch of a node.
func (w *world) epochOf(t *rapid.T, node string) uint64 {
	if seldom(t) {
		return rapid.Uint64Range(0, 3).Draw(t, "epoch")
	}
	return w.View().Node(node).GetStatus().GetEpoch()
}

func (w *world) assign(t *rapid.T) {
	var replicas []*runwayv1.Replica
	for range rapid.IntRange(1, 4).Draw(t, "replicas") {
		service, node := w.service(t), w.node(t)
		port := rapid.Uint32Range(19999, 20003).Draw(t, "port")
		latest := w.View().Workload(ID(service)).GetLatestRevision()
		revision := rapid.Uint64Range(min(1, latest), latest).Draw(t, "revision")
		if w.View().Revision(ID(service), revision).GetSpec().GetContainerPort() == 0 && !seldom(t) {
			port = 0
		}
		r := Replica(w.replica(t), service, revision, node, port)
		r.Plan.NodeEpoch = w.epochOf(t, node)
		replicas = append(replicas, r)
	}
	w.do(t, Assign(replicas...))
}

func (w *world) report(t *rapid.T) {
	id := w.replica(t)
	node := w.View().Replica(id).GetPlan().GetNode()
	if node == "" || seldom(t) {
		node = w.node(t)
	}
	r := Report(node, id, runwayv1.ReplicaPhase(rapid.Int32Range(0, 8).Draw(t, "phase")))
	r.Reports[0].NodeEpoch = w.epochOf(t, node)
	r.Reports[0].Status.Attempt = rapid.Uint32Range(0, 2).Draw(t, "attempt")
	w.do(t, r)
}

func (w *world) status(t *rapid.T) {
	id := w.deployment(t)
	w.do(t, &runwayv1.SetDeploymentStatus{
		Deployment:    id,
		Status:        &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase(rapid.Int32Range(0, 9).Draw(t, "phase"))},
		ModifiedIndex: w.View().Deployment(id).GetMeta().GetModifiedIndex(),
	})
}

func (w *world) confirm(t *rapid.T) {
	w.do(t, &runwayv1.ConfirmRoutes{
		Serving: []string{w.replica(t)}, Drained: []string{w.replica(t)},
		Released: []string{w.replica(t)}, NotServing: []string{w.replica(t)}, Unrouted: []string{w.replica(t)},
	})
}

func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"deploy": w.deploy, "assign": w.assign, "report": w.report, "status": w.status, "confirm": w.confirm,
		"goal": func(t *rapid.T) {
			w.do(t, goal(w.replica(t), runwayv1.Goal(rapid.Int32Range(0, 4).Draw(t, "goal"))))
		},
		"node": func(t *rapid.T) { w.do(t, RegisterNode(w.node(t))) },
		"phase": func(t *rapid.T) {
			w.do(t, phase(w.node(t), runwayv1.NodePhase(rapid.Int32Range(0, 4).Draw(t, "phase"))))
		},
		"remove": func(t *rapid.T) {
			if seldom(t) {
				w.do(t, &runwayv1.RemoveNode{Node: w.node(t)})
			}
		},
		"purge":  func(t *rapid.T) { w.do(t, &runwayv1.PurgeReplicas{Replicas: []string{w.replica(t)}}) },
		"cancel": func(t *rapid.T) { w.do(t, &runwayv1.CancelDeployment{Deployment: w.deployment(t)}) },
		"delete": func(t *rapid.T) {
			if seldom(t) {
				w.do(t, &runwayv1.DeleteWorkload{Workload: Key(w.service(t))})
			}
		},
		"forget": func(t *rapid.T) { w.do(t, &runwayv1.PurgeWorkload{Workload: Key(w.service(t))}) },
		"scale":  func(t *rapid.T) { w.do(t, &runwayv1.SetWanted{Workload: Key(w.service(t)), Region: Region, Count: 2}) },
		"":       w.check,
	}
}

// check is called after every command.
func (w *world) check(t *rapid.T) {
	v := w.View()
	if err := CheckInvariants(v); err != nil {
		t.Fatal(err)
	}
	w.checkReplicas(t, v)
	for _, node := range v.Nodes() {
		epoch := node.GetStatus().GetEpoch()
		if epoch < w.epochs[node.GetId()] && node.GetMeta().GetCreatedIndex() != v.Index() {
			t.Fatalf("epoch of %s went from %d to %d", node.GetId(), w.epochs[node.GetId()], epoch)
		}
		w.epochs[node.GetId()] = epoch
	}
	for i := range w.counter + 1 {
		w.checkDeployment(t, v, fmt.Sprintf("d%d", i))
	}
}

func (w *world) checkReplicas(t *rapid.T, v *state.View) {
	goals := map[string]runwayv1.Goal{}
	for _, replica := range v.Replicas() {
		now := replica.GetPlan().GetGoal()
		if now < w.goals[replica.GetId()] {
			t.Fatalf("goal of %s went from %v to %v", replica.GetId(), w.goals[replica.GetId()], now)
		}
		goals[replica.GetId()] = now
		if replica.GetRouting().GetServing() && now != runwayv1.Goal_GOAL_SERVE && replica.GetRouting().GetDrained() {
			t.Fatalf("%s is both serving and drained", replica.GetId())
		}
	}
	w.goals = goals
}

func (w *world) checkDeployment(t *rapid.T, v *state.View, id string) {
	now := v.Deployment(id).GetStatus().GetPhase()
	if before, ended := w.ended[id]; ended && v.Deployment(id) != nil && now != before {
		t.Fatalf("deployment %s went on from %v to %v", id, before, now)
	}
	if state.Ended(now) {
		w.ended[id] = now
	}
}

func TestCommands_keepTheInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{
			State:  NewState(t, RegisterNode("n1"), RegisterNode("n2")),
			goals:  map[string]runwayv1.Goal{},
			epochs: map[string]uint64{},
			ended:  map[string]runwayv1.DeploymentPhase{},
		}
		rt.Repeat(w.actions())
	})
}
