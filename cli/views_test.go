package cli

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/runway-platform/runway/cli/clitest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func fullCluster() *clitest.Fake {
	f := clitest.Healthy()
	f.AllSpaces = []*runwayv1.Space{
		{Name: "default", Spec: &runwayv1.SpaceSpec{}, Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_READY}, Meta: &runwayv1.Meta{CreatedAt: clitest.Before(50 * time.Hour)}},
		{Name: "shop", Spec: &runwayv1.SpaceSpec{Description: "the web shop", Restricted: true}, Status: &runwayv1.SpaceStatus{
			Phase: runwayv1.SpacePhase_SPACE_PHASE_READY, Parts: []*runwayv1.SpacePart{{Name: "network", Ready: true}, {Name: "dns", Detail: "zone is being made"}},
		}},
	}
	f.AllNodes = []*runwayv1.NodeView{{
		Node: &runwayv1.Node{
			Id: "n1", Name: "node-1", Spec: &runwayv1.NodeSpec{Cordoned: true}, Status: &runwayv1.NodeStatus{Phase: runwayv1.NodePhase_NODE_PHASE_READY},
			Facts: &runwayv1.NodeFacts{Address: "10.0.0.1", Region: "local", Pool: "default", AllocatableCpuMilli: 3900, AllocatableMemoryBytes: 15 << 30, AgentVersion: "v1.2.3", RuntimeVersion: "1.6.20", KernelVersion: "6.1.0"},
		},
		Replicas: 12, ReservedCpuMilli: 1200, ReservedMemoryBytes: 6442450944, LastBeat: clitest.Before(time.Second),
	}}
	f.Ingresses = ingresses()
	f.AllTokens = []*runwayv1.Token{
		{Id: "t1", Name: "admin", Role: runwayv1.Role_ROLE_CLUSTER_ADMIN, ExpiresAt: timestamppb.New(clitest.Now.Add(time.Hour))},
		{Id: "t2", Name: "ci", Role: runwayv1.Role_ROLE_SPACE_ADMIN, Spaces: []string{"shop", "blog"}, ExpiresAt: timestamppb.New(clitest.Now.Add(time.Hour))},
	}
	f.Revisions = &runwayv1.ListRevisionsResponse{Serving: 3, Revisions: []*runwayv1.Revision{clitest.Revision()}}
	f.Reason = &runwayv1.WhyResponse{
		Summary: "web is degraded: 1 of 2 serving", Deployment: clitest.Deployment(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED, 2, nil),
		Causes: []*runwayv1.Cause{{
			Code: "RW-1103", Summary: "the kernel killed web-b at its memory limit of 512 MiB", Fix: "raise resources.limits.memory",
			Evidence: []string{"oom_kill 3", "last line: allocating 2 GiB"},
		}},
	}
	minute, ms := durationpb.New(58*time.Second), func(n int) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Millisecond) }
	f.Traffic = []*runwayv1.Traffic{
		{Workload: &runwayv1.WorkloadKey{Space: "default", Service: "idle", Environment: "staging"}, Covers: minute},
		{Workload: clitest.Web(), Covers: minute, Requests: 7300, Failed: 36, Unserved: 7, P50: ms(5), P99: ms(2000)},
		{Workload: &runwayv1.WorkloadKey{Space: "shop", Service: "cart", Environment: "production"}, Covers: minute, Requests: 58},
	}
	f.AllEvents = []*runwayv1.Event{
		{At: clitest.Before(time.Minute), Kind: "deployment.started", Workload: clitest.Web(), Deployment: clitest.DeploymentID, Message: "revision 3, rolling"},
		{At: clitest.Before(30 * time.Second), Kind: "replica.oom", Workload: clitest.Web(), Replica: "web-b", Message: "killed at 512 MiB\nagain", Code: "RW-1103"},
		{At: clitest.Before(time.Second), Kind: "node.down", Node: "node-1", Message: "no beat for 12 s", Code: "RW-5003"},
	}
	f.Lines = []*runwayv1.LogsResponse{
		{Lines: []*runwayv1.LogLine{
			{At: clitest.Before(2 * time.Second), Replica: "web-a", Text: "listening on :8080"},
			{At: clitest.Before(time.Second), Replica: "web-b", Text: "GET / 200 1ms", Late: true},
		}},
		{Problem: "replica web-c: node node-2 is not connected"},
	}
	quiet := clitest.Deployment(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED, 2, nil)
	quiet.Id, quiet.Report = "01JNQ900", nil
	early := clitest.Deployment(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING, 1, nil)
	early.Id = "01JNQ901"
	f.History = append(f.History, quiet, early)
	f.Scaled = &runwayv1.ScaleResponse{Before: 2, Wanted: &runwayv1.Wanted{Workload: clitest.Web(), Region: "local", Count: 6}}
	f.Joined = &runwayv1.CreateJoinTokenResponse{Token: "rwj_abc", ExpiresAt: timestamppb.New(clitest.Now.Add(time.Hour))}
	f.Created = &runwayv1.CreateTokenResponse{Secret: "rwt_abc", Token: &runwayv1.Token{Id: "t3", Name: "ci", ExpiresAt: timestamppb.New(clitest.Now.Add(time.Hour))}}
	return f
}

