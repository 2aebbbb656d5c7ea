package report

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	. "github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/presence"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	succeeded = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
	lost      = runwayv1.IngressPhase_INGRESS_PHASE_LOST
)

// bench is the controller on a state without Raft, in virtual time, with two
// ingresses that answer as the test says.
type bench struct {
	*State
	t        *testing.T
	presence *presence.Presence
}

func run(t *testing.T, test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{State: NewState(t, RegisterIngress("i1"), RegisterIngress("i2")), t: t, presence: presence.New()}
		b.presence.Reset(time.Now())
		stop := b.lead()
		defer stop()
		test(b)
	})
}

func (b *bench) lead() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	c := New(Config{Views: b.View, Applier: b, Tallies: b.presence, Log: slog.New(slog.NewTextHandler(b.t.Output(), nil))})
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			b.t.Errorf("Run: %v", err)
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

func (b *bench) end(deployment string) {
	b.t.Helper()
	b.Must(b.t, &runwayv1.SetDeploymentStatus{
		Deployment: deployment, Status: &runwayv1.DeploymentStatus{Phase: succeeded},
		ModifiedIndex: b.View().Deployment(deployment).GetMeta().GetModifiedIndex(),
	})
	synctest.Wait()
}

// serve is a message of an ingress about web; asked ones answer the newest request.
func (b *bench) serve(ingress string, asked bool, revision, good, bad uint64) {
	stats := &runwayv1.IngressStats{Workloads: []*runwayv1.WorkloadStats{{
		Workload: Key("web"), Revision: revision, Responses: []uint64{0, good, 0, 0, bad},
	}}}
	if asked {
		stats.Request, _ = b.presence.Asked()
	}
	b.presence.Record(ingress, stats)
	synctest.Wait()
}

func (b *bench) report(deployment string) *runwayv1.DeploymentReport {
	return b.View().Deployment(deployment).GetReport()
}

// counts is a report without its times.
func counts(r *runwayv1.DeploymentReport) *runwayv1.DeploymentReport {
	if r == nil {
		return nil
	}
	return &runwayv1.DeploymentReport{Requests: r.GetRequests(), Failed: r.GetFailed(), Revisions: r.GetRevisions(), Incomplete: r.GetIncomplete()}
}

func (b *bench) want(deployment string, want *runwayv1.DeploymentReport) {
	b.t.Helper()
	if diff := cmp.Diff(want, counts(b.report(deployment)), protocmp.Transform()); diff != "" {
		b.t.Errorf("report of %s (-want +got):\n%s", deployment, diff)
	}
}

func TestReport_HasWhatWasServedDuringTheDeployment(t *testing.T) {
	t.Parallel()
	run(t, func(b *bench) {
		b.Must(t, Deploy("d1", "web", Spec(), 1))
		synctest.Wait()
		b.serve("i1", false, 1, 5, 0)
		b.serve("i2", false, 1, 7, 1)
		b.end("d1")
		if b.report("d1") != nil {
			t.Fatal("reported before the ingresses answered")
		}
		b.serve("i1", true, 2, 3, 0)
		b.serve("i2", true, 0, 0, 2)
		b.want("d1", &runwayv1.DeploymentReport{Requests: 18, Failed: 3, Revisions: []*runwayv1.RevisionRequests{
			{Revision: 0, Requests: 2, Failed: 2}, {Revision: 1, Requests: 13, Failed: 1}, {Revision: 2, Requests: 3},
		}})
		report, d := b.report("d1"), b.View().Deployment("d1")
		if !report.GetSince().AsTime().Equal(d.GetMeta().GetCreatedAt().AsTime()) || report.GetUntil().AsTime().Before(d.GetStatus().GetEndedAt().AsTime()) {
			t.Errorf("counted from %v to %v", report.GetSince().AsTime(), report.GetUntil().AsTime())
		}
		if got := b.presence.Tallies(); len(got) != 0 {
			t.Errorf("tallies are left: %v", got)
		}
	})
}

func TestReport_NobodyAsked(t *testing.T) {
	t.Parallel()
	run(t, func(b *bench) {
		b.Must(t, Deploy("d1", "web", Spec(), 1))
		synctest.Wait()
		b.end("d1")
		b.serve("i1", true, 1, 0, 0)
		b.serve("i2", true, 1, 0, 0)
		b.want("d1", &runwayv1.DeploymentReport{})
	})
}

// An ingress that does not answer is waited for shortly, and named.
func TestReport_NamesIngressesThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	run(t, func(b *bench) {
		b.Must(t, Deploy("d1", "web", Spec(), 1))
		synctest.Wait()
		b.serve("i1", false, 1, 5, 0)
		b.end("d1")
		b.serve("i1", true, 1, 1, 0)
		time.Sleep(Patience + resync)
		synctest.Wait()
		b.want("d1", &runwayv1.DeploymentReport{
			Requests: 6, Revisions: []*runwayv1.RevisionRequests{{Revision: 1, Requests: 6}}, Incomplete: []string{"i2"},
		})
	})
}

