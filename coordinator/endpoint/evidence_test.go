package endpoint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func (r *rig) withdrawn() (services []string) {
	for _, key := range r.set().GetWithdrawn() {
		services = append(services, key.GetService())
	}
	slices.Sort(services)
	return services
}

func (r *rig) route(service string) *runwayv1.Route {
	for _, route := range r.set().GetRoutes() {
		if route.GetWorkload().GetService() == service {
			return route
		}
	}
	return nil
}

// RELIABILITY C2: a route that goes says why, from the user's word on and for as long
// as an ingress may be away.
func TestC2_RoutesSayWhyTheyGo(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	if got := r.withdrawn(); got != nil {
		t.Errorf("withdrawn without a reason: %v", got)
	}
	r.Must(t, &runwayv1.DeleteWorkload{Workload: coordinatortest.Key("web")})
	r.look()
	if diff := cmp.Diff([]string{"web"}, r.withdrawn()); diff != "" || r.route("web") != nil {
		t.Errorf("being deleted (-want +got):\n%s", diff)
	}
	generation := r.set().GetGeneration()
	r.ack("i1", "i2")
	for _, id := range []string{"r1", "r2"} {
		r.Must(t, &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: id, Goal: runwayv1.Goal_GOAL_STOP}}},
			coordinatortest.Report("n1", id, runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED))
		r.look()
	}
	r.Must(t, &runwayv1.PurgeReplicas{Replicas: []string{"r1", "r2"}}, &runwayv1.PurgeWorkload{Workload: coordinatortest.Key("web")})
	r.look()
	if r.View().Workload(coordinatortest.ID("web")) != nil {
		t.Fatal("web is not purged")
	}
	if r.set().GetGeneration() < generation {
		t.Errorf("generation %d after %d", r.set().GetGeneration(), generation)
	}
	r.elect() // the evidence outlives the leader
	r.look()
	if diff := cmp.Diff([]string{"web"}, r.withdrawn()); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	r.Must(t, coordinatortest.Deploy("d9", "web", coordinatortest.Spec(), 1))
	r.look()
	if got := r.withdrawn(); got != nil || r.route("web") == nil {
		t.Errorf("deployed again: withdrawn %v, route %v", got, r.route("web"))
	}
}

func TestC2_RoutesWithoutEndpointsSayWhy(t *testing.T) {
	r := newRig(t)
	r.Must(t, &runwayv1.SetDeploymentStatus{Deployment: "d1", ModifiedIndex: r.View().Deployment("d1").GetMeta().GetModifiedIndex(),
		Status: &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED}})
	r.look()
	vacant := func(when string, want bool) {
		t.Helper()
		if got := r.route("web"); got.GetVacant() != want || len(got.GetEndpoints()) > 0 && want {
			t.Errorf("%s: vacant %v with %d endpoints, want %v", when, got.GetVacant(), len(got.GetEndpoints()), want)
		}
	}
	vacant("none is ready", true)
	r.ready("r1", true)
	vacant("one is ready", false)
	r.ready("r1", false)
	vacant("none is ready again", true)
	r.Must(t, &runwayv1.RemoveNode{Node: "n1"})
	r.look()
	vacant("nothing is known of its replicas", false)
	idle := coordinatortest.Spec()
	idle.Scale.Min = 0
	r.Must(t, coordinatortest.Deploy("d8", "web", idle, 1), &runwayv1.SetWanted{Workload: coordinatortest.Key("web"), Region: coordinatortest.Region})
	r.Must(t, &runwayv1.SetDeploymentStatus{Deployment: "d8", ModifiedIndex: r.View().Deployment("d8").GetMeta().GetModifiedIndex(),
		Status: &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED}})
	r.look()
	vacant("none is wanted", true)
}

// RELIABILITY C2: DNS is never published empty while an ingress is known.
func TestC2_DNSNamesEveryIngressWhenNoneIsLeft(t *testing.T) {
	r := newRig(t)
	r.settle()
	r.ack("i1", "i2")
	r.lose("i1")
	r.lose("i2")
	if diff := cmp.Diff([]string{"i1", "i2"}, r.published()); diff != "" {
		t.Errorf("with all lost (-want +got):\n%s", diff)
	}
}

// RELIABILITY B17: a port is free when no ingress would route to it after a restart.
func TestB17_PortsAreReleasedByWhatIsSaved(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1", "i2")
	r.drain("r1")
	r.ack("i1")
	unsaved := r.confirmation()
	unsaved.Saved--
	r.acks["i2"] = unsaved
	r.look()
	r.want("r1", false, true, false) // nobody routes to it now
	r.ack("i2")
	r.want("r1", false, true, true)
}

