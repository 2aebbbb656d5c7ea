package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/image"
	"github.com/runway-platform/runway/proto/code"
	"github.com/runway-platform/runway/proto/defaults"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestDeploy_MakesRevisionAndDeployment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	i := coordinatortest.RegisterIngress("i1")
	i.Facts.HttpsPort = 8443
	b.state.Must(t, i)
	answer, err := runwayv1.NewServicesClient(b.as(deployer)).Deploy(testContext(t), &runwayv1.DeployRequest{
		Workload: key("own", "web"), Spec: spec(), Message: "first",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.GetRevision().GetSpec().GetImage().GetResolved(); got != "registry.test/web"+digest {
		t.Errorf("resolved = %q", got)
	}
	if got := sprint(answer.GetUrls()); got != "[https://web.own.runway.localhost:8443/]" {
		t.Errorf("urls = %s", got)
	}
	d := answer.GetDeployment()
	if d.GetSpec().GetStrategy() != "rolling" || d.GetSpec().GetCreatedBy() != "role_deployer" || d.GetStatus().GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_PENDING {
		t.Errorf("deployment = %v", d)
	}
	if got := b.state.View().Wanted("own/web/production", coordinatortest.Region).GetCount(); got != 1 {
		t.Errorf("wanted = %d", got)
	}
}

func TestDeploy_SameKeyHappensOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(admin))
	var ids []string
	for range 2 {
		answer, err := services.Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec(), IdempotencyKey: "k"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, answer.GetDeployment().GetId())
	}
	if ids[0] != ids[1] {
		t.Errorf("two deployments %v for one key", ids)
	}
}

