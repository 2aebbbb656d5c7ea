package api

import (
	"cmp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// history makes deployments of web one after the other, each with a new revision,
// and ends each in the given phase.
func (b *bench) history(phases ...runwayv1.DeploymentPhase) {
	b.t.Helper()
	for _, phase := range phases {
		d := b.deploy("own", "web").GetDeployment()
		b.end(d, phase)
	}
}

func (b *bench) end(d *runwayv1.Deployment, phase runwayv1.DeploymentPhase) {
	b.t.Helper()
	b.state.Must(b.t, &runwayv1.SetDeploymentStatus{
		Deployment: d.GetId(), ModifiedIndex: b.state.View().Deployment(d.GetId()).GetMeta().GetModifiedIndex(),
		Status: &runwayv1.DeploymentStatus{Phase: phase},
	})
}

const (
	rolledBack = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK
	failed     = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED
)

func TestRollback_GoesToWhatServedBefore(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		history []runwayv1.DeploymentPhase
		want    uint64
	}{
		{"the one before", []runwayv1.DeploymentPhase{succeeded, succeeded}, 1},
		{"not merely the latest but one", []runwayv1.DeploymentPhase{succeeded, rolledBack, failed, succeeded}, 1},
		{"a failed one after it changes nothing", []runwayv1.DeploymentPhase{succeeded, succeeded, rolledBack}, 1},
		{"the newest of several", []runwayv1.DeploymentPhase{succeeded, succeeded, succeeded}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.history(tt.history...)
			before := b.state.View().Workload(state.IDOf(key("own", "web"))).GetLatestRevision()
			answer, err := runwayv1.NewServicesClient(b.as(deployer)).Rollback(testContext(t), &runwayv1.RollbackRequest{Workload: key("own", "web")})
			if err != nil {
				t.Fatal(err)
			}
			if got := answer.GetRevision().GetNumber(); got != tt.want || answer.GetDeployment().GetSpec().GetRevision() != tt.want {
				t.Errorf("went to revision %d, want %d: %v", got, tt.want, answer.GetDeployment())
			}
			w := b.state.View().Workload(state.IDOf(key("own", "web")))
			if w.GetLatestRevision() != before || w.GetActiveDeployment() != answer.GetDeployment().GetId() {
				t.Errorf("workload %v: a revision was made, or the deployment is not in progress", w)
			}
		})
	}
}

// A restart of the serving revision is nothing to go back to, and going back twice
// returns to where one was.
func TestRollback_SkipsRestartsAndGoesForthAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(deployer))
	b.history(succeeded, succeeded)
	again, err := services.Restart(testContext(t), &runwayv1.RestartRequest{Workload: key("own", "web")})
	if err != nil {
		t.Fatal(err)
	}
	b.end(again.GetDeployment(), succeeded)
	for _, want := range []uint64{1, 2} {
		answer, err := services.Rollback(testContext(t), &runwayv1.RollbackRequest{Workload: key("own", "web")})
		if err != nil || answer.GetRevision().GetNumber() != want {
			t.Fatalf("Rollback = %v, %v; want revision %d", answer, err, want)
		}
		if !strings.Contains(answer.GetDeployment().GetSpec().GetMessage(), "roll back from revision") {
			t.Errorf("message %q does not say what it is", answer.GetDeployment().GetSpec().GetMessage())
		}
		b.end(answer.GetDeployment(), succeeded)
	}
}

// The deployment that served before may be forgotten; the serving one still names
// its revision.
func TestRollback_SaysWhatItIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(deployer))
	b.history(failed)
	ask := func(revision uint64) (*runwayv1.DeployResponse, error) {
		return services.Rollback(testContext(t), &runwayv1.RollbackRequest{Workload: key("own", "web"), Revision: revision})
	}
	if _, err := ask(0); err == nil || !strings.Contains(err.Error(), `no revision of service "web" has ever served`) {
		t.Errorf("where nothing ever served: %v", err)
	}
	answer, err := ask(1)
	if got := answer.GetDeployment().GetSpec().GetMessage(); err != nil || got != "deploy revision 1 again" {
		t.Errorf("where nothing serves: message %q, %v", got, err)
	}
}

// A repeated request is the one that was made: an answer may be lost on the way.
func TestRestart_SameRequestHappensOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(deployer))
	b.history(succeeded)
	request := &runwayv1.RestartRequest{Workload: key("own", "web"), IdempotencyKey: "once"}
	first, err := services.Restart(testContext(t), request)
	if err != nil {
		t.Fatal(err)
	}
	again, err := services.Restart(testContext(t), request)
	if err != nil || again.GetDeployment().GetId() != first.GetDeployment().GetId() {
		t.Errorf("the same key gave %v, %v, want %s", again.GetDeployment(), err, first.GetDeployment().GetId())
	}
	request.IdempotencyKey = strings.Repeat("x", maxKey+1)
	if _, err := services.Restart(testContext(t), request); status.Code(err) != codes.InvalidArgument {
		t.Errorf("endless key: %v", err)
	}
}

// Every strategy of the registry can be named, and the answer to another lists them.
func TestDeploy_NamesOfStrategiesAreThoseOfTheRegistry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(deployer))
	for _, name := range append(deployment.Names(), "") {
		answer, err := services.Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec(), Strategy: name})
		if err != nil {
			t.Fatalf("strategy %q: %v", name, err)
		}
		if got := answer.GetDeployment().GetSpec().GetStrategy(); got != cmp.Or(name, deployment.DefaultStrategy) {
			t.Errorf("strategy %q became %q", name, got)
		}
	}
	_, err := services.Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: spec(), Strategy: "blue"})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "choose one of "+strings.Join(deployment.Names(), ", ")) {
		t.Errorf("unknown strategy: %v", err)
	}
}