// Each answer as people and programs see it.
func TestViews(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"status":             "status",
		"status_wide":        "status -o wide",
		"status_json":        "status -o json",
		"status_yaml":        "status -o yaml",
		"status_service":     "status web",
		"status_absent":      "status nope",
		"top":                "top --all-spaces",
		"top_json":           "top -o json",
		"ps":                 "ps web",
		"ps_wide":            "ps -o wide",
		"logs":               "logs web",
		"logs_wide":          "logs web -o wide -n 5 --since 10m",
		"logs_json":          "logs web -o json",
		"logs_bad_since":     "logs web --since yesterday",
		"events":             "events",
		"events_json":        "events --cluster -o json",
		"events_yaml":        "events --cluster -o yaml",
		"why":                "why web",
		"revisions":          "revisions web",
		"revisions_wide":     "revisions web -o wide",
		"scale":              "scale web 6",
		"scale_bad":          "scale web many",
		"deployments":        "deployments list web",
		"deployments_show":   "deployments show 01JNQ8Z3",
		"deployments_absent": "deployments show nope",
		"deployments_cancel": "deployments cancel 01JNQ8Z3",
		"report":             "deployments report 01JNQ8Z3",
		"report_json":        "deployments report 01JNQ8Z3 -o json",
		"report_missing":     "deployments report 01JNQ900",
		"report_early":       "deployments report 01JNQ901",
		"spaces":             "spaces list -o wide",
		"spaces_show":        "spaces show shop",
		"spaces_create":      "spaces create shop",
		"spaces_create_bad":  "spaces create My_Shop",
		"spaces_delete":      "spaces delete gone -y",
		"nodes":              "nodes list",
		"nodes_wide":         "nodes list -o wide",
		"nodes_cordon":       "nodes cordon node-1",
		"nodes_uncordon":     "nodes uncordon node-1",
		"nodes_rm":           "nodes rm node-1 -y",
		"nodes_rm_unasked":   "nodes rm node-1",
		"nodes_help":         "nodes rm --help",
		"ingresses":          "ingresses list",
		"ingresses_wide":     "ingresses list -o wide",
		"ingresses_rm":       "ingresses rm ingress-2 -y",
		"ingresses_unasked":  "ingresses rm ingress-2",
		"routes_accept":      "routes accept ingress-2 -y",
		"routes_unasked":     "routes accept ingress-2",
		"join_token":         "nodes join-token --role ingress",
		"join_token_bad":     "nodes join-token --role viewer",
		"tokens":             "tokens list",
		"tokens_create":      "tokens create ci --for-space shop",
		"tokens_create_json": "tokens create ci -o json",
		"tokens_create_bad":  "tokens create ci --role node",
		"tokens_revoke":      "tokens revoke t3",
		"cluster_status":     "cluster status",
		"delete":             "delete gone -y",
		"delete_unasked":     "delete web",
		"version":            "version",
		"version_json":       "version -o json",
		"context_show":       "context show",
		"usage_command":      "deplyo",
		"usage_subcommand":   "spaces creat",
		"usage_noun":         "spaces",
		"usage_flag":         "status --colour",
		"usage_missing":      "logs",
		"usage_extra":        "why web now",
		"usage_output":       "status -o xml",
		"usage_exclusive":    "status -q -v",
		"deploy_help":        "deploy --help",
		"help":               "help",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			(&run{fake: fullCluster(), args: args}).golden(t, name)
		})
	}
}

func TestViews_Empty(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"empty_status": "status --all-spaces", "empty_ps": "ps", "empty_top": "top", "empty_nodes": "nodes list", "empty_ingresses": "ingresses list", "empty_logs": "logs web", "empty_events": "events", "empty_json": "status -o json",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			(&run{fake: &clitest.Fake{}, args: args}).golden(t, name)
		})
	}
}

