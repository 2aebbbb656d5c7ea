package api

import (
	"strings"
	"testing"
	"time"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// What is seen from outside is a cause although every replica is ready.
func TestWhy_OfRequests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		traffic func(b *bench)
		code    code.Code
		summary string
	}{
		{"fast answers", func(b *bench) { b.served(key("own", "web"), 1, 100, 0, time.Millisecond) }, "", "healthy: "},
		{"a few slow answers", func(b *bench) {
			b.served(key("own", "web"), 1, 100, 0, time.Millisecond)
			b.served(key("own", "web"), 1, 10, 0, 2*time.Second)
		}, "", "healthy: "},
		{"slow", func(b *bench) {
			b.served(key("own", "web"), 1, 80, 0, time.Millisecond)
			b.served(key("own", "web"), 1, 20, 0, 2*time.Second)
		}, code.RequestsSlow, "RW-1403 20 of 100 requests of the last "},
		{"errors of replicas", func(b *bench) { b.served(key("own", "web"), 1, 8, 2, time.Millisecond) }, code.RequestsFail, "RW-1402 2 of 10 requests of the last "},
		{"502", func(b *bench) {
			b.served(key("own", "web"), 1, 7, 0, time.Millisecond)
			b.served(key("own", "web"), 0, 0, 3, time.Millisecond)
		}, code.RequestsUnserved, "RW-1401 3 of 10 requests of the last "},
		{"another service", func(b *bench) { b.served(key("own", "other"), 1, 0, 9, time.Minute) }, "", "healthy: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := healthyWeb(t)
			test.traffic(b)
			answer, err := runwayv1.NewServicesClient(b.as(viewer)).Why(testContext(t), &runwayv1.WhyRequest{Workload: key("own", "web")})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(answer.GetSummary(), test.summary) || (len(answer.GetCauses()) > 0) != (test.code != "") {
				t.Fatalf("got %v, want one of %q", answer, test.summary)
			}
			for _, cause := range answer.GetCauses() {
				if cause.GetCode() != string(test.code) || cause.GetFix() == "" || !strings.HasPrefix(cause.GetEvidence()[0], "latency: half within ") {
					t.Errorf("got %v, want %s with latency and a fix", cause, test.code)
				}
			}
		})
	}
}

// What is seen from outside is told, and does not hide how far a deployment or the replicas
// that are missing are.
func TestWhy_OfRequestsWhileReplicasAreMade(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		change  func(b *bench)
		summary string
	}{
		{"a deployment", func(b *bench) { b.deploy("own", "web") }, "deployment of revision 2 is under way: 1 of 1 replicas ready, 1 serving"},
		{"one replica more", func(b *bench) {
			b.state.Must(t, &runwayv1.SetWanted{Workload: key("own", "web"), Region: coordinatortest.Region, Count: 2, Writer: "alice"})
		}, "replicas are being made: 1 of 2 replicas ready, 1 serving"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := healthyWeb(t)
			test.change(b)
			b.served(key("own", "web"), 1, 999, 1, time.Millisecond)
			answer, err := runwayv1.NewServicesClient(b.as(viewer)).Why(testContext(t), &runwayv1.WhyRequest{Workload: key("own", "web")})
			if err != nil {
				t.Fatal(err)
			}
			if answer.GetSummary() != test.summary {
				t.Errorf("summary %q, want %q", answer.GetSummary(), test.summary)
			}
			if causes := answer.GetCauses(); len(causes) != 1 || causes[0].GetCode() != string(code.RequestsFail) {
				t.Errorf("causes %v, want the request that failed", causes)
			}
		})
	}
}

// A replica that is not ready yet and has no cause says how far it is.
func TestWhy_OfPendingReplicas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.state.Must(t, coordinatortest.RegisterNode("n1"), coordinatortest.RegisterIngress("i1"))
	d := b.deploy("own", "web").GetDeployment()
	for _, id := range []string{"r1", "r2"} {
		r := coordinatortest.Replica(id, "web", 1, "n1", 20000)
		if id == "r2" {
			r.Plan.NodePort++
		}
		r.Workload, r.Deployment = key("own", "web"), d.GetId()
		b.state.Must(t, coordinatortest.Assign(r))
	}
	b.state.Must(t, coordinatortest.Report("n1", "r1", runwayv1.ReplicaPhase_REPLICA_PHASE_PULLING))
	answer, err := runwayv1.NewServicesClient(b.as(viewer)).Why(testContext(t), &runwayv1.WhyRequest{Workload: key("own", "web")})
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.GetSummary(); !strings.Contains(got, "is under way: 0 of 1 replicas ready, 0 serving (1 pending, 1 pulling, the first for ") {
		t.Errorf("summary %q", got)
	}
}
