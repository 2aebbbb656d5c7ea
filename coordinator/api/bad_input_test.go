package api

import (
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// What is too large or of an unknown value is refused, and the next good request is taken.
func TestDeploy_RefusesWhatNobodyMeans(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(admin))
	before := b.state.View().Index()
	for name, test := range map[string]struct {
		spoil func(*runwayv1.DeployRequest)
		want  codes.Code
	}{
		"5 MB":              {func(r *runwayv1.DeployRequest) { r.Message = strings.Repeat("x", 5<<20) }, codes.InvalidArgument},
		"more than is read": {func(r *runwayv1.DeployRequest) { r.Message = strings.Repeat("x", maxReceive) }, codes.ResourceExhausted},
		"unknown enum":      {func(r *runwayv1.DeployRequest) { r.Spec.Protocol = 99 }, codes.InvalidArgument},
	} {
		request := &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec()}
		test.spoil(request)
		if _, err := services.Deploy(testContext(t), request); status.Code(err) != test.want || client.CauseOf(err).GetCode() == string(code.Internal) {
			t.Errorf("%s: %.300v, want %v", name, err, test.want)
		}
	}
	if got := b.state.View().Index(); got != before {
		t.Errorf("refusals wrote %d commands", got-before)
	}
	newer := &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec()}
	newer.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 10_000, protowire.BytesType), "of a newer client"))
	if _, err := services.Deploy(testContext(t), newer); err != nil {
		t.Errorf("a request with an unknown field: %v", err)
	}
}

func TestReflection_OnlyForThoseWhoSignedIn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for want, conn := range map[codes.Code]*client.Conn{codes.Unauthenticated: b.connect(client.Config{}), codes.OK: b.as(viewer)} {
		stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(testContext(t))
		if err == nil {
			err = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		}
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != want {
			t.Errorf("reflection: %v, want %v", err, want)
		}
	}
}

// Two people deploy at one moment: both have a revision and a deployment, and one of
// them is in progress.
func TestDeploy_TwoAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(admin))
	var both sync.WaitGroup
	answers := make([]*runwayv1.DeployResponse, 2)
	for i := range answers {
		both.Go(func() {
			answer, err := services.Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec()})
			if err != nil {
				t.Error(err)
			}
			answers[i] = answer
		})
	}
	both.Wait()
	if t.Failed() {
		return
	}
	first, second := answers[0], answers[1]
	if first.GetRevision().GetNumber() == second.GetRevision().GetNumber() || first.GetDeployment().GetId() == second.GetDeployment().GetId() {
		t.Errorf("both are %v", first)
	}
	active := b.state.View().Workload("own/web/production").GetActiveDeployment()
	if active != first.GetDeployment().GetId() && active != second.GetDeployment().GetId() {
		t.Errorf("deployment %q is in progress, of %q and %q", active, first.GetDeployment().GetId(), second.GetDeployment().GetId())
	}
}