// A token that is about to end is said before the last line, which is the failure's.
func TestWarning_TokenEndsSoon(t *testing.T) {
	at := clitest.Now.Add(5 * 24 * time.Hour)
	(&run{fake: fullCluster(), args: "spaces list", expires: at}).golden(t, "token_ends_soon")
	(&run{fake: &clitest.Fake{}, args: "status nothing", expires: at}).golden(t, "token_ends_soon_failure")
}

// What is followed goes on from where it was when the coordinator goes away.
func TestFollows_ResumeWhereTheyWere(t *testing.T) {
	t.Parallel()
	f := fullCluster()
	f.Broken = 1
	if o := (&run{fake: f, args: "logs web -f"}).do(t); o.exit != 0 {
		t.Fatalf("logs: exit %d, %s", o.exit, o.stderr)
	}
	asked := f.Requests("Logs")
	if len(asked) != 2 {
		t.Fatalf("asked %d times for logs, want again after the break", len(asked))
	}
	want := map[string]*runwayv1.LogPosition{
		"web-a": {At: clitest.Before(2 * time.Second), Lines: 1}, "web-b": {At: clitest.Before(time.Second), Lines: 1},
	}
	if diff := cmp.Diff(want, asked[1].(*runwayv1.LogsRequest).GetAfter(), protocmp.Transform()); diff != "" {
		t.Errorf("resumed the log at (-want +got):\n%s", diff)
	}

	f = fullCluster()
	f.Broken = 1
	if o := (&run{fake: f, args: "events -f"}).do(t); o.exit != 0 {
		t.Fatalf("events: exit %d, %s", o.exit, o.stderr)
	}
	asked = f.Requests("ListEvents")
	if len(asked) != 2 {
		t.Fatalf("asked %d times for events, want again after the break", len(asked))
	}
	if again := asked[1].(*runwayv1.ListEventsRequest); again.GetAfterIndex() != 7 || again.GetIncarnation() != "first" {
		t.Errorf("resumed the events with %v", again)
	}
}

func TestLogs_FailWhenNothingCanBeHad(t *testing.T) {
	t.Parallel()
	f := &clitest.Fake{Lines: []*runwayv1.LogsResponse{{Problem: "replica web-c: node node-2 is not connected"}}}
	(&run{fake: f, args: "logs web"}).golden(t, "logs_unavailable")
}

// ingresses is one that is well but for a name, and one that refuses its routes.
func ingresses() []*runwayv1.IngressView {
	refused := code.RoutesWithheld
	return []*runwayv1.IngressView{
		{
			Ingress: &runwayv1.Ingress{
				Id: "i1", Name: "ingress-1",
				Status: &runwayv1.IngressStatus{
					Phase: runwayv1.IngressPhase_INGRESS_PHASE_LIVE, ProblemsOmitted: 2,
					Problems: []*runwayv1.RouteProblem{{Workload: clitest.Web(), Host: "web.default.runway.localhost", Cause: &runwayv1.Cause{Code: "RW-4101", Summary: "no certificate yet"}}},
				},
				Facts: &runwayv1.IngressFacts{PublicAddresses: []string{"192.0.2.1", "2001:db8::1"}, HttpPort: 80, HttpsPort: 443, Version: "v1.2.3", Region: "local"},
			},
			Generation: 41, Saved: 40, LastBeat: clitest.Before(time.Second),
		},
		{
			Ingress: &runwayv1.Ingress{
				Id: "i2", Name: "ingress-2",
				Status: &runwayv1.IngressStatus{
					Phase:   runwayv1.IngressPhase_INGRESS_PHASE_LOST,
					Cause:   &runwayv1.Cause{Code: string(refused), Summary: "refuses its routes: 3 would go without a reason", Fix: refused.Fix()},
					Refusal: &runwayv1.RouteRefusal{Generation: 41, Going: []*runwayv1.WorkloadKey{clitest.Web()}, GoingTotal: 3},
				},
				Facts: &runwayv1.IngressFacts{PublicAddresses: []string{"192.0.2.2"}, HttpPort: 80, HttpsPort: 443, Version: "v1.2.3", Region: "local"},
			},
			Generation: 17, Saved: 17, LastBeat: clitest.Before(time.Second), OwesSince: clitest.Before(90 * time.Second),
		},
	}
}