func TestRollback_AfterAForgottenHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.history(succeeded, succeeded)
	for range 19 { // restarts push the first deployment out
		again, err := runwayv1.NewServicesClient(b.as(deployer)).Restart(testContext(t), &runwayv1.RestartRequest{Workload: key("own", "web")})
		if err != nil {
			t.Fatal(err)
		}
		b.end(again.GetDeployment(), succeeded)
	}
	answer, err := runwayv1.NewServicesClient(b.as(deployer)).Rollback(testContext(t), &runwayv1.RollbackRequest{Workload: key("own", "web")})
	if err != nil || answer.GetRevision().GetNumber() != 1 {
		t.Errorf("Rollback = %v, %v; want revision 1", answer, err)
	}
}

func TestRollback_NamedRevisionSupersedes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.history(succeeded, succeeded)
	rolls := b.deploy("own", "web").GetDeployment()
	answer, err := runwayv1.NewServicesClient(b.as(deployer)).Rollback(testContext(t), &runwayv1.RollbackRequest{
		Workload: key("own", "web"), Revision: 2, Message: "undo", IdempotencyKey: "once",
	})
	if err != nil || answer.GetRevision().GetNumber() != 2 || answer.GetDeployment().GetSpec().GetMessage() != "undo" {
		t.Fatalf("Rollback = %v, %v", answer, err)
	}
	if got := b.state.View().Deployment(rolls.GetId()).GetStatus().GetPhase(); got != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUPERSEDED {
		t.Errorf("the deployment in progress is %v", got)
	}
	repeated, err := runwayv1.NewServicesClient(b.as(deployer)).Rollback(testContext(t), &runwayv1.RollbackRequest{
		Workload: key("own", "web"), IdempotencyKey: "once",
	})
	if err != nil || repeated.GetDeployment().GetId() != answer.GetDeployment().GetId() {
		t.Errorf("the same key gave %v, %v", repeated.GetDeployment(), err)
	}
}

// A rollback takes the count that somebody chose within its bounds and leaves the
// choice as it is: undone, or followed by a wider revision, there is what there was.
func TestRollback_TakesTheChosenCountWithinItsBounds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	services := runwayv1.NewServicesClient(b.as(admin))
	narrow := spec()
	narrow.Scale = &runwayv1.ScalePolicy{Min: 1, Max: 2}
	first, err := services.Deploy(testContext(t), &runwayv1.DeployRequest{Workload: key("own", "web"), Spec: narrow})
	if err != nil {
		t.Fatal(err)
	}
	b.end(first.GetDeployment(), succeeded)
	b.history(succeeded)
	if _, err := services.Scale(testContext(t), &runwayv1.ScaleRequest{Workload: key("own", "web"), Count: 6}); err != nil {
		t.Fatal(err)
	}
	back, err := services.Rollback(testContext(t), &runwayv1.RollbackRequest{Workload: key("own", "web")})
	if err != nil {
		t.Fatal(err)
	}
	if got := back.GetDeployment().GetStatus().GetWanted(); got != 2 {
		t.Errorf("the rollback wants %d, want the most of revision 1, which is 2", got)
	}
	if got := b.state.View().Wanted(state.IDOf(key("own", "web")), coordinatortest.Region).GetCount(); got != 6 {
		t.Errorf("the chosen count has become %d, want 6", got)
	}
}

func TestRollback_Refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		history []runwayv1.DeploymentPhase
		rolls   bool
		ask     func(*runwayv1.RollbackRequest)
		status  codes.Code
		want    code.Code
	}{
		{"no service", nil, false, func(*runwayv1.RollbackRequest) {}, codes.NotFound, code.ServiceNotFound},
		{"nothing ever served", []runwayv1.DeploymentPhase{failed}, false, func(*runwayv1.RollbackRequest) {}, codes.InvalidArgument, code.NothingBefore},
		{"the first that served", []runwayv1.DeploymentPhase{failed, succeeded}, false, func(*runwayv1.RollbackRequest) {}, codes.InvalidArgument, code.NothingBefore},
		{"unknown revision", []runwayv1.DeploymentPhase{succeeded}, false, func(r *runwayv1.RollbackRequest) { r.Revision = 9 }, codes.NotFound, code.RevisionNotFound},
		{"what serves already", []runwayv1.DeploymentPhase{succeeded}, false, func(r *runwayv1.RollbackRequest) { r.Revision = 1 }, codes.InvalidArgument, code.SpecInvalid},
		{"unnamed while one rolls", []runwayv1.DeploymentPhase{succeeded, succeeded}, true, func(*runwayv1.RollbackRequest) {}, codes.Aborted, code.Conflict},
		{"endless message", []runwayv1.DeploymentPhase{succeeded, succeeded}, false, func(r *runwayv1.RollbackRequest) { r.Message = strings.Repeat("x", 2000) }, codes.InvalidArgument, code.SpecInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.history(tt.history...)
			if tt.rolls {
				b.deploy("own", "web")
			}
			before := b.state.View().Index()
			request := &runwayv1.RollbackRequest{Workload: key("own", "web")}
			tt.ask(request)
			_, err := runwayv1.NewServicesClient(b.as(admin)).Rollback(testContext(t), request)
			wantCode(t, err, tt.want)
			if got := status.Code(err); got != tt.status {
				t.Errorf("status %v, want %v", got, tt.status)
			}
			if tt.rolls && !strings.Contains(err.Error(), "runwayctl deployments cancel d-") {
				t.Errorf("%v does not say how to undo what rolls", err)
			}
			if got := b.state.View().Index(); got != before && tt.history != nil {
				t.Errorf("the refusal wrote %d commands", got-before)
			}
		})
	}
}
