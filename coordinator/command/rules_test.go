package command_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/runway-platform/runway/coordinator/command"
	. "github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	ready    = runwayv1.NodePhase_NODE_PHASE_READY
	suspect  = runwayv1.NodePhase_NODE_PHASE_SUSPECT
	down     = runwayv1.NodePhase_NODE_PHASE_DOWN
	running  = runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING
	starting = runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING
	failed   = runwayv1.ReplicaPhase_REPLICA_PHASE_FAILED
	stopped  = runwayv1.ReplicaPhase_REPLICA_PHASE_STOPPED
)

func goal(replica string, to runwayv1.Goal) *runwayv1.SetReplicaGoals {
	return &runwayv1.SetReplicaGoals{Goals: []*runwayv1.ReplicaGoal{{Replica: replica, Goal: to, Reason: "test"}}}
}

func phase(node string, to runwayv1.NodePhase) *runwayv1.SetNodePhase {
	return &runwayv1.SetNodePhase{Node: node, Phase: to, Reason: "test"}
}

// serving returns a state in which web has revision 1, one node and a replica r1.
func serving(t *testing.T, more ...proto.Message) *State {
	t.Helper()
	s := NewState(t, RegisterNode("n1"), Deploy("d1", "web", Spec(), 2), Assign(Replica("r1", "web", 1, "n1", 20000)))
	s.Must(t, more...)
	return s
}

// end returns the command that ends a deployment in its present state.
func end(s *State, deployment string, phase runwayv1.DeploymentPhase) *runwayv1.SetDeploymentStatus {
	return &runwayv1.SetDeploymentStatus{
		Deployment:    deployment,
		Status:        &runwayv1.DeploymentStatus{Phase: phase},
		ModifiedIndex: s.View().Deployment(deployment).GetMeta().GetModifiedIndex(),
	}
}

// limitedAdmin is a token that cannot make another admin.
func limitedAdmin() *runwayv1.PutToken {
	return &runwayv1.PutToken{Token: &runwayv1.Token{
		Id: "limited", Name: "limited", Hash: bytes.Repeat([]byte{7}, 32), Role: runwayv1.Role_ROLE_CLUSTER_ADMIN, Spaces: []string{SpaceName},
	}}
}

func TestRegisterNode_TellsOfAReboot(t *testing.T) {
	s := NewState(t)
	for _, boot := range []string{"", "one", "one", "two"} {
		node := RegisterNode("n1")
		node.Facts.BootId = boot
		s.Must(t, node)
	}
	var rebooted int
	for _, event := range s.View().Events(state.EventsKept) {
		if event.GetKind() == "node.rebooted" {
			rebooted++
		}
	}
	if rebooted != 1 {
		t.Errorf("%d events of a reboot, want 1", rebooted)
	}
}

// A space goes with its services in one step: nothing is deployed in between, and a
// crash leaves all or nothing.
func TestPutSpace_DeletesTheServicesToo(t *testing.T) {
	s := serving(t, Deploy("d2", "api", Spec(), 1))
	s.Must(t, &runwayv1.PutSpace{Name: SpaceName, Spec: &runwayv1.SpaceSpec{Delete: true}, WithServices: true, By: "ann"})
	for _, workload := range s.View().WorkloadsIn(SpaceName) {
		if !workload.GetDelete() || workload.GetActiveDeployment() != "" {
			t.Errorf("service %q is left: %v", workload.GetKey().GetService(), workload)
		}
	}
	if got := s.View().Deployment("d2").GetStatus().GetCause().GetSummary(); got != "the service is deleted by ann" {
		t.Errorf("the deployment in progress ended with %q", got)
	}
	if _, err := s.Apply(t.Context(), Deploy("d3", "api", Spec(), 1)); !errors.Is(err, command.ErrConflict) {
		t.Errorf("a deployment into a space that is deleted: %v", err)
	}
}