func TestDeploy_CompletesWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	answer, err := runwayv1.NewServicesClient(b.as(admin)).Deploy(testContext(t), &runwayv1.DeployRequest{
		Workload: key("own", "web"),
		Spec: &runwayv1.RevisionSpec{
			Image: &runwayv1.Image{Reference: "web:1", Resolved: "evil" + digest}, ContainerPort: 8080, Public: true,
			Resources: &runwayv1.Resources{CpuLimitMilli: 500, MemoryBytes: 64 << 20},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := answer.GetRevision().GetSpec()
	if s.GetResources().GetCpuRequestMilli() != 50 || s.GetScale().GetMin() != 1 || s.GetScale().GetMax() != 1 ||
		s.GetStartupProbe().GetPath() != "/" || s.GetDrainTimeout().AsDuration() != defaults.DrainTimeout || s.GetImage().GetResolved() != "web"+digest {
		t.Errorf("spec = %v", s)
	}
	if len(answer.GetWarnings()) != 1 {
		t.Errorf("warnings = %q", answer.GetWarnings())
	}
}

func TestDeploy_Refuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterNode("n1")) // 4 cores, 8 GiB, 100 GiB
	tests := []struct {
		name  string
		spoil func(*runwayv1.DeployRequest)
		want  code.Code
	}{
		{"no key", func(r *runwayv1.DeployRequest) { r.Workload = nil }, code.NameInvalid},
		{"name with underscore", func(r *runwayv1.DeployRequest) { r.Workload.Service = "ai_gateway" }, code.NameInvalid},
		{"reserved service", func(r *runwayv1.DeployRequest) { r.Workload.Service = "localhost" }, code.NameInvalid},
		{"reserved environment", func(r *runwayv1.DeployRequest) { r.Workload.Environment = "metadata" }, code.NameInvalid},
		{"encoded name", func(r *runwayv1.DeployRequest) { r.Workload.Service = "xn--abc" }, code.NameInvalid},
		{"endless name", func(r *runwayv1.DeployRequest) { r.Workload.Service = strings.Repeat("a", 64) }, code.NameInvalid},
		{"no such space", func(r *runwayv1.DeployRequest) { r.Workload.Space = "nowhere" }, code.SpaceNotFound},
		{"unknown strategy", func(r *runwayv1.DeployRequest) { r.Strategy = "canary" }, code.SpecInvalid},
		{"endless message", func(r *runwayv1.DeployRequest) { r.Message = strings.Repeat("x", 2000) }, code.SpecInvalid},
		{"no spec", func(r *runwayv1.DeployRequest) { r.Spec = nil }, code.SpecInvalid},
		{"no image", func(r *runwayv1.DeployRequest) { r.Spec.Image = nil }, code.SpecInvalid},
		{"endpoint without port", func(r *runwayv1.DeployRequest) { r.Spec.ContainerPort = 0 }, code.SpecInvalid},
		{"port 65536", func(r *runwayv1.DeployRequest) { r.Spec.ContainerPort = 65536 }, code.SpecInvalid},
		{"no memory", func(r *runwayv1.DeployRequest) { r.Spec.Resources.MemoryBytes = 0 }, code.SpecInvalid},
		{"negative memory", func(r *runwayv1.DeployRequest) { r.Spec.Resources.MemoryBytes = -1 }, code.SpecInvalid},
		{"request above limit", func(r *runwayv1.DeployRequest) { r.Spec.Resources.CpuRequestMilli = 2000 }, code.SpecInvalid},
		{"memory above any node", func(r *runwayv1.DeployRequest) { r.Spec.Resources.MemoryBytes = 9 << 30 }, code.LargerThanAnyNode},
		{"cpu above any node", func(r *runwayv1.DeployRequest) { r.Spec.Resources.CpuLimitMilli = 5000 }, code.LargerThanAnyNode},
		{"min above max", func(r *runwayv1.DeployRequest) { r.Spec.Scale = &runwayv1.ScalePolicy{Min: 3, Max: 2} }, code.SpecInvalid},
		{"max above bound", func(r *runwayv1.DeployRequest) { r.Spec.Scale.Max = 1 << 31 }, code.SpecInvalid},
		{"PORT", func(r *runwayv1.DeployRequest) { r.Spec.Env = map[string]string{"PORT": "1"} }, code.EnvironmentVariable},
		{"RUNWAY_", func(r *runwayv1.DeployRequest) { r.Spec.Env = map[string]string{"RUNWAY_X": "1"} }, code.EnvironmentVariable},
		{"name with =", func(r *runwayv1.DeployRequest) { r.Spec.Env = map[string]string{"A=B": "1"} }, code.EnvironmentVariable},
		{"NUL", func(r *runwayv1.DeployRequest) { r.Spec.Env = map[string]string{"A": "a\x00b"} }, code.EnvironmentVariable},
		{"large value", func(r *runwayv1.DeployRequest) {
			r.Spec.Env = map[string]string{"A": strings.Repeat("x", maxEnvBytes)}
		}, code.EnvironmentVariable},
		{"large label", func(r *runwayv1.DeployRequest) {
			r.Spec.Labels = map[string]string{"a": strings.Repeat("x", 1000)}
		}, code.SpecInvalid},
		{"probe without kind", func(r *runwayv1.DeployRequest) { r.Spec.StartupProbe = &runwayv1.Probe{} }, code.SpecInvalid},
		{"readiness probe without kind", func(r *runwayv1.DeployRequest) { r.Spec.ReadinessProbe = &runwayv1.Probe{} }, code.SpecInvalid},
		{"probe with a host", func(r *runwayv1.DeployRequest) { r.Spec.StartupProbe.Path = "http://evil/" }, code.SpecInvalid},
		{"probe with a line end", func(r *runwayv1.DeployRequest) { r.Spec.StartupProbe.Path = "/\r\nHost: evil" }, code.SpecInvalid},
		{"probe without end", func(r *runwayv1.DeployRequest) { r.Spec.StartupProbe.Period = durationpb.New(1) }, code.SpecInvalid},
		{"probe that fails for ever", func(r *runwayv1.DeployRequest) { r.Spec.StartupProbe.FailureThreshold = 1 << 31 }, code.SpecInvalid},
		{"endless drain", func(r *runwayv1.DeployRequest) { r.Spec.DrainTimeout = durationpb.New(100 * time.Hour) }, code.SpecInvalid},
		{"negative grace", func(r *runwayv1.DeployRequest) { r.Spec.TerminationGrace = durationpb.New(-time.Hour) }, code.SpecInvalid},
		{"command with NUL", func(r *runwayv1.DeployRequest) { r.Spec.Command = []string{"a\x00"} }, code.SpecInvalid},
	}
	services := runwayv1.NewServicesClient(b.as(admin))
	before := b.state.View().Index()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec()}
			tt.spoil(request)
			_, err := services.Deploy(testContext(t), request)
			wantCode(t, err, tt.want)
		})
	}
	if got := b.state.View().Index(); got != before {
		t.Errorf("refusals wrote %d commands", got-before)
	}
}

