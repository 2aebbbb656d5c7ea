package cli

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/runway-platform/runway/cli/clitest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Phases and causes of the deployments below.
const (
	rolling    = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING
	undoing    = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING
	rolledBack = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK
	failed     = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED
	cancelled  = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_CANCELLED
	superseded = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUPERSEDED
	starting   = runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING
)

func probeFailed() *runwayv1.Cause {
	return &runwayv1.Cause{
		Code: string(code.ProbeFailed), Summary: "probe failed: GET /healthz 500", Fix: "check the path of startup_probe or readiness_probe, and the answer shown",
		Evidence: []string{"HTTP/1.1 500 Internal Server Error", "web-a | panic: no database"},
	}
}

func unplaceable() *runwayv1.Cause {
	return &runwayv1.Cause{Code: string(code.Unplaceable), Summary: "no node fits web (2 replicas pending): 4 short of memory", Fix: "add a node or lower the memory reservation"}
}

// deployRun is a deploy of webManifest that ends with the given message.
func deployRun(t *testing.T, steps ...*runwayv1.WatchDeploymentResponse) *run {
	t.Helper()
	fake := clitest.Healthy()
	if len(steps) > 0 {
		fake.Watches = [][]*runwayv1.WatchDeploymentResponse{steps}
	}
	return &run{
		fake: fake, args: "deploy -f DIR", env: map[string]string{"TAG": "3"},
		dir: folder(t, map[string]string{"runway.yml": webManifest, "env-production.yml": "GREETING: hello\n"}),
	}
}

func withArgs(r *run, args string) *run { r.args += " " + args; return r }

func TestDeploy_ShowsItsEnd(t *testing.T) {
	t.Parallel()
	replica := clitest.Replica("web-a", starting, false, false)
	undone := func(d *runwayv1.Deployment) *runwayv1.Deployment { d.Status.Undone = true; return d }
	first := func(d *runwayv1.Deployment) *runwayv1.Deployment { d.Spec.PreviousRevision = 0; return d }
	for name, r := range map[string]*run{
		"deploy":                  deployRun(t),
		"deploy_json":             withArgs(deployRun(t), "-o json"),
		"deploy_yaml":             withArgs(deployRun(t), "-o yaml"),
		"deploy_quiet":            withArgs(deployRun(t), "-q"),
		"deploy_verbose":          withArgs(deployRun(t), "-v"),
		"deploy_detach":           withArgs(deployRun(t), "--detach"),
		"deploy_detach_json":      withArgs(deployRun(t), "--detach -o json"),
		"deploy_rolled_back":      deployRun(t, clitest.Step(clitest.Deployment(rolling, 0, nil), replica), clitest.Step(clitest.Deployment(undoing, 0, probeFailed()), replica), clitest.Step(clitest.Deployment(rolledBack, 0, probeFailed()))),
		"deploy_rolled_back_json": withArgs(deployRun(t, clitest.Step(clitest.Deployment(rolledBack, 0, probeFailed()), replica)), "-o json"),
		"deploy_failed":           deployRun(t, clitest.Step(first(clitest.Deployment(failed, 0, probeFailed())), replica)),
		"deploy_unplaceable":      deployRun(t, clitest.Step(first(clitest.Deployment(failed, 0, unplaceable())))),
		"deploy_partly_placed":    deployRun(t, clitest.Step(first(clitest.Deployment(failed, 0, unplaceable())), replica)),
		"deploy_cancelled":        deployRun(t, clitest.Step(undone(clitest.Deployment(cancelled, 0, &runwayv1.Cause{Code: string(code.DeploymentCancelled), Summary: "cancelled by jane"})))),
		"deploy_cancelled_half":   deployRun(t, clitest.Step(clitest.Deployment(cancelled, 0, &runwayv1.Cause{Code: string(code.DeploymentCancelled), Summary: "cancelled by jane"}))),
		"deploy_undo_failed":      deployRun(t, clitest.Step(clitest.Deployment(failed, 0, probeFailed()), replica)),
		"deploy_superseded":       deployRun(t, clitest.Step(clitest.Deployment(superseded, 0, &runwayv1.Cause{Code: string(code.DeploymentSuperseded), Summary: "deployment 01JNQ9 took over"}))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.golden(t, name)
		})
	}
}

func TestDeploy_OnATerminal(t *testing.T) {
	t.Parallel()
	r := deployRun(t)
	r.tty = true
	r.golden(t, "deploy_terminal")
	r = deployRun(t)
	r.tty, r.env["NO_COLOR"] = true, "1"
	r.golden(t, "deploy_terminal_no_color")
}