func TestApply_rejects(t *testing.T) {
	unready := &runwayv1.Deploy{Deployment: "d9", Workload: &runwayv1.WorkloadKey{Space: "new", Service: "web", Environment: "production"}, Spec: Spec()}
	tests := []struct {
		name   string
		before []proto.Message
		give   proto.Message
		kind   error
		code   code.Code
	}{
		{"a second cluster", nil, Init(), command.ErrExists, code.Conflict},
		{"a space that exists", nil, &runwayv1.PutSpace{Name: SpaceName, Create: true}, command.ErrExists, code.SpaceExists},
		{"a space that is no label", nil, &runwayv1.PutSpace{Name: "No_Label"}, command.ErrInvalid, code.NameInvalid},
		{"restricting a space that is there", nil, &runwayv1.PutSpace{Name: SpaceName, Spec: &runwayv1.SpaceSpec{Restricted: true}}, command.ErrInvalid, code.SpecInvalid},
		{"deleting an unknown space", nil, &runwayv1.PutSpace{Name: "x", Spec: &runwayv1.SpaceSpec{Delete: true}}, command.ErrNotFound, code.SpaceNotFound},
		{"deleting services and not the space", nil, &runwayv1.PutSpace{Name: SpaceName, WithServices: true}, command.ErrInvalid, code.SpecInvalid},
		{"deleting a space with services", nil, &runwayv1.PutSpace{Name: SpaceName, Spec: &runwayv1.SpaceSpec{Delete: true}}, command.ErrConflict, code.SpaceNotEmpty},
		{"purging a space nobody deleted", nil, &runwayv1.PurgeSpace{Name: SpaceName}, command.ErrConflict, code.Conflict},
		{"status of an unknown space", nil, &runwayv1.SetSpaceStatus{Name: "x"}, command.ErrNotFound, code.SpaceNotFound},
		{"an unknown space phase", nil, &runwayv1.SetSpaceStatus{Name: SpaceName, Status: &runwayv1.SpaceStatus{Phase: 77}}, command.ErrInvalid, code.SpecInvalid},
		{"deploy into no space", nil, &runwayv1.Deploy{Deployment: "d9", Workload: &runwayv1.WorkloadKey{Space: "x", Service: "a", Environment: "b"}, Spec: Spec()}, command.ErrNotFound, code.SpaceNotFound},
		{"deploy into a space being made", []proto.Message{&runwayv1.PutSpace{Name: "new"}}, unready, command.ErrConflict, code.SpaceNotReady},
		{"deploy with a used id", nil, Deploy("d1", "api", Spec(), 1), command.ErrExists, code.Conflict},
		{"deploy without a spec of no service", nil, Deploy("d9", "api", nil, 1), command.ErrNotFound, code.ServiceNotFound},
		{"deploy of an unknown revision", nil, &runwayv1.Deploy{Deployment: "d9", Workload: Key("web"), Revision: 7}, command.ErrNotFound, code.RevisionNotFound},
		{"restart of what never served", nil, &runwayv1.Deploy{Deployment: "d9", Workload: Key("web"), Restart: true}, command.ErrConflict, code.NothingDeployed},
		{"deploy of a deleted service", []proto.Message{&runwayv1.DeleteWorkload{Workload: Key("web")}}, Deploy("d9", "web", Spec(), 1), command.ErrConflict, code.ServiceDeleting},
		{"deploy of a tag", nil, Deploy("d9", "web", &runwayv1.RevisionSpec{Image: &runwayv1.Image{Reference: "web:1"}}, 1), command.ErrInvalid, code.SpecInvalid},
		{"deploy into an unknown region", nil, &runwayv1.Deploy{Deployment: "d9", Workload: Key("web"), Spec: Spec(), Wanted: []*runwayv1.Wanted{{Region: "moon"}}}, command.ErrInvalid, code.SpecInvalid},
		{"cancel of an unknown deployment", nil, &runwayv1.CancelDeployment{Deployment: "x"}, command.ErrNotFound, code.DeploymentNotFound},
		{"report of an unknown deployment", nil, &runwayv1.RecordDeploymentReport{Deployment: "x", Report: &runwayv1.DeploymentReport{}}, command.ErrNotFound, code.DeploymentNotFound},
		{"report of a deployment in progress", nil, &runwayv1.RecordDeploymentReport{Deployment: "d1", Report: &runwayv1.DeploymentReport{}}, command.ErrConflict, code.Conflict},
		{"status of an unknown deployment", nil, &runwayv1.SetDeploymentStatus{Deployment: "x"}, command.ErrNotFound, code.DeploymentNotFound},
		{"status from an old read", nil, &runwayv1.SetDeploymentStatus{Deployment: "d1", Status: &runwayv1.DeploymentStatus{Phase: 2}, ModifiedIndex: 1}, command.ErrConflict, code.Conflict},
		{"scale above the bounds", nil, &runwayv1.SetWanted{Workload: Key("web"), Region: Region, Count: 11}, command.ErrInvalid, code.ScaleOutOfBounds},
		{"scale below the bounds", nil, &runwayv1.SetWanted{Workload: Key("web"), Region: Region, Count: 0}, command.ErrInvalid, code.ScaleOutOfBounds},
		{"scale of no service", nil, &runwayv1.SetWanted{Workload: Key("api"), Region: Region}, command.ErrNotFound, code.ServiceNotFound},
		{"purge of a service nobody deleted", nil, &runwayv1.PurgeWorkload{Workload: Key("web")}, command.ErrConflict, code.Conflict},
		{"purge of a service with replicas", []proto.Message{&runwayv1.DeleteWorkload{Workload: Key("web")}}, &runwayv1.PurgeWorkload{Workload: Key("web")}, command.ErrConflict, code.Conflict},
		{"a node with an impossible port range", nil, &runwayv1.RegisterNode{Node: "n9", Name: "n9", Facts: &runwayv1.NodeFacts{Address: "a", Region: Region, PortFirst: 9, PortLast: 8}}, command.ErrInvalid, code.SpecInvalid},
		{"a node of 10^18 bytes", nil, func() proto.Message {
			r := RegisterNode("n9")
			r.Facts.CapacityMemoryBytes = 1e18
			return r
		}(), command.ErrInvalid, code.SpecInvalid},
		{"a node that offers more than it has", nil, func() proto.Message {
			r := RegisterNode("n9")
			r.Facts.AllocatableCpuMilli++
			return r
		}(), command.ErrInvalid, code.SpecInvalid},
		{"phase of no node", nil, phase("n9", down), command.ErrNotFound, code.SpecInvalid},
		{"suspecting a node that is down", []proto.Message{phase("n1", down)}, phase("n1", suspect), command.ErrConflict, code.Conflict},
		{"removing no ingress", nil, &runwayv1.RemoveIngress{Ingress: "x"}, command.ErrNotFound, code.SpecInvalid},
		{"a token without a hash", nil, &runwayv1.PutToken{Token: &runwayv1.Token{Id: "t", Role: runwayv1.Role_ROLE_VIEWER}}, command.ErrInvalid, code.SpecInvalid},
		{"a token for a machine", nil, &runwayv1.PutToken{Token: Token("t", runwayv1.Role_ROLE_NODE)}, command.ErrInvalid, code.SpecInvalid},
		{"a join token for a person", nil, &runwayv1.PutJoinToken{Token: JoinToken("t", runwayv1.Role_ROLE_OPERATOR)}, command.ErrInvalid, code.SpecInvalid},
		{"revoking the last admin but one of a space", []proto.Message{limitedAdmin()}, &runwayv1.RevokeToken{Token: "admin"}, command.ErrConflict, code.Conflict},
		{"revoking the last admin", nil, &runwayv1.RevokeToken{Token: "admin"}, command.ErrConflict, code.Conflict},
		{"an unknown join token", nil, &runwayv1.UseJoinToken{Token: "x"}, command.ErrNotFound, code.JoinTokenInvalid},
		{"an event without a kind", nil, &runwayv1.RecordEvents{Events: []*runwayv1.Event{{}}}, command.ErrInvalid, code.SpecInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := serving(t, test.before...)
			before := s.View()
			_, err := s.Apply(t.Context(), test.give)
			var rejection *command.Rejection
			if !errors.As(err, &rejection) || !errors.Is(err, test.kind) || rejection.Code != test.code {
				t.Fatalf("Apply() = %v, want %v with %s", err, test.kind, test.code)
			}
			if s.View().Index() != before.Index() {
				t.Error("a rejected command was written")
			}
		})
	}
}