// A start that is judged by a liveness probe may take long, however often that one asks: what
// is made of a spec is not refused when it is sent again.
func TestDeploy_TakesTheProbeThatItMakes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	worker := spec()
	worker.Public, worker.Internal, worker.StartupProbe = false, false, nil
	worker.LivenessProbe = &runwayv1.Probe{
		Kind: runwayv1.ProbeKind_PROBE_KIND_TCP, Period: durationpb.New(defaults.ShortestProbePeriod), FailureThreshold: 3, Declared: true,
	}
	services := runwayv1.NewServicesClient(b.as(admin))
	for range 2 {
		answer, err := services.Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "worker"), Spec: worker})
		if err != nil {
			t.Fatal(err)
		}
		worker = answer.GetRevision().GetSpec()
		startup := worker.GetStartupProbe()
		if took := startup.GetPeriod().AsDuration() * time.Duration(startup.GetFailureThreshold()); took != defaults.StartBudget {
			t.Errorf("a start may take %s, want %s", took, defaults.StartBudget)
		}
	}
}

func TestDeploy_ImageCannotBeHad(t *testing.T) {
	t.Parallel()
	for reason, want := range map[error]code.Code{
		image.ErrNotFound: code.ImageNotFound, image.ErrDenied: code.ImageDenied, image.ErrPlatform: code.ImagePlatform,
		image.ErrUnreachable: code.RegistryUnreachable, image.ErrInvalid: code.ImageInvalid,
	} {
		b := newBench(t)
		b.images = func(context.Context, string) (string, error) { return "", fmt.Errorf("resolve image: %w", reason) }
		_, err := runwayv1.NewServicesClient(b.as(admin)).Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec()})
		wantCode(t, err, want)
		if got := len(b.state.View().Workloads()); got != 0 {
			t.Errorf("%v left %d workloads", reason, got)
		}
	}
}

func TestServices_ListsOnlyWhatIsSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy("own", "web")
	b.deploy("foreign", "secret-service")
	for role, want := range map[runwayv1.Role]int{viewer: 1, spaceAdmin: 1, operator: 2, auditor: 2, admin: 2} {
		services := runwayv1.NewServicesClient(b.as(role))
		list, err := services.ListServices(testContext(t), &runwayv1.ListServicesRequest{})
		if err != nil || len(list.GetServices()) != want {
			t.Errorf("%s sees %d services, %v; want %d", roleName(role), len(list.GetServices()), err, want)
		}
		deployments, err := runwayv1.NewDeploymentsClient(b.as(role)).ListDeployments(testContext(t), &runwayv1.ListDeploymentsRequest{})
		if err != nil || len(deployments.GetDeployments()) != want {
			t.Errorf("%s sees %d deployments, %v; want %d", roleName(role), len(deployments.GetDeployments()), err, want)
		}
		spaces, err := runwayv1.NewSpacesClient(b.as(role)).ListSpaces(testContext(t), &runwayv1.ListSpacesRequest{})
		if all := role != viewer && role != spaceAdmin; err != nil || (len(spaces.GetSpaces()) == 1) == all {
			t.Errorf("%s sees %d spaces, %v", roleName(role), len(spaces.GetSpaces()), err)
		}
	}
}

