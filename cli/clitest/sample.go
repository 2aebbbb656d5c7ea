package clitest

import (
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Now is the time at which the samples are looked at.
var Now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// DeploymentID is the deployment of the samples.
const DeploymentID = "01JNQ8Z3"

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// Before is the time d before Now.
func Before(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(Now.Add(-d)) }

// Web is the workload of the samples.
func Web() *runwayv1.WorkloadKey {
	return &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}
}

// Revision is the third revision of Web.
func Revision() *runwayv1.Revision {
	return &runwayv1.Revision{
		Meta: &runwayv1.Meta{CreatedAt: Before(90 * time.Second)}, Workload: Web(), Number: 3, CreatedBy: "ci", Message: "new header",
		Spec: &runwayv1.RevisionSpec{
			Image:     &runwayv1.Image{Reference: "registry.example.com/web:3", Resolved: "registry.example.com/web@" + digest},
			Resources: &runwayv1.Resources{CpuLimitMilli: 1000, CpuRequestMilli: 100, MemoryBytes: 512 << 20},
		},
	}
}

// Deployment is that of Revision in a phase, which ended after 2.1 s when the phase
// is an end.
func Deployment(phase runwayv1.DeploymentPhase, serving uint32, cause *runwayv1.Cause) *runwayv1.Deployment {
	d := &runwayv1.Deployment{
		Meta: &runwayv1.Meta{CreatedAt: Before(time.Minute)}, Id: DeploymentID, Workload: Web(),
		Spec:   &runwayv1.DeploymentSpec{Revision: 3, PreviousRevision: 2, Strategy: "rolling", CreatedBy: "ci", Message: "new header"},
		Status: &runwayv1.DeploymentStatus{Phase: phase, StartedAt: Before(time.Minute), Serving: serving, Wanted: 2, Cause: cause},
	}
	if phase >= runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED {
		d.Status.EndedAt = Before(time.Minute - 2100*time.Millisecond)
		d.Report = Report()
		d.Status.Undone = phase == runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLED_BACK
	}
	return d
}

// Report is that of Deployment.
func Report() *runwayv1.DeploymentReport {
	return &runwayv1.DeploymentReport{
		Since: Before(time.Minute), Until: Before(time.Minute - 2200*time.Millisecond), Requests: 1236, Failed: 2,
		Revisions: []*runwayv1.RevisionRequests{{Revision: 0, Requests: 2, Failed: 2}, {Revision: 2, Requests: 800}, {Revision: 3, Requests: 434}},
	}
}

// Replica of Deployment.
func Replica(id string, phase runwayv1.ReplicaPhase, ready, serving bool) *runwayv1.ReplicaView {
	return &runwayv1.ReplicaView{
		NodeName: "node-1", NodeAddress: "10.0.0.1",
		Replica: &runwayv1.Replica{
			Meta: &runwayv1.Meta{CreatedAt: Before(42 * time.Second)}, Id: id, Workload: Web(), Revision: 3, Deployment: DeploymentID,
			Plan:    &runwayv1.ReplicaPlan{Node: "n1", Region: "local", NodePort: 20001, Goal: runwayv1.Goal_GOAL_SERVE},
			Status:  &runwayv1.ReplicaStatus{Phase: phase, Ready: ready, Address: "10.90.0.5", Pid: 4711},
			Routing: &runwayv1.ReplicaRouting{Serving: serving},
		},
	}
}

// Step is one message of a watch.
func Step(d *runwayv1.Deployment, replicas ...*runwayv1.ReplicaView) *runwayv1.WatchDeploymentResponse {
	return &runwayv1.WatchDeploymentResponse{Deployment: d, Replicas: replicas}
}

// Healthy is a cluster that deploys Web without trouble.
func Healthy() *Fake {
	const (
		rolling   = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_ROLLING
		succeeded = runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_SUCCEEDED
		pulling   = runwayv1.ReplicaPhase_REPLICA_PHASE_PULLING
		starting  = runwayv1.ReplicaPhase_REPLICA_PHASE_STARTING
		running   = runwayv1.ReplicaPhase_REPLICA_PHASE_RUNNING
	)
	pending := Deployment(runwayv1.DeploymentPhase_DEPLOYMENT_PHASE_PENDING, 0, nil)
	url := "https://web.default.runway.localhost:8443/"
	return &Fake{
		Cluster: &runwayv1.InfoResponse{
			Cluster: "c-1", Domain: "runway.localhost", Version: "v0.1.0", Leader: "127.0.0.1:7443", Regions: []string{"local"}, Now: timestamppb.New(Now),
			Members: []*runwayv1.Member{{Id: "m1", Address: "127.0.0.1:7443", Voter: true, Leader: true}},
		},
		Deployed: &runwayv1.DeployResponse{Deployment: pending, Revision: Revision(), Urls: []string{url}},
		Watches: [][]*runwayv1.WatchDeploymentResponse{{
			Step(pending),
			Step(Deployment(rolling, 0, nil), Replica("web-a", pulling, false, false), Replica("web-b", starting, false, false)),
			Step(Deployment(rolling, 0, nil), Replica("web-a", running, false, false), Replica("web-b", running, true, false)),
			Step(Deployment(rolling, 1, nil), Replica("web-a", running, true, false), Replica("web-b", running, true, true)),
			Step(Deployment(succeeded, 2, nil), Replica("web-a", running, true, true), Replica("web-b", running, true, true)),
		}},
		History: []*runwayv1.Deployment{Deployment(succeeded, 2, nil)},
		AllServices: []*runwayv1.ServiceView{{
			Workload: &runwayv1.Workload{Key: Web(), LatestRevision: 3, ServingRevision: 3}, Revision: Revision(),
			Deployment: Deployment(succeeded, 2, nil), Wanted: 2, Ready: 2, Serving: 2, Replicas: 2,
			Urls: []string{url}, InternalName: "web.default.internal",
		}},
		Replicas: []*runwayv1.ReplicaView{Replica("web-a", running, true, true), Replica("web-b", running, false, false)},
	}
}