// A lost ingress is not waited for. It is named: it may serve on from its own copy of the
// routes, and nobody has asked it. So is one whose session broke.
func TestReport_NamesIngressesThatAreLost(t *testing.T) {
	t.Parallel()
	run(t, func(b *bench) {
		b.Must(t, RegisterIngress("i0"), &runwayv1.SetIngressPhase{Ingress: "i0", Phase: lost})
		time.Sleep(time.Minute)
		b.Must(t, Deploy("d1", "web", Spec(), 1))
		synctest.Wait()
		time.Sleep(time.Second)
		b.Must(t, &runwayv1.SetIngressPhase{Ingress: "i2", Phase: lost})
		b.presence.Interrupt("i1")
		b.end("d1")
		b.serve("i1", true, 1, 1, 0)
		b.want("d1", &runwayv1.DeploymentReport{
			Requests: 1, Revisions: []*runwayv1.RevisionRequests{{Revision: 1, Requests: 1}}, Incomplete: []string{"i0", "i1", "i2"},
		})
	})
}

// An ingress that comes back tells all that it served since it was heard of last. What of
// that was before the deployment cannot be told, and it is named.
func TestReport_NamesIngressesThatCountedFromBeforeTheStart(t *testing.T) {
	t.Parallel()
	run(t, func(b *bench) {
		time.Sleep(time.Hour)
		b.Must(t, Deploy("d1", "web", Spec(), 1))
		synctest.Wait()
		time.Sleep(10 * time.Second)
		for ingress, covers := range map[string]time.Duration{"i1": 11 * time.Second, "i2": 10*time.Minute + 10*time.Second} {
			b.presence.Record(ingress, &runwayv1.IngressStats{Covers: durationpb.New(covers), Workloads: []*runwayv1.WorkloadStats{{
				Workload: Key("web"), Revision: 1, Responses: []uint64{0, 4},
			}}})
		}
		b.end("d1")
		b.serve("i1", true, 1, 0, 0)
		b.serve("i2", true, 1, 0, 0)
		b.want("d1", &runwayv1.DeploymentReport{
			Requests: 8, Revisions: []*runwayv1.RevisionRequests{{Revision: 1, Requests: 8}}, Incomplete: []string{"i2"},
		})
	})
}

// What overlaps counts for both: for the one that is superseded until its end, for
// the newer one from its start.
func TestReport_OfASupersededDeployment(t *testing.T) {
	t.Parallel()
	run(t, func(b *bench) {
		b.Must(t, Deploy("d1", "web", Spec(), 1))
		synctest.Wait()
		b.serve("i1", false, 1, 5, 0)
		b.Must(t, Deploy("d2", "web", Spec(), 1))
		synctest.Wait()
		b.serve("i1", true, 1, 2, 0)
		b.serve("i2", true, 1, 0, 0)
		b.serve("i1", false, 2, 4, 0)
		b.want("d1", &runwayv1.DeploymentReport{Requests: 7, Revisions: []*runwayv1.RevisionRequests{{Revision: 1, Requests: 7}}})
		b.end("d2")
		b.serve("i1", true, 2, 1, 0)
		b.serve("i2", true, 2, 0, 0)
		b.want("d2", &runwayv1.DeploymentReport{Requests: 7, Revisions: []*runwayv1.RevisionRequests{
			{Revision: 1, Requests: 2}, {Revision: 2, Requests: 5},
		}})
	})
}

// A new leader counts from its beginning and says so; what ended before has no report.
func TestReport_OfANewLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{State: NewState(t, RegisterIngress("i1")), t: t, presence: presence.New()}
		b.presence.Reset(time.Now())
		stop := b.lead()
		b.Must(t, Deploy("d1", "web", Spec(), 1), Deploy("d2", "api", Spec(), 1))
		synctest.Wait()
		b.serve("i1", false, 1, 5, 0)
		stop()
		b.end("d2")

		time.Sleep(time.Second)
		elected := time.Now()
		b.presence.Reset(elected)
		defer b.lead()()
		synctest.Wait()
		b.serve("i1", false, 1, 3, 0)
		b.end("d1")
		b.serve("i1", true, 1, 0, 0)
		b.want("d1", &runwayv1.DeploymentReport{Requests: 3, Revisions: []*runwayv1.RevisionRequests{{Revision: 1, Requests: 3}}})
		if got := b.report("d1").GetSince().AsTime(); !got.Equal(elected) {
			t.Errorf("counted since %v, want since the leader began, %v", got, elected)
		}
		if b.report("d2") != nil {
			t.Error("a deployment that nobody counted has a report")
		}
	})
}

func TestReport_OfAServiceThatIsGone(t *testing.T) {
	t.Parallel()
	run(t, func(b *bench) {
		b.Must(t, Deploy("d1", "web", Spec(), 1))
		synctest.Wait()
		b.Must(t, &runwayv1.DeleteWorkload{Workload: Key("web"), By: "alice"}, &runwayv1.PurgeWorkload{Workload: Key("web")})
		time.Sleep(2 * Patience)
		synctest.Wait()
		if got := b.presence.Tallies(); len(got) != 0 {
			t.Errorf("tallies are left: %v", got)
		}
	})
}