func TestDeploy_SendsWhatTheManifestSays(t *testing.T) {
	t.Parallel()
	r := withArgs(deployRun(t), "shop -s default -e staging --strategy rolling -m why")
	if o := r.do(t); o.exit != 0 {
		t.Fatalf("exit %d: %s", o.exit, o.stderr)
	}
	requests := r.fake.Requests("Deploy")
	if len(requests) != 1 {
		t.Fatalf("%d requests, want 1", len(requests))
	}
	got := requests[0].(*runwayv1.DeployRequest)
	want := &runwayv1.WorkloadKey{Space: "default", Service: "shop", Environment: "staging"}
	if diff := cmp.Diff(want.String(), got.GetWorkload().String()); diff != "" {
		t.Errorf("workload (-want +got):\n%s", diff)
	}
	if got.GetSpec().GetImage().GetReference() != "registry.example.com/web:3" || got.GetSpec().GetScale().GetMin() != 2 || got.GetStrategy() != "rolling" || got.GetMessage() != "why" {
		t.Errorf("request %v", got)
	}
	if got.GetIdempotencyKey() == "" || got.GetSpec().GetEnv()["GREETING"] != "" {
		t.Errorf("key %q, env of another environment %v", got.GetIdempotencyKey(), got.GetSpec().GetEnv())
	}
}

// An answer that is lost is asked for again with the same key.
func TestDeploy_RepeatsWithOneKey(t *testing.T) {
	t.Parallel()
	for method, args := range map[string]string{"Deploy": "deploy -f DIR", "Rollback": "rollback web", "Restart": "restart web"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			r := deployRun(t)
			r.args = args
			r.fake.Refuse = map[string]error{method: status.Error(codes.Unavailable, "gone")}
			r.fake.Refusals = map[string]int{method: deployAttempts - 1}
			if o := r.do(t); o.exit != 0 {
				t.Fatalf("exit %d: %s", o.exit, o.stderr)
			}
			keys := map[string]bool{}
			for _, request := range r.fake.Requests(method) {
				keys[request.(interface{ GetIdempotencyKey() string }).GetIdempotencyKey()] = true
			}
			if len(keys) != 1 || keys[""] {
				t.Errorf("keys %v, want one", keys)
			}
		})
	}
}

// A wait that cannot last is refused before anything is asked.
func TestTimeout_IsPositive(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"restart web", "rollback web", "deployments attach 01JNQ8Z3"} {
		r := &run{fake: clitest.Healthy(), args: args + " --timeout 0s"}
		if o := r.do(t); o.exit != exitUsage || !strings.Contains(o.stderr, "--timeout 0s is not positive") {
			t.Errorf("%s: exit %d, want %d: %s", args, o.exit, exitUsage, o.stderr)
		}
		if n := len(r.fake.Requests("Restart")) + len(r.fake.Requests("Rollback")) + len(r.fake.Requests("GetDeployment")); n != 0 {
			t.Errorf("%s: %d requests, want none", args, n)
		}
	}
}

// A watch that breaks is opened again, and the deployment's end is still seen.
func TestDeploy_SurvivesALostCoordinator(t *testing.T) {
	t.Parallel()
	r := deployRun(t)
	end := r.fake.Watches[0]
	r.fake.Watches = [][]*runwayv1.WatchDeploymentResponse{end[:2], end[2:3], end[3:]}
	if o := r.do(t); o.exit != 0 || !strings.Contains(o.stderr, "connection lost, trying again") {
		t.Errorf("exit %d: %s", o.exit, o.stderr)
	}
	if n := len(r.fake.Requests("WatchDeployment")); n != 3 {
		t.Errorf("%d watches, want 3", n)
	}
}

// held is a deploy whose watch stays open, and the channel that says so.
func held(t *testing.T) *run {
	t.Helper()
	r := deployRun(t)
	// Nothing is sent: what would have been shown by then depends on time.
	r.fake.Watches, r.fake.Hold, r.fake.Held = nil, true, make(chan struct{})
	return r
}

func TestDeploy_GoesOnAfterAnInterrupt(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{"deploy_interrupted": "", "deploy_interrupted_json": "-o json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := withArgs(held(t), args)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { <-r.fake.Held; cancel() }()
			r.ctx = ctx
			r.golden(t, name)
			if n := len(r.fake.Requests("CancelDeployment")); n != 0 {
				t.Errorf("the deployment was cancelled %d times", n)
			}
		})
	}
}

// Whether a deployment began is not known when the answer was not waited for.
func TestDeploy_InterruptedBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := deployRun(t)
	r.ctx = ctx
	r.golden(t, "deploy_interrupted_early")
}

func TestDeploy_GoesOnAfterTheTimeout(t *testing.T) {
	t.Parallel()
	withArgs(held(t), "--timeout 300ms").golden(t, "deploy_timeout")
}

// Following a log ends by Ctrl-C as a matter of course.
func TestLogs_EndByAnInterrupt(t *testing.T) {
	t.Parallel()
	r := &run{fake: fullCluster(), args: "logs web -f"}
	r.fake.Held = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { <-r.fake.Held; cancel() }()
	r.ctx = ctx
	if o := r.do(t); o.exit != exitInterrupted || !strings.HasSuffix(o.stderr, "RW-8110 interrupted\n") {
		t.Errorf("exit %d, stderr %q", o.exit, o.stderr)
	}
}