func (r *rig) problem(ingress, service string) {
	r.t.Helper()
	ack := r.confirmation()
	if service != "" {
		ack.Problems = []*runwayv1.RouteProblem{{
			Workload: coordinatortest.Key(service), Host: service + ".example.com", Cause: &runwayv1.Cause{Code: "RW-4101", Summary: fmt.Sprint("try at ", r.now)},
		}}
	}
	r.acks[ingress] = ack
	r.look()
}

// A first deployment does not succeed while a live ingress has no certificate for its
// name; a service that has served goes on to be deployed.
func TestConfirm_NewNameWithoutCertificateIsNotServed(t *testing.T) {
	r := newRig(t)
	r.ready("r1", true)
	r.ack("i1")
	r.problem("i2", "web")
	r.want("r1", false, false, false)
	if got := r.View().Ingress("i2").GetStatus().GetProblems(); len(got) != 1 || got[0].GetHost() != "web.example.com" {
		t.Errorf("problems in the state: %v", got)
	}
	index := r.View().Index()
	r.now = r.now.Add(time.Second) // another try, another text
	r.problem("i2", "web")
	if r.View().Index() != index {
		t.Error("the text of a known problem was written again")
	}
	r.problem("i2", "other")
	r.want("r1", true, false, false)
	r.problem("i2", "")
	if got := r.View().Ingress("i2").GetStatus().GetProblems(); len(got) != 0 {
		t.Errorf("problems in the state: %v", got)
	}
	r.Must(t, &runwayv1.SetDeploymentStatus{Deployment: "d1", ModifiedIndex: r.View().Deployment("d1").GetMeta().GetModifiedIndex(),
		Status: &runwayv1.DeploymentStatus{Phase: runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED}})
	r.ready("r2", true)
	r.ack("i1")
	r.problem("i2", "web")
	r.want("r2", true, false, false)
}

// RELIABILITY C2: what an ingress refuses is in the state, with an event, until it
// takes routes; later generations of the same refusal are no news.
func TestC2_RefusalIsInTheState(t *testing.T) {
	r := newRig(t)
	r.settle()
	r.ack("i1", "i2")
	refuse := func(generation uint64) {
		ack := r.confirmation()
		ack.Refusal = &runwayv1.RouteRefusal{Generation: generation, GoingTotal: 6, Going: []*runwayv1.WorkloadKey{coordinatortest.Key("web")}}
		r.acks["i1"] = ack
		r.look()
	}
	refuse(100)
	index := r.View().Index()
	refuse(101)
	if got := r.View().Ingress("i1").GetStatus().GetRefusal(); got.GetGoingTotal() != 6 || r.View().Index() != index {
		t.Errorf("refusal = %v, written again: %v", got, r.View().Index() != index)
	}
	events := r.View().Events(1)
	if events[0].GetKind() != "ingress.refuses" || events[0].GetCode() != "RW-4202" || events[0].GetIngress() != "i1" {
		t.Errorf("event = %v", events[0])
	}
	if _, confirmed := r.unconfirmed("i1"); confirmed {
		t.Error("an ingress that refuses counts as one that confirms")
	}
	delete(r.acks, "i1") // its session ended: what it says is not known
	r.look()
	if r.View().Ingress("i1").GetStatus().GetRefusal() == nil {
		t.Error("the refusal is forgotten with the session")
	}
	r.ack("i1")
	if got := r.View().Ingress("i1").GetStatus().GetRefusal(); got != nil {
		t.Errorf("refusal = %v after a confirmation", got)
	}
}

// RELIABILITY C3: who falls behind is seen, and by how long.
func TestC3_LagOfAnIngressIsAMetric(t *testing.T) {
	r := newRig(t)
	r.now = time.Now().Add(-20 * time.Second)
	r.ready("r1", true)
	r.ack("i1")
	metrics := NewMetrics(r.planner.controller)
	if problems, err := testutil.CollectAndLint(metrics); len(problems) > 0 || err != nil {
		t.Errorf("lint: %v %v", problems, err)
	}
	generation := r.set().GetGeneration()
	want := fmt.Sprintf(`# HELP runway_routes_ingress_generation Generation that an ingress has confirmed; 0 for none in its session.
# TYPE runway_routes_ingress_generation gauge
runway_routes_ingress_generation{ingress="i1"} %d
runway_routes_ingress_generation{ingress="i2"} 0
`, generation)
	if err := testutil.CollectAndCompare(metrics, strings.NewReader(want), "runway_routes_ingress_generation"); err != nil {
		t.Error(err)
	}
	since, _ := r.unconfirmed("i2")
	if lag := time.Since(since); lag < 20*time.Second || lag > time.Minute {
		t.Errorf("i2 lags by %v, want 20 s", lag)
	}
	r.ack("i2")
	if since, confirmed := r.unconfirmed("i1"); !since.IsZero() && time.Since(since) < 0 || !confirmed {
		t.Errorf("i1 lags since %v, confirmed %v", since, confirmed)
	}
}