func TestDeploy_numbersAndSupersedes(t *testing.T) {
	s := NewState(t, Deploy("d1", "web", Spec(), 2), Deploy("d2", "web", Spec(), 2))
	v := s.View()
	if got := v.Deployment("d1").GetStatus(); got.GetPhase() != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUPERSEDED ||
		got.GetCause().GetCode() != string(code.DeploymentSuperseded) || got.GetEndedAt() == nil {
		t.Errorf("d1 is %v", got)
	}
	if got := v.Deployment("d2"); got.GetSpec().GetRevision() != 2 || got.GetStatus().GetWanted() != 2 {
		t.Errorf("d2 is %v", got)
	}
	if got := v.Workload(ID("web")); got.GetActiveDeployment() != "d2" || got.GetLatestRevision() != 2 || got.GetServingRevision() != 0 {
		t.Errorf("web is %v", got)
	}
}

func TestDeploy_sameRequestHappensOnce(t *testing.T) {
	s := NewState(t)
	first, again := Deploy("d1", "web", Spec(), 1), Deploy("d2", "web", Spec(), 1)
	first.IdempotencyKey, again.IdempotencyKey = "key", "key"
	s.Must(t, first)
	result, err := s.Apply(t.Context(), again)
	if err != nil || result.Value.(*runwayv1.Deployment).GetId() != "d1" {
		t.Errorf("repeated request: %v, %v, want d1", result.Value, err)
	}
	if v := s.View(); v.Deployment("d2") != nil || v.Workload(ID("web")).GetLatestRevision() != 1 {
		t.Error("a repeated request was written again")
	}
}

