package api

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func (b *bench) named(id, name string) *runwayv1.RegisterNode {
	node := coordinatortest.RegisterNode(id)
	node.Name = name
	return node
}

// placed puts a replica of a new service on a node.
func (b *bench) placed(id, node string) {
	b.t.Helper()
	b.deploy("own", id)
	r := coordinatortest.Replica(id, id, 1, node, 20000)
	r.Workload, r.Deployment = key("own", id), b.state.View().Workload(state.IDOf(key("own", id))).GetActiveDeployment()
	b.state.Must(b.t, coordinatortest.Assign(r))
}

func TestNodes_CordonKeepsReplicasAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, b.named("n-1", "rack"))
	nodes := runwayv1.NewNodesClient(b.as(operator))
	for _, step := range []struct {
		name     string
		cordoned bool
		writes   bool
	}{{"rack", true, true}, {"n-1", true, false}, {"n-1", false, true}, {"rack", false, false}} {
		before := b.state.View().Index()
		answer, err := nodes.SetCordon(testContext(t), &runwayv1.SetCordonRequest{Node: step.name, Cordoned: step.cordoned})
		if err != nil || answer.GetNode().GetSpec().GetCordoned() != step.cordoned {
			t.Errorf("cordoned %v: %v, %v", step.cordoned, answer, err)
		}
		if wrote := b.state.View().Index() != before; wrote != step.writes {
			t.Errorf("cordoned %v as %s: written %v, want %v", step.cordoned, step.name, wrote, step.writes)
		}
	}
	if _, err := nodes.SetCordon(testContext(t), &runwayv1.SetCordonRequest{Node: "rack", Cordoned: true}); err != nil {
		t.Fatal(err)
	}
	b.deploy("own", "web")
	r := coordinatortest.Replica("r1", "web", 1, "n-1", 20000)
	r.Workload = key("own", "web")
	result, err := b.state.Apply(t.Context(), coordinatortest.Assign(r))
	if err != nil || len(coordinatortest.Refused(result)) != 1 {
		t.Errorf("a replica came to a cordoned node: %v, %v", result, err)
	}
	_, err = nodes.SetCordon(testContext(t), &runwayv1.SetCordonRequest{Node: "other", Cordoned: true})
	wantCode(t, err, code.SpecInvalid)
}

func TestNodes_Remove(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, b.named("n-1", "rack"), b.named("n-2", "rack"), b.named("n-3", "idle"))
	b.placed("web", "n-1")
	nodes := runwayv1.NewNodesClient(b.as(operator))
	remove := func(name string, force bool) (*runwayv1.RemoveNodeResponse, error) {
		return nodes.RemoveNode(testContext(t), &runwayv1.RemoveNodeRequest{Node: name, Force: force})
	}
	if _, err := remove("rack", true); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "by its ID") {
		t.Errorf("a name that two have: %v", err)
	}
	_, err := remove("n-1", false)
	wantCode(t, err, code.Conflict)
	if _, err := remove("idle", false); err != nil {
		t.Errorf("a node without replicas: %v", err)
	}
	answer, err := remove("n-1", true)
	if err != nil || answer.GetReplicas() != 1 || b.state.View().Replica("web") != nil || b.state.View().Node("n-1") != nil {
		t.Errorf("forced: %v, %v; replica %v", answer, err, b.state.View().Replica("web"))
	}
	if _, err := remove("n-1", false); err != nil {
		t.Errorf("asked for again: %v", err)
	}
	if _, err := remove("rack", false); err != nil || b.state.View().Node("n-2") != nil {
		t.Errorf("the name that one has now: %v", err)
	}
}

// A machine that was removed has a certificate that is still valid; with it, it neither
// comes back nor gets another one.
func TestNodes_RemovedMachineDoesNotComeBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterIngress("i-1"), &runwayv1.SetIngressPhase{Ingress: "i-1", Phase: runwayv1.IngressPhase_INGRESS_PHASE_LOST})
	conn := b.connect(client.Config{Identity: b.machineAt(ingress, "i-1", time.Now())})
	b.leads(b.as(node))
	hello := func() error {
		stream, err := runwayv1.NewIngressSessionClient(conn).Connect(testContext(t))
		if err != nil {
			return err
		}
		hello := &runwayv1.IngressHello{Name: "i-1", Facts: coordinatortest.RegisterIngress("i-1").GetFacts()}
		if err := stream.Send(&runwayv1.IngressMessage{Message: &runwayv1.IngressMessage_Hello{Hello: hello}}); err != nil && !errors.Is(err, io.EOF) {
			return err // an end of file is no reason: Recv tells it
		}
		_, err = stream.Recv()
		return err
	}
	if err := hello(); err != nil {
		t.Fatalf("before it is removed: %v", err)
	}
	if _, err := runwayv1.NewNodesClient(b.as(operator)).RemoveIngress(testContext(t), &runwayv1.RemoveIngressRequest{Ingress: "i-1"}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, hello(), code.MachineRemoved)
	if _, err := b.state.Apply(context.Background(), coordinatortest.RegisterIngress("i-1")); err == nil || b.state.View().Ingress("i-1") != nil {
		t.Errorf("a registration that raced with the removal: %v", err)
	}
}

func TestIngresses_Remove(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterIngress("i-1"), coordinatortest.RegisterIngress("i-2"))
	nodes := runwayv1.NewNodesClient(b.as(operator))
	remove := func(name string, force bool) error {
		_, err := nodes.RemoveIngress(testContext(t), &runwayv1.RemoveIngressRequest{Ingress: name, Force: force})
		return err
	}
	wantCode(t, remove("i-1", false), code.Conflict)
	if err := remove("i-1", true); err != nil || b.state.View().Ingress("i-1") != nil {
		t.Errorf("forced: %v", err)
	}
	b.state.Must(t, &runwayv1.SetIngressPhase{Ingress: "i-2", Phase: runwayv1.IngressPhase_INGRESS_PHASE_LOST})
	for range 2 { // the second time it is gone already
		if err := remove("i-2", false); err != nil || b.state.View().Ingress("i-2") != nil {
			t.Errorf("a lost one: %v", err)
		}
	}
	wantCode(t, remove("i-3", true), code.SpecInvalid)
}

func TestIngresses_ListSaysHowFarTheyFollow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterIngress("i-1"))
	answer, err := runwayv1.NewNodesClient(b.as(auditor)).ListIngresses(testContext(t), &runwayv1.ListIngressesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	view := answer.GetViews()[0]
	if answer.GetGeneration() != 7 || view.GetGeneration() != 5 || view.GetSaved() != 4 || !view.GetOwesSince().AsTime().Equal(coordinatortest.Epoch) || view.GetIngress().GetId() != "i-1" {
		t.Errorf("answer = %v", answer)
	}
}

func TestIngresses_AcceptNeedsARefusal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterIngress("i-1"))
	_, err := runwayv1.NewNodesClient(b.as(operator)).AcceptRoutes(testContext(t), &runwayv1.AcceptRoutesRequest{Ingress: "i-1", Going: 3})
	if status.Code(err) != codes.FailedPrecondition || client.CauseOf(err).GetCode() != string(code.IngressLost) {
		t.Errorf("an ingress without a session: %v", err)
	}
	_, err = runwayv1.NewNodesClient(b.as(operator)).AcceptRoutes(testContext(t), &runwayv1.AcceptRoutesRequest{Ingress: "i-9"})
	wantCode(t, err, code.SpecInvalid)
}