// A name that is mistyped is no service without replicas.
func TestServices_ReplicasOfAnUnknownService(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy("own", "web")
	b.deploy("foreign", "secret-service")
	services := runwayv1.NewServicesClient(b.as(viewer))
	for asked, want := range map[*runwayv1.WorkloadKey]code.Code{
		{Space: "own", Service: "web", Environment: "production"}: "",
		{Space: "own"}:   "",
		{Service: "web"}: "",
		{Space: "own", Service: "wbe", Environment: "production"}: code.ServiceNotFound,
		{Space: "own", Service: "web", Environment: "staging"}:    code.ServiceNotFound,
		{Service: "secret-service"}:                               code.ServiceNotFound,
	} {
		_, err := services.ListReplicas(testContext(t), &runwayv1.ListReplicasRequest{Workload: asked})
		wantCode(t, err, want)
	}
}

func TestDeployments_OfOthersDoNotExist(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	foreign := b.deploy("foreign", "web").GetDeployment().GetId()
	api := runwayv1.NewDeploymentsClient(b.as(deployer))
	calls := map[string]func(string) error{
		"get": func(id string) error {
			_, err := api.GetDeployment(testContext(t), &runwayv1.GetDeploymentRequest{Id: id})
			return err
		},
		"cancel": func(id string) error {
			_, err := api.CancelDeployment(testContext(t), &runwayv1.CancelDeploymentRequest{Id: id})
			return err
		},
		"watch": func(id string) error {
			stream, err := api.WatchDeployment(testContext(t), &runwayv1.WatchDeploymentRequest{Id: id})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		},
	}
	for name, call := range calls {
		denied, missing := call(foreign), call("d-missing")
		wantCode(t, denied, code.DeploymentNotFound)
		if strings.ReplaceAll(denied.Error(), foreign, "d-missing") != missing.Error() {
			t.Errorf("%s: foreign %v, missing %v", name, denied, missing)
		}
	}
}

func TestServices_AuditorReadsNoValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	with := spec()
	with.Env = map[string]string{"KEY": "value-of-key"}
	_, err := runwayv1.NewServicesClient(b.as(admin)).Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: with})
	if err != nil {
		t.Fatal(err)
	}
	auditing := runwayv1.NewServicesClient(b.as(auditor))
	service, err := auditing.GetService(testContext(t), &runwayv1.GetServiceRequest{Workload: key("own", "web")})
	if err != nil || strings.Contains(service.String(), "value-of-key") {
		t.Errorf("GetService = %v, %v", service, err)
	}
	revisions, err := auditing.ListRevisions(testContext(t), &runwayv1.ListRevisionsRequest{Workload: key("own", "web")})
	if err != nil || strings.Contains(revisions.String(), "value-of-key") || !strings.Contains(revisions.String(), "KEY") {
		t.Errorf("ListRevisions = %v, %v", revisions, err)
	}
	if got := b.state.View().Revision("own/web/production", 1).GetSpec().GetEnv()["KEY"]; got != "value-of-key" {
		t.Errorf("redaction changed the state: %q", got)
	}
}

func TestScale(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy("own", "web") // 1 to 10
	services := runwayv1.NewServicesClient(b.as(deployer))
	answer, err := services.Scale(testContext(t), &runwayv1.ScaleRequest{Workload: key("own", "web"), Count: 6})
	if err != nil || answer.GetBefore() != 1 || answer.GetWanted().GetCount() != 6 || answer.GetWanted().GetWriter() != "role_deployer" {
		t.Errorf("Scale = %v, %v", answer, err)
	}
	for _, tt := range []struct {
		request *runwayv1.ScaleRequest
		want    code.Code
	}{
		{&runwayv1.ScaleRequest{Workload: key("own", "web"), Count: 11}, code.ScaleOutOfBounds},
		{&runwayv1.ScaleRequest{Workload: key("own", "web"), Count: 0}, code.ScaleOutOfBounds},
		{&runwayv1.ScaleRequest{Workload: key("own", "web"), Count: 2, Region: "mars"}, code.SpecInvalid},
		{&runwayv1.ScaleRequest{Workload: key("own", "nobody"), Count: 2}, code.ServiceNotFound},
	} {
		_, err := services.Scale(testContext(t), tt.request)
		wantCode(t, err, tt.want)
	}
}