func TestDeploy_restartIsANewDeploymentOfWhatServes(t *testing.T) {
	s := NewState(t, Deploy("d1", "web", Spec(), 1))
	s.Must(t, end(s, "d1", runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED))
	s.Must(t, Deploy("d2", "web", Spec(), 1))
	s.Must(t, end(s, "d2", runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_FAILED))
	s.Must(t, &runwayv1.Deploy{Deployment: "d3", Workload: Key("web"), Restart: true})
	if got := s.View().Deployment("d3").GetSpec(); got.GetRevision() != 1 || got.GetPreviousRevision() != 1 || !got.GetRestart() {
		t.Errorf("the restart is %v", got)
	}
}

// A deployment reads the wanted count and never writes it: one that fails must leave what
// a user chose, and the bounds of a revision end with the revision.
func TestDeploy_takesTheChosenCountWithinItsBounds(t *testing.T) {
	narrow := Spec()
	narrow.Scale = &runwayv1.ScalePolicy{Min: 1, Max: 2}
	s := NewState(t, Deploy("d1", "web", narrow, 1), &runwayv1.SetWanted{Workload: Key("web"), Region: Region, Count: 2, Writer: "alice"})
	wide := Spec()
	wide.Scale.Min = 3
	back := Deploy("d3", "web", nil, 1)
	back.Revision = 1
	for _, row := range []struct {
		deploy *runwayv1.Deploy
		want   uint32
	}{{Deploy("d2", "web", wide, 3), 3}, {back, 2}} {
		s.Must(t, row.deploy)
		if got := s.View().Deployment(row.deploy.GetDeployment()).GetStatus().GetWanted(); got != row.want {
			t.Errorf("%s wants %d, want %d", row.deploy.GetDeployment(), got, row.want)
		}
		if got := s.View().Wanted(ID("web"), Region); got.GetCount() != 2 || got.GetWriter() != "alice" {
			t.Errorf("%s changed alice's count to %v", row.deploy.GetDeployment(), got)
		}
	}
	if w := s.View().Workload(ID("web")); w.GetLatestRevision() != 2 {
		t.Errorf("the way back made a revision: %v", w)
	}
}

func TestDeploy_withoutAChosenCountEachRevisionHasItsMinimum(t *testing.T) {
	s := NewState(t)
	for i, least := range []uint32{2, 5, 1} {
		spec := Spec()
		spec.Scale.Min = least
		id := fmt.Sprintf("d%d", i)
		deploy := Deploy(id, "web", spec, least)
		deploy.Wanted[0].Writer = state.WriterManifest
		s.Must(t, deploy)
		if got := s.View().Deployment(id).GetStatus().GetWanted(); got != least {
			t.Errorf("a minimum of %d: %d are wanted", least, got)
		}
	}
}

func TestRecordDeploymentReport_firstOneStays(t *testing.T) {
	s := serving(t)
	s.Must(t, end(s, "d1", runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED))
	ended := s.View().Deployment("d1")
	names := make([]string, 1000)
	s.Must(t, &runwayv1.RecordDeploymentReport{Deployment: "d1", Report: &runwayv1.DeploymentReport{Requests: 7, Incomplete: names}})
	s.Must(t, &runwayv1.RecordDeploymentReport{Deployment: "d1", Report: &runwayv1.DeploymentReport{Requests: 8}})
	got := s.View().Deployment("d1")
	if got.GetReport().GetRequests() != 7 || len(got.GetReport().GetIncomplete()) != 100 {
		t.Errorf("report has %d requests and %d names", got.GetReport().GetRequests(), len(got.GetReport().GetIncomplete()))
	}
	if !proto.Equal(got.GetStatus(), ended.GetStatus()) {
		t.Errorf("the report changed the status to %v", got.GetStatus())
	}
}

