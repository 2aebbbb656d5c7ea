package cli

import (
	"testing"
	"time"

	"github.com/runway-platform/runway/cli/clitest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestReportLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*runwayv1.Deployment)
		want   string
	}{
		{"no report", func(d *runwayv1.Deployment) { d.Report = nil }, ""},
		{"nobody asked", func(d *runwayv1.Deployment) { d.Report.Requests, d.Report.Failed, d.Report.Revisions = 0, 0, nil },
			"0 requests served meanwhile, 0 failed"},
		{"nobody could ask", func(d *runwayv1.Deployment) { d.Spec.PreviousRevision, d.Report.Requests = 0, 0 }, ""},
		{"one", func(d *runwayv1.Deployment) {
			d.Report.Requests, d.Report.Failed, d.Report.Revisions = 1, 0, []*runwayv1.RevisionRequests{{Revision: 2, Requests: 1}}
		}, "1 request served meanwhile (revision 2: 1), 0 failed"},
		{"many", func(d *runwayv1.Deployment) {},
			"1,236 requests served meanwhile (no replica: 2, revision 2: 800, revision 3: 434), 2 failed"},
		{"another leader", func(d *runwayv1.Deployment) { d.Report.Since = clitest.Before(59 * time.Second) },
			"1,236 requests served meanwhile (no replica: 2, revision 2: 800, revision 3: 434), 2 failed; not counted before 2026-03-01T11:59:01Z, when the coordinator's leader changed"},
		{"a lost ingress", func(d *runwayv1.Deployment) { d.Report.Incomplete = []string{"i1", "i2"} },
			"1,236 requests served meanwhile (no replica: 2, revision 2: 800, revision 3: 434), 2 failed; counts of i1, i2 may be incomplete"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := clitest.Deployment(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED, 2, nil)
			tt.change(d)
			if got := reportLine(d); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 123456: "123,456", 18446744073709551615: "18,446,744,073,709,551,615"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}

// An answer that is lost is asked for again with the same key.
func TestRollback_RepeatsWithOneKey(t *testing.T) {
	t.Parallel()
	r := &run{fake: clitest.Healthy(), args: "rollback web --to 3"}
	r.fake.Refuse = map[string]error{"Rollback": status.Error(codes.Unavailable, "gone")}
	r.fake.Refusals = map[string]int{"Rollback": deployAttempts - 1}
	if o := r.do(t); o.exit != 0 {
		t.Fatalf("exit %d: %s", o.exit, o.stderr)
	}
	keys := map[string]bool{}
	for _, request := range r.fake.Requests("Rollback") {
		asked := request.(*runwayv1.RollbackRequest)
		keys[asked.GetIdempotencyKey()] = true
		if asked.GetRevision() != 3 || asked.GetWorkload().GetService() != "web" {
			t.Errorf("asked for %v", asked)
		}
	}
	if len(keys) != 1 || keys[""] {
		t.Errorf("keys %v, want one", keys)
	}
}