func TestRestartAndDelete(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(spaceAdmin))
	_, err := services.Restart(testContext(t), &runwayv1.RestartRequest{Workload: key("own", "web")})
	wantCode(t, err, code.ServiceNotFound)
	made := b.deploy("own", "web")
	_, err = services.Restart(testContext(t), &runwayv1.RestartRequest{Workload: key("own", "web")})
	wantCode(t, err, code.NothingDeployed)
	b.succeed(made.GetDeployment())
	again, err := services.Restart(testContext(t), &runwayv1.RestartRequest{Workload: key("own", "web")})
	if err != nil || !again.GetDeployment().GetSpec().GetRestart() || again.GetRevision().GetNumber() != 1 {
		t.Errorf("Restart = %v, %v", again, err)
	}
	if _, err := services.DeleteService(testContext(t), &runwayv1.DeleteServiceRequest{Workload: key("own", "web")}); err != nil {
		t.Fatal(err)
	}
	_, err = services.Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec()})
	wantCode(t, err, code.ServiceDeleting)
}

// succeed ends a deployment as its controller would.
func (b *bench) succeed(d *runwayv1.Deployment) {
	b.t.Helper()
	b.state.Must(b.t, &runwayv1.SetDeploymentStatus{
		Deployment: d.GetId(), ModifiedIndex: b.state.View().Deployment(d.GetId()).GetMeta().GetModifiedIndex(),
		Status: &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED},
	})
}