func TestSetDeploymentStatus_onlyForward(t *testing.T) {
	const (
		pending    = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_PENDING
		rolling    = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING
		undoing    = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_UNDOING
		succeeded  = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
		rolledBack = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK
	)
	tests := []struct {
		name string
		path []runwayv1.DeploymentPhase
		ok   bool
	}{
		{"success", []runwayv1.DeploymentPhase{rolling, succeeded}, true},
		{"stays", []runwayv1.DeploymentPhase{rolling, rolling}, true},
		{"undone", []runwayv1.DeploymentPhase{rolling, undoing, rolledBack}, true},
		{"back to the start", []runwayv1.DeploymentPhase{rolling, pending}, false},
		{"success while undoing", []runwayv1.DeploymentPhase{rolling, undoing, succeeded}, false},
		{"after the end", []runwayv1.DeploymentPhase{succeeded, rolling}, false},
		{"no phase", []runwayv1.DeploymentPhase{0}, false},
		{"unknown phase", []runwayv1.DeploymentPhase{99}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := NewState(t, Deploy("d1", "web", Spec(), 1))
			var err error
			for _, next := range test.path {
				_, err = s.Apply(t.Context(), end(s, "d1", next))
			}
			if (err == nil) != test.ok {
				t.Errorf("last step of %v: %v", test.path, err)
			}
		})
	}
}

func TestSetDeploymentStatus_successServes(t *testing.T) {
	s := NewState(t, Deploy("d1", "web", Spec(), 1))
	s.Must(t, end(s, "d1", runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED))
	workload := s.View().Workload(ID("web"))
	if workload.GetServingRevision() != 1 || workload.GetActiveDeployment() != "" {
		t.Errorf("web is %v", workload)
	}
	if got := s.View().Deployment("d1").GetStatus(); got.GetEndedAt() == nil || got.GetStartedAt() == nil {
		t.Errorf("d1 is %v", got)
	}
}

