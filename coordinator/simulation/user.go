package simulation

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Key is the workload that scenarios deploy.
var Key = keyOf("web")

var keyID = state.IDOf(Key)

func keyOf(service string) *runwayv1.WorkloadKey {
	return &runwayv1.WorkloadKey{Space: "default", Service: service, Environment: "production"}
}

// ask writes a command of a user, who has no latency.
func (w *World) ask(payload proto.Message) (command.Result, error) {
	return w.commit(&entry{hand: &hand{world: w, name: "user"}, payload: payload})
}

func (w *World) must(payload proto.Message) {
	w.t.Helper()
	if _, err := w.ask(payload); err != nil {
		w.t.Fatalf("apply %T: %v", payload, err)
	}
}

// Deploy starts a deployment of a spec, with count replicas when nobody chose
// another number.
func (w *World) Deploy(id string, spec *runwayv1.RevisionSpec, count uint32) {
	w.t.Helper()
	w.must(deployOf(id, Key, spec, count, "test"))
}

// deployOf is what the API writes for a deploy.
func deployOf(id string, key *runwayv1.WorkloadKey, spec *runwayv1.RevisionSpec, count uint32, writer string) *runwayv1.Deploy {
	return &runwayv1.Deploy{
		Deployment: id, Workload: key, Spec: spec, Strategy: deployment.DefaultStrategy, CreatedBy: "test",
		Wanted: []*runwayv1.Wanted{{Workload: key, Region: "local", Count: count, Reason: "test", Writer: writer}},
	}
}

// Scale sets the wanted count.
func (w *World) Scale(count uint32) {
	w.t.Helper()
	w.must(scaleOf(Key, count))
}

func scaleOf(key *runwayv1.WorkloadKey, count uint32) *runwayv1.SetWanted {
	return &runwayv1.SetWanted{Workload: key, Region: "local", Count: count, Reason: "test", Writer: "test"}
}

// Cancel asks for the end of a deployment.
func (w *World) Cancel(id string) {
	w.t.Helper()
	w.must(&runwayv1.CancelDeployment{Deployment: id, By: "test"})
}

// Spec is a small web service of one to a hundred replicas.
func Spec(memory int64) *runwayv1.RevisionSpec {
	return &runwayv1.RevisionSpec{
		Image:         &runwayv1.Image{Reference: "registry.test/web:1", Resolved: "registry.test/web@sha256:" + fmt.Sprintf("%064d", memory)},
		ContainerPort: 8080,
		Protocol:      runwayv1.Protocol_PROTOCOL_HTTP1,
		Resources:     &runwayv1.Resources{CpuLimitMilli: 1000, CpuRequestMilli: 100, MemoryBytes: memory, DiskBytes: 1 << 20, Pids: 100},
		Scale:         &runwayv1.ScalePolicy{Min: 1, Max: 100},
		StartupProbe:  &runwayv1.Probe{Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Path: "/", Timeout: durationpb.New(time.Second), Period: durationpb.New(time.Second), FailureThreshold: 3},
		Public:        true, Internal: true,
		RequestTimeout: durationpb.New(time.Minute), TerminationGrace: durationpb.New(30 * time.Second), DrainTimeout: durationpb.New(30 * time.Second),
	}
}