func TestRestartAndAttach_FollowToo(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{"restart": "restart web", "rollback": "rollback web", "rollback_to": "rollback web --to 3 -m why -o json", "rollback_to_none": "rollback web --to 0", "attach": "deployments attach 01JNQ8Z3", "attach_absent": "deployments attach nope"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := clitest.Healthy()
			f.History = []*runwayv1.Deployment{clitest.Deployment(rolling, 0, nil)}
			(&run{fake: f, args: args}).golden(t, name)
		})
	}
}

// What is wrong before anything is sent.
func TestDeploy_RefusesBadInput(t *testing.T) {
	t.Parallel()
	noImage := strings.Replace(webManifest, "  image: registry.example.com/web:${TAG}\n", "", 1)
	for name, test := range map[string]struct{ manifest, args string }{
		"bad_manifest":       {"kind: RunwayService\nmetadata: {name: web}\nscalability: {min_instances: 1}\nspec: {observability: {metrics_path: /metrics}}\n", ""},
		"bad_manifest_one":   {webManifest + "  contaner_port: 80\n", ""},
		"bad_no_manifest":    {"", "-f DIR/absent.yml"},
		"bad_no_image":       {noImage, ""},
		"bad_variable":       {strings.Replace(webManifest, "${TAG}", "${CI_COMMIT_SHA}", 1), ""},
		"bad_reference":      {webManifest, "--image Web:Bad:Tag"},
		"bad_metadata_name":  {strings.Replace(webManifest, "name: web", "name: ai_gateway", 1), ""},
		"bad_service_name":   {webManifest, "../../etc"},
		"bad_space_name":     {webManifest, "-s localhost"},
		"bad_environment":    {webManifest, "-e Staging"},
		"bad_archive_absent": {webManifest, "--image docker-archive:DIR/absent.tar"},
		"bad_timeout":        {webManifest, "--timeout 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &run{fake: clitest.Healthy(), dir: folder(t, map[string]string{"runway.yml": test.manifest}), args: "deploy -f DIR " + test.args, env: map[string]string{"TAG": "3"}}
			r.fake.Cluster.Registry = "127.0.0.1:1"
			r.golden(t, name)
			if n := len(r.fake.Requests("Deploy")); n != 0 {
				t.Errorf("%d deploy requests, want none", n)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{"validate": "", "validate_json": "-o json", "validate_staging": "other -e staging"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := deployRun(t)
			r.args = "validate -f DIR " + args
			r.golden(t, name)
		})
	}
}

// The document of a deploy is one JSON value whatever happens.
func TestDeploy_JSONHasOneShape(t *testing.T) {
	t.Parallel()
	shapes := map[string]bool{}
	for _, steps := range [][]*runwayv1.WatchDeploymentResponse{
		nil,
		{clitest.Step(clitest.Deployment(rolledBack, 0, probeFailed()))},
		{clitest.Step(clitest.Deployment(cancelled, 0, nil))},
	} {
		o := withArgs(deployRun(t, steps...), "-o json").do(t)
		var document map[string]json.RawMessage
		if err := json.Unmarshal([]byte(o.stdout), &document); err != nil {
			t.Fatalf("stdout %q: %v", o.stdout, err)
		}
		keys := make([]string, 0, len(document))
		for _, k := range []string{"space", "service", "environment", "revision", "deployment", "urls", "warnings", "exit_code", "error"} {
			if _, ok := document[k]; ok {
				keys = append(keys, k)
			}
		}
		shapes[strings.Join(keys, " ")] = true
		if len(keys) != len(document) {
			t.Errorf("document has %d keys, known are %v", len(document), keys)
		}
	}
	if len(shapes) != 1 {
		t.Errorf("shapes %v, want one", shapes)
	}
}

func TestDelete_Asks(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int{"y\n": 0, "YES\n": 0, "n\n": exitInterrupted, "\n": exitInterrupted, "": exitInterrupted} {
		r := &run{fake: clitest.Healthy(), args: "delete gone", tty: true, stdin: answer}
		o := r.do(t)
		if o.exit != want || !strings.Contains(o.stderr, "delete default/gone in production with its replicas, addresses and history? [y/N]") {
			t.Errorf("answer %q: exit %d, want %d; stderr %q", answer, o.exit, want, o.stderr)
		}
		if n := len(r.fake.Requests("DeleteService")); (n == 1) != (want == 0) {
			t.Errorf("answer %q: %d requests", answer, n)
		}
	}
}

func TestUntil_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	r := &run{fake: clitest.Healthy(), args: "delete web -y", ctx: ctx}
	if o := r.do(t); o.exit != exitInterrupted {
		t.Errorf("exit %d, want %d: %s", o.exit, exitInterrupted, o.stderr)
	}
}