func TestWatchDeployment_UntilItEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterNode("n1"))
	d := b.deploy("own", "web").GetDeployment()
	stream, err := runwayv1.NewDeploymentsClient(b.as(viewer)).WatchDeployment(testContext(t), &runwayv1.WatchDeploymentRequest{Id: d.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.GetDeployment().GetId() != d.GetId() || len(first.GetReplicas()) != 0 {
		t.Fatalf("first = %v, %v", first, err)
	}
	b.state.Must(t, &runwayv1.PutSpace{Name: "unrelated", Create: true}, coordinatortest.RegisterNode("n2"))
	r := coordinatortest.Replica("r1", "web", 1, "n1", 20000)
	r.Workload, r.Deployment = key("own", "web"), d.GetId()
	b.state.Must(t, coordinatortest.Assign(r))
	next, err := stream.Recv()
	if err != nil || len(next.GetReplicas()) != 1 || next.GetReplicas()[0].GetNodeName() != "n1" || next.GetIndex() <= first.GetIndex() {
		t.Fatalf("next = %v, %v", next, err)
	}
	b.succeed(d)
	b.state.Must(t, &runwayv1.RecordDeploymentReport{Deployment: d.GetId(), Report: &runwayv1.DeploymentReport{Requests: 7}})
	last, err := stream.Recv()
	if err != nil || last.GetDeployment().GetStatus().GetPhase() != succeeded || last.GetDeployment().GetReport().GetRequests() != 7 {
		t.Fatalf("last = %v, %v; want the end with its report", last, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("end = %v", err)
	}
}

// A report that does not come holds up the end for a moment only, and only once.
func TestWatchDeployment_EndsWithoutAReport(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	d := b.deploy("own", "web").GetDeployment()
	b.succeed(d)
	for _, most := range []time.Duration{reportPatience + time.Second, time.Second} {
		begin := time.Now()
		stream, err := runwayv1.NewDeploymentsClient(b.as(viewer)).WatchDeployment(testContext(t), &runwayv1.WatchDeploymentRequest{Id: d.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		last, err := stream.Recv()
		if took := time.Since(begin); err != nil || last.GetDeployment().GetReport() != nil || took > most {
			t.Fatalf("last = %v, %v after %v, want the end within %v", last, err, took, most)
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("end = %v", err)
		}
	}
}

func TestReportDue(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ended := func(ago time.Duration, report *runwayv1.DeploymentReport) *runwayv1.Deployment {
		return &runwayv1.Deployment{Status: &runwayv1.DeploymentStatus{Phase: succeeded, EndedAt: timestamppb.New(now.Add(-ago))}, Report: report}
	}
	for _, tt := range []struct {
		name string
		d    *runwayv1.Deployment
		want time.Duration
	}{
		{"in progress", &runwayv1.Deployment{Status: &runwayv1.DeploymentStatus{Phase: 2}}, 0},
		{"just ended", ended(0, nil), reportPatience},
		{"a while ago", ended(time.Second, nil), reportPatience - time.Second},
		{"long ago", ended(time.Hour, nil), 0},
		{"by a clock that is ahead", ended(-time.Hour, nil), reportPatience},
		{"with its report", ended(0, &runwayv1.DeploymentReport{}), 0},
	} {
		if got := reportDue(tt.d, now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestEvents_OfOthersDoNotExist(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterNode("n1"))
	b.deploy("own", "web")
	b.deploy("foreign", "web")
	kinds := func(role runwayv1.Role) (own, foreign, cluster int) {
		stream, err := runwayv1.NewEventsClient(b.as(role)).ListEvents(testContext(t), &runwayv1.ListEventsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range answer.GetEvents() {
			switch e.GetWorkload().GetSpace() {
			case "own":
				own++
			case "foreign":
				foreign++
			case "":
				cluster++
			}
		}
		return own, foreign, cluster
	}
	if own, foreign, cluster := kinds(viewer); own == 0 || foreign+cluster != 0 {
		t.Errorf("viewer sees %d own, %d foreign, %d cluster events", own, foreign, cluster)
	}
	if own, foreign, cluster := kinds(operator); own == 0 || foreign == 0 || cluster == 0 {
		t.Errorf("operator sees %d own, %d foreign, %d cluster events", own, foreign, cluster)
	}
}

func TestEvents_Follow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stream, err := runwayv1.NewEventsClient(b.as(viewer)).ListEvents(testContext(t), &runwayv1.ListEventsRequest{
		Workload: &runwayv1.WorkloadKey{Space: "own", Service: "web"}, Follow: true, Limit: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || len(first.GetEvents()) != 0 {
		t.Fatalf("first = %v, %v", first, err)
	}
	b.deploy("own", "other")
	b.deploy("foreign", "web")
	b.deploy("own", "web")
	next, err := stream.Recv()
	if err != nil || len(next.GetEvents()) != 1 || next.GetEvents()[0].GetWorkload().GetService() != "web" {
		t.Errorf("next = %v, %v", next, err)
	}
}

func TestWhy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterNode("n1"), coordinatortest.RegisterIngress("i1"))
	d := b.deploy("own", "web").GetDeployment()
	why := func() *runwayv1.WhyResponse {
		t.Helper()
		answer, err := runwayv1.NewServicesClient(b.as(viewer)).Why(testContext(t), &runwayv1.WhyRequest{Workload: key("own", "web")})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if got := why(); !strings.HasPrefix(got.GetSummary(), "deployment of revision 1 is under way") || len(got.GetCauses()) != 0 {
		t.Errorf("under way: %v", got)
	}
	r := coordinatortest.Replica("r1", "web", 1, "n1", 20000)
	r.Workload, r.Deployment = key("own", "web"), d.GetId()
	b.state.Must(t, coordinatortest.Assign(r), &runwayv1.ReportReplicas{Reports: []*runwayv1.NodeReport{{
		Node: "n1", Replica: "r1", NodeEpoch: 1, Status: &runwayv1.ReplicaStatus{
			Phase: runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING,
			Cause: &runwayv1.Cause{Code: string(code.ProbeFailed), Summary: "GET /healthz 500", Evidence: []string{"500 no database"}},
		},
	}}})
	if got := why(); got.GetCauses()[0].GetCode() != string(code.ProbeFailed) || got.GetCauses()[0].GetEvidence()[0] != "500 no database" ||
		!strings.HasPrefix(got.GetSummary(), "RW-1203 GET /healthz 500") {
		t.Errorf("failing probe: %v", got)
	}
	b.state.Must(t, &runwayv1.SetNodePhase{Node: "n1", Phase: runwayv1.NodePhase_NODE_PHASE_SUSPECT}, &runwayv1.SetIngressPhase{Ingress: "i1", Phase: runwayv1.IngressPhase_INGRESS_PHASE_LOST})
	var codesSeen []string
	for _, cause := range why().GetCauses() {
		codesSeen = append(codesSeen, cause.GetCode())
	}
	if got := sprint(codesSeen); got != "[RW-1203 RW-5003 RW-4002]" {
		t.Errorf("chain = %s", got)
	}
	b.state.Must(t, &runwayv1.SetNodePhase{Node: "n1", Phase: runwayv1.NodePhase_NODE_PHASE_READY}, &runwayv1.SetIngressPhase{Ingress: "i1", Phase: runwayv1.IngressPhase_INGRESS_PHASE_LIVE},
		coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING), &runwayv1.ConfirmRoutes{Serving: []string{"r1"}})
	b.succeed(d)
	if got := why(); got.GetSummary() != "healthy: 1 of 1 replicas ready, 1 serving" {
		t.Errorf("healthy: %v", got)
	}
	report := func(workload *runwayv1.WorkloadKey) {
		b.state.Must(t, &runwayv1.ReportIngress{Ingress: "i1", Problems: []*runwayv1.RouteProblem{{
			Workload: workload, Host: "web.own.runway.localhost", Cause: &runwayv1.Cause{Code: string(code.CertificateFailed), Summary: "no certificate yet"},
		}}})
	}
	report(key("own", "other"))
	if got := why(); len(got.GetCauses()) != 0 {
		t.Errorf("problem of another service: %v", got)
	}
	report(key("own", "web"))
	want := "RW-4101 ingress i1 does not serve web.own.runway.localhost: no certificate yet (1 of 1 replicas ready, 1 serving)"
	if got := why(); got.GetSummary() != want {
		t.Errorf("name without certificate: got %q, want %q", got.GetSummary(), want)
	}
}

func TestSpaces_DeleteWithServices(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	spaces := runwayv1.NewSpacesClient(b.as(admin))
	_, err := spaces.CreateSpace(testContext(t), &runwayv1.CreateSpaceRequest{Name: "Own"})
	wantCode(t, err, code.NameInvalid)
	_, err = spaces.CreateSpace(testContext(t), &runwayv1.CreateSpaceRequest{Name: "own"})
	wantCode(t, err, code.SpaceExists)
	b.deploy("own", "web")
	_, err = spaces.DeleteSpace(testContext(t), &runwayv1.DeleteSpaceRequest{Name: "own"})
	wantCode(t, err, code.SpaceNotEmpty)
	if _, err := spaces.DeleteSpace(testContext(t), &runwayv1.DeleteSpaceRequest{Name: "own", WithServices: true}); err != nil {
		t.Fatal(err)
	}
	if view := b.state.View(); !view.Space("own").GetSpec().GetDelete() || !view.Workload("own/web/production").GetDelete() {
		t.Error("space and service are not being deleted")
	}
}

func TestSpaces_RestrictedStaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	spaces := runwayv1.NewSpacesClient(b.as(admin))
	made, err := spaces.CreateSpace(testContext(t), &runwayv1.CreateSpaceRequest{Name: "shop", Description: "of the shop", Restricted: true})
	if err != nil || !made.GetSpec().GetRestricted() {
		t.Fatalf("got %v, %v, want a restricted space", made, err)
	}
	if _, err := spaces.DeleteSpace(testContext(t), &runwayv1.DeleteSpaceRequest{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	want := &runwayv1.SpaceSpec{Description: "of the shop", Restricted: true, Delete: true}
	if got := b.state.View().Space("shop").GetSpec(); !proto.Equal(got, want) {
		t.Errorf("while it is deleted: got %v, want %v", got, want)
	}
}

func TestNodes_CountsReservations(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterNode("n1"))
	b.deploy("own", "web")
	r := coordinatortest.Replica("r1", "web", 1, "n1", 20000)
	r.Workload = key("own", "web")
	b.state.Must(t, coordinatortest.Assign(r))
	answer, err := runwayv1.NewNodesClient(b.as(operator)).ListNodes(testContext(t), &runwayv1.ListNodesRequest{})
	if err != nil || len(answer.GetNodes()) != 1 {
		t.Fatalf("ListNodes = %v, %v", answer, err)
	}
	if n := answer.GetNodes()[0]; n.GetReplicas() != 1 || n.GetReservedMemoryBytes() != 128<<20 || n.GetReservedCpuMilli() != 100 {
		t.Errorf("node = %v", n)
	}
}

func TestInternal_ShowsNothingButARequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.images = func(context.Context, string) (string, error) { panic("secret of the process") }
	_, err := runwayv1.NewServicesClient(b.as(admin)).Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec()})
	if status.Code(err) != codes.Internal || strings.Contains(sprint(err, client.CauseOf(err)), "secret") {
		t.Errorf("Deploy = %v", err)
	}
	wantCode(t, err, code.Internal)
	if !strings.Contains(b.log.String(), "secret of the process") {
		t.Error("the defect was not logged")
	}
	b.images = func(context.Context, string) (string, error) { return "", errors.New("plain secret") }
	_, err = runwayv1.NewServicesClient(b.as(admin)).Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec()})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("Deploy = %v", err)
	}
}