func TestAssignReplicas_refusesOneByOne(t *testing.T) {
	worker := Spec()
	worker.ContainerPort = 0
	large := Spec()
	large.Resources.MemoryBytes = 8 << 30
	tests := []struct {
		name   string
		before []proto.Message
		give   *runwayv1.Replica
		want   string
	}{
		{"node is gone", nil, Replica("r", "web", 1, "n9", 20001), string(code.Unplaceable)},
		{"node is down", []proto.Message{phase("n1", down)}, Replica("r", "web", 1, "n1", 20001), string(code.NodeDown)},
		{"node is suspect", []proto.Message{phase("n1", suspect)}, Replica("r", "web", 1, "n1", 20001), string(code.NodeDown)},
		{"node is cordoned", []proto.Message{&runwayv1.SetNodeSpec{Node: "n1", Spec: &runwayv1.NodeSpec{Cordoned: true}}}, Replica("r", "web", 1, "n1", 20001), string(code.Unplaceable)},
		{"another epoch", []proto.Message{phase("n1", down), phase("n1", ready)}, Replica("r", "web", 1, "n1", 20001), string(code.Conflict)},
		{"port is taken", nil, Replica("r", "web", 1, "n1", 20000), string(code.NodePortTaken)},
		{"port of a stopped replica", []proto.Message{Report("n1", "r1", stopped)}, Replica("r", "web", 1, "n1", 20000), string(code.NodePortTaken)},
		{"port below the range", nil, Replica("r", "web", 1, "n1", 19999), string(code.NodePortsExhausted)},
		{"no port for an endpoint", nil, Replica("r", "web", 1, "n1", 0), string(code.NodePortsExhausted)},
		{"a port for a worker", []proto.Message{Deploy("d2", "worker", worker, 1)}, Replica("r", "worker", 1, "n1", 20001), string(code.SpecInvalid)},
		{"no room", []proto.Message{Deploy("d2", "large", large, 1)}, Replica("r", "large", 1, "n1", 20001), string(code.Unplaceable)},
		{"unknown revision", nil, Replica("r", "web", 2, "n1", 20001), string(code.SpecInvalid)},
		{"unknown service", nil, Replica("r", "api", 1, "n1", 20001), string(code.ServiceNotFound)},
		{"deleted service", []proto.Message{&runwayv1.DeleteWorkload{Workload: Key("web")}}, Replica("r", "web", 1, "n1", 20001), string(code.ServiceNotFound)},
		{"id in use", nil, Replica("r1", "web", 1, "n1", 20001), string(code.Conflict)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := serving(t, test.before...)
			s.Must(t, RegisterNode("n2"), Deploy("other", "other", Spec(), 1))
			result, err := s.Apply(t.Context(), Assign(test.give, Replica("good", "other", 1, "n2", 20001)))
			if err != nil {
				t.Fatal(err)
			}
			refused := Refused(result)
			if len(refused) != 1 || !strings.HasPrefix(refused[test.give.GetId()], test.want) {
				t.Errorf("refused %v, want %s with %s", refused, test.give.GetId(), test.want)
			}
			if s.View().Replica("good") == nil {
				t.Error("a good replica was left out with the bad one")
			}
			if err := CheckInvariants(s.View()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAssignReplicas_sharesTheRoomWithinOneCommand(t *testing.T) {
	spec := Spec()
	spec.Resources.CpuRequestMilli = 1500
	s := NewState(t, RegisterNode("n1"), Deploy("d1", "web", spec, 3))
	result, err := s.Apply(t.Context(), Assign(
		Replica("a", "web", 1, "n1", 20000), Replica("b", "web", 1, "n1", 20001),
		Replica("c", "web", 1, "n1", 20002), Replica("d", "web", 1, "n1", 20000)))
	if err != nil {
		t.Fatal(err)
	}
	if refused := Refused(result); len(refused) != 2 || refused["c"] == "" || refused["d"] == "" {
		t.Errorf("refused %v, want c for room and d", refused)
	}
}

func TestAssignReplicas_stoppedGivesBackRoomAndPurgedThePort(t *testing.T) {
	spec := Spec()
	spec.Resources.CpuRequestMilli = 4000
	s := NewState(t, RegisterNode("n1"), Deploy("d1", "web", spec, 1), Assign(Replica("r1", "web", 1, "n1", 20000)))
	s.Must(t, goal("r1", runwayv1.Goal_GOAL_STOP), Report("n1", "r1", stopped))
	s.Must(t, Assign(Replica("r2", "web", 1, "n1", 20001)))
	if result, err := s.Apply(t.Context(), &runwayv1.PurgeReplicas{Replicas: []string{"r1"}}); err != nil || len(Refused(result)) != 1 {
		t.Errorf("purged a replica whose port is not released: %v, %v", result.Value, err)
	}
	s.Must(t, &runwayv1.ConfirmRoutes{Released: []string{"r1"}}, &runwayv1.PurgeReplicas{Replicas: []string{"r1"}})
	if s.View().Replica("r1") != nil {
		t.Error("r1 is not purged")
	}
	s.Must(t, goal("r2", runwayv1.Goal_GOAL_STOP), Report("n1", "r2", stopped), Assign(Replica("r3", "web", 1, "n1", 20000)))
}

func TestSetReplicaGoals_onlyForward(t *testing.T) {
	s := serving(t, goal("r1", runwayv1.Goal_GOAL_DRAIN))
	if plan := s.View().Replica("r1").GetPlan(); plan.GetDrainSince() == nil || plan.GetReason() != "test" {
		t.Errorf("draining replica has plan %v", plan)
	}
	for _, back := range []runwayv1.Goal{runwayv1.Goal_GOAL_SERVE, runwayv1.Goal_GOAL_UNSPECIFIED, 99} {
		result, err := s.Apply(t.Context(), goal("r1", back))
		if err != nil || len(Refused(result)) != 1 {
			t.Errorf("goal went from drain to %v: %v", back, err)
		}
	}
	s.Must(t, goal("r1", runwayv1.Goal_GOAL_DRAIN), goal("r1", runwayv1.Goal_GOAL_STOP))
}

func TestReportReplicas_refuses(t *testing.T) {
	attempt := func(n uint32, p runwayv1.ReplicaPhase) *runwayv1.ReportReplicas {
		r := Report("n1", "r1", p)
		r.Reports[0].Status.Attempt = n
		return r
	}
	otherEpoch := Report("n1", "r1", running)
	otherEpoch.Reports[0].NodeEpoch = 2
	tests := []struct {
		name   string
		before []proto.Message
		give   *runwayv1.ReportReplicas
		ok     bool
	}{
		{"progress", nil, Report("n1", "r1", running), true},
		{"of another node", []proto.Message{RegisterNode("n2")}, Report("n2", "r1", running), false},
		{"of another epoch", nil, otherEpoch, false},
		{"of an unknown replica", nil, Report("n1", "r9", running), false},
		{"of no phase", nil, Report("n1", "r1", 0), false},
		{"of an unknown phase", nil, Report("n1", "r1", 42), false},
		{"older phase", []proto.Message{attempt(0, running)}, attempt(0, starting), false},
		{"next attempt", []proto.Message{attempt(0, running)}, attempt(1, starting), true},
		{"older attempt", []proto.Message{attempt(2, running)}, attempt(1, failed), false},
		{"after it stopped", []proto.Message{attempt(0, stopped)}, attempt(1, running), false},
		{"stopped again", []proto.Message{attempt(0, stopped)}, attempt(0, stopped), true},
		{"stopped after it failed", []proto.Message{attempt(3, failed)}, attempt(3, stopped), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := serving(t, test.before...)
			result, err := s.Apply(t.Context(), test.give)
			if err != nil {
				t.Fatal(err)
			}
			if ok := len(Refused(result)) == 0; ok != test.ok {
				t.Errorf("refused %v", Refused(result))
			}
		})
	}
}

func TestReportReplicas_boundsWhatAgentsSay(t *testing.T) {
	report := Report("n1", "r1", failed)
	report.Reports[0].Status.Ready = true
	report.Reports[0].Status.Cause = &runwayv1.Cause{Summary: strings.Repeat("ä", 1<<16)}
	for range 1000 {
		report.Reports[0].Status.Cause.Evidence = append(report.Reports[0].Status.Cause.Evidence, "line")
	}
	s := serving(t, report)
	status := s.View().Replica("r1").GetStatus()
	if size := proto.Size(status); size > 8<<10 {
		t.Errorf("a report of %d bytes is kept in %d", proto.Size(report), size)
	}
	if status.GetReady() {
		t.Error("a failed replica is ready")
	}
}

func TestReportReplicas_sameAgainWritesNothing(t *testing.T) {
	s := serving(t, Report("n1", "r1", running))
	before := s.View().Replica("r1").GetMeta().GetModifiedIndex()
	s.Must(t, Report("n1", "r1", running))
	if got := s.View().Replica("r1").GetMeta().GetModifiedIndex(); got != before {
		t.Errorf("modified index went from %d to %d", before, got)
	}
}

func TestConfirmRoutes_followsTheGoal(t *testing.T) {
	s := serving(t, &runwayv1.ConfirmRoutes{Serving: []string{"r1", "gone"}, Drained: []string{"r1"}, Released: []string{"r1"}})
	if got := s.View().Replica("r1").GetRouting(); !got.GetServing() || got.GetDrained() || got.GetReleased() {
		t.Errorf("a serving replica is %v", got)
	}
	s.Must(t, &runwayv1.ConfirmRoutes{Unrouted: []string{"r1"}})
	if got := s.View().Replica("r1").GetRouting(); got.GetUnrouted() {
		t.Errorf("a serving replica is %v", got)
	}
	s.Must(t, goal("r1", runwayv1.Goal_GOAL_DRAIN), &runwayv1.ConfirmRoutes{Unrouted: []string{"r1"}})
	if got := s.View().Replica("r1").GetRouting(); !got.GetUnrouted() || got.GetDrained() {
		t.Errorf("an unrouted replica is %v", got)
	}
	s.Must(t, goal("r1", runwayv1.Goal_GOAL_DRAIN), &runwayv1.ConfirmRoutes{Drained: []string{"r1"}})
	if got := s.View().Replica("r1").GetRouting(); got.GetServing() || !got.GetDrained() || got.GetReleased() {
		t.Errorf("a drained replica is %v", got)
	}
	s.Must(t, &runwayv1.ConfirmRoutes{Serving: []string{"r1"}, Released: []string{"r1"}})
	if got := s.View().Replica("r1").GetRouting(); got.GetServing() || !got.GetReleased() {
		t.Errorf("a released replica is %v", got)
	}
}

func TestNode_epochRisesAtEveryReturn(t *testing.T) {
	s := NewState(t, RegisterNode("n1"))
	epoch := func() uint64 { return s.View().Node("n1").GetStatus().GetEpoch() }
	steps := []struct {
		give proto.Message
		want uint64
	}{
		{RegisterNode("n1"), 1},
		{phase("n1", suspect), 1},
		{phase("n1", ready), 1},
		{phase("n1", suspect), 1},
		{RegisterNode("n1"), 1},
		{phase("n1", down), 1},
		{phase("n1", ready), 2},
		{phase("n1", down), 2},
		{RegisterNode("n1"), 3},
	}
	for i, step := range steps {
		s.Must(t, step.give)
		if epoch() != step.want {
			t.Errorf("epoch after step %d is %d, want %d", i, epoch(), step.want)
		}
	}
	s.Must(t, &runwayv1.SetNodeSpec{Node: "n1", Spec: &runwayv1.NodeSpec{Cordoned: true}}, RegisterNode("n1"))
	if !s.View().Node("n1").GetSpec().GetCordoned() {
		t.Error("registering again lifted the cordon")
	}
}

func TestRemoveNode_purgesItsReplicas(t *testing.T) {
	s := serving(t, &runwayv1.RemoveNode{Node: "n1"})
	if v := s.View(); v.Node("n1") != nil || len(v.Replicas()) != 0 {
		t.Errorf("left over: %v", v.Replicas())
	}
}

func TestUseJoinToken_once(t *testing.T) {
	s := NewState(t, &runwayv1.PutJoinToken{Token: JoinToken("j", runwayv1.Role_ROLE_NODE)}, &runwayv1.UseJoinToken{Token: "j"})
	if _, err := s.Apply(t.Context(), &runwayv1.UseJoinToken{Token: "j"}); !errors.Is(err, command.ErrNotFound) {
		t.Errorf("second use: %v", err)
	}
}

func TestPurgeSpace_tokensLoseIt(t *testing.T) {
	only, both := Token("only", runwayv1.Role_ROLE_DEPLOYER), Token("both", runwayv1.Role_ROLE_DEPLOYER)
	only.Spaces, both.Spaces = []string{"shop"}, []string{"shop", SpaceName}
	s := NewState(t, &runwayv1.PutSpace{Name: "shop"}, &runwayv1.PutToken{Token: only}, &runwayv1.PutToken{Token: both})
	s.Must(t, &runwayv1.PutSpace{Name: "shop", Spec: &runwayv1.SpaceSpec{Delete: true}}, &runwayv1.PurgeSpace{Name: "shop"})
	v := s.View()
	if v.Space("shop") != nil || v.Token("only") != nil {
		t.Error("the space, or a token for nothing else, is still there")
	}
	if got := v.Token("both").GetSpaces(); len(got) != 1 || got[0] != SpaceName {
		t.Errorf("the other token is for %v", got)
	}
}

func TestDeleteWorkload_toTheEnd(t *testing.T) {
	s := serving(t, &runwayv1.DeleteWorkload{Workload: Key("web"), By: "alice"}, &runwayv1.DeleteWorkload{Workload: Key("web")})
	if got := s.View().Deployment("d1").GetStatus().GetPhase(); got != runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_CANCELLED {
		t.Errorf("its deployment is %v", got)
	}
	s.Must(t, goal("r1", runwayv1.Goal_GOAL_STOP), Report("n1", "r1", stopped),
		&runwayv1.ConfirmRoutes{Released: []string{"r1"}}, &runwayv1.PurgeReplicas{Replicas: []string{"r1"}},
		&runwayv1.PurgeWorkload{Workload: Key("web")})
	v := s.View()
	for _, table := range []state.Table{state.TableWorkloads, state.TableRevisions, state.TableDeployments, state.TableWanted, state.TableReplicas} {
		if v.Count(table) != 0 {
			t.Errorf("table %s has %d objects left", table, v.Count(table))
		}
	}
}

func TestEvents_tellTheStory(t *testing.T) {
	s := serving(t, Report("n1", "r1", running), &runwayv1.ConfirmRoutes{Serving: []string{"r1"}}, phase("n1", down))
	var got []string
	for _, event := range s.View().Events(100) {
		got = append(got, event.GetKind())
	}
	want := "token.created cluster.initialised node.ready deployment.started replica.placed replica.ready replica.serving node.down"
	if strings.Join(got, " ") != want {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, " "), want)
	}
}

func TestReportReplicas_OOMWithoutACauseSaysWhatHappened(t *testing.T) {
	for summary, want := range map[string]string{"": "killed at its memory limit", "met 64 MiB": "met 64 MiB"} {
		report := Report("n1", "r1", failed)
		report.Reports[0].Status.OomKilled, report.Reports[0].Status.Cause = true, nil
		if summary != "" {
			report.Reports[0].Status.Cause = &runwayv1.Cause{Summary: summary}
		}
		var told []string
		for _, event := range serving(t, report).View().Events(state.EventsKept) {
			if event.GetKind() == "replica.oom" {
				told = append(told, event.GetMessage())
			}
		}
		if !slices.Equal(told, []string{want}) {
			t.Errorf("events %q, want %q", told, want)
		}
	}
}