// Every answer says which state it is made from, so that who has written something
// knows which later answers have it.
func TestAnswers_CarryIndexAndAge(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.config.Age = func() time.Duration { return 1234567 * time.Microsecond }
	conn := b.as(admin)
	var header metadata.MD
	before := b.state.View().Index()
	if _, err := runwayv1.NewServicesClient(conn).Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec()}, grpc.Header(&header)); err != nil {
		t.Fatal(err)
	}
	index, err := strconv.ParseUint(strings.Join(header.Get(indexHeader), " "), 10, 64)
	if err != nil || index <= before || index > b.state.View().Index() {
		t.Errorf("the answer has index %d (%v), before the write it was %d", index, err, before)
	}
	if got := header.Get(ageHeader); !slices.Equal(got, []string{"1.235s"}) {
		t.Errorf("the answer has age %v", got)
	}
	_, err = runwayv1.NewSpacesClient(conn).GetSpace(testContext(t), &runwayv1.GetSpaceRequest{Name: "nowhere"}, grpc.Header(&header))
	wantCode(t, err, code.SpaceNotFound)
	if len(header.Get(indexHeader)) != 1 {
		t.Errorf("a refusal has the headers %v", header)
	}
}

func TestServices_KeysAreNotConfused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.deploy("own", "web")
	// "own/web" + "production" and "own" + "web/production" are not the same key.
	for _, k := range []*runwayv1.WorkloadKey{
		{Space: "own", Service: "web/production"}, {Space: "own", Service: "", Environment: "web/production"},
	} {
		_, err := runwayv1.NewServicesClient(b.as(admin)).GetService(testContext(t), &runwayv1.GetServiceRequest{Workload: k})
		wantCode(t, err, code.ServiceNotFound)
	}
}
