// Package simulation runs the real controllers against a fake cluster: the state
// machine without Raft, nodes that start and break replicas as told, ingresses that
// acknowledge late. Inside testing/synctest it does so in virtual time, and a seed
// gives the same run again. It checks what must hold at every moment, not only at
// the end.
package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/endpoint"
	"github.com/runway-platform/runway/coordinator/placement"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/coordinator/reaper"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// World is a cluster whose machines are fake and whose decisions are real.
type World struct {
	*coordinatortest.State
	t    testing.TB
	rand *rand.Rand
	// Behave tells how a replica behaves once it is placed.
	Behave func(*runwayv1.Replica) Behaviour
	// Broken collects requests that would have been lost.
	Broken Violations
	// Skip removes an acknowledgement rule, to show that the checker notices.
	Skip Failpoint

	mu    sync.Mutex
	acks  map[string]presence.Ack
	acked chan struct{}
	// routed is what each ingress sends requests to.
	routed map[string]map[string]bool
	ids    int

	endpoints *endpoint.Controller
}

// Behaviour of a replica on its node.
type Behaviour struct {
	// Start is the time until it is ready, or until it fails.
	Start time.Duration
	// Cause makes it fail instead of becoming ready.
	Cause *runwayv1.Cause
}

// Failpoint breaks a promise on purpose.
type Failpoint int

// The promises that can be broken.
const (
	None Failpoint = iota
	// StopFirst stops a replica as soon as it drains, acknowledged or not.
	StopFirst
)

// Key is the workload that scenarios deploy.
var Key = &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}

// New makes a world with nodes and ingresses that are up.
func New(t testing.TB, seed uint64, nodes, ingresses int) *World {
	w := &World{
		Broken: Violations{start: time.Now()},
		t:      t,
		rand:   rand.New(rand.NewPCG(seed, 0)),
		State:  &coordinatortest.State{Store: state.New()},
		Behave: func(*runwayv1.Replica) Behaviour { return Behaviour{Start: time.Second} },
		acks:   map[string]presence.Ack{},
		routed: map[string]map[string]bool{},
		acked:  make(chan struct{}),
	}
	w.must(&runwayv1.InitCluster{
		Cluster: &runwayv1.Cluster{Id: "sim", Incarnation: "one", Version: 1, Domain: "example.test", Regions: []string{"local"}},
		Space:   &runwayv1.Space{Name: "default", Spec: &runwayv1.SpaceSpec{}, Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_READY}},
		Admin:   &runwayv1.Token{Id: "admin", Name: "admin", Hash: make([]byte, 32), Role: runwayv1.Role_ROLE_CLUSTER_ADMIN},
	})
	for i := range nodes {
		w.must(&runwayv1.RegisterNode{Node: fmt.Sprintf("n%d", i), Name: fmt.Sprintf("node-%d", i), Facts: nodeFacts(i)})
	}
	for i := range ingresses {
		w.must(&runwayv1.RegisterIngress{Ingress: fmt.Sprintf("i%d", i), Name: fmt.Sprintf("ingress-%d", i), Facts: &runwayv1.IngressFacts{SourceAddress: fmt.Sprintf("10.0.1.%d", i+1)}})
	}
	return w
}

func nodeFacts(i int) *runwayv1.NodeFacts {
	return &runwayv1.NodeFacts{
		Address: fmt.Sprintf("10.0.0.%d", i+1), Region: "local",
		CapacityCpuMilli: 8000, AllocatableCpuMilli: 8000,
		CapacityMemoryBytes: 8 << 30, AllocatableMemoryBytes: 8 << 30,
		CapacityDiskBytes: 100 << 30, AllocatableDiskBytes: 100 << 30,
		PortFirst: 20000, PortLast: 20999,
	}
}

// Spec is a small web service.
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

// Run starts the controllers and the fake machines; they end with ctx.
func (w *World) Run(ctx context.Context, wait *sync.WaitGroup) {
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	w.endpoints = endpoint.New(endpoint.Config{Views: w.View, Applier: w, Acks: w.Acks, Acked: w.Acked, Log: log})
	loops := []func(context.Context) error{
		deployment.New(deployment.Config{Views: w.View, Applier: w, Log: log}).Run,
		placement.New(placement.Config{Views: w.View, Applier: w, NewID: w.newID, Log: log}).Run,
		w.endpoints.Run,
		reaper.New(reaper.Config{Views: w.View, Applier: w, Log: log}).Run,
		w.runNodes,
		w.checkRouted,
	}
	for _, i := range w.View().Ingresses() {
		loops = append(loops, func(ctx context.Context) error { return w.runIngress(ctx, i.GetId()) })
	}
	for _, run := range loops {
		wait.Go(func() {
			if err := run(ctx); err != nil {
				w.t.Errorf("controller ended: %v", err)
			}
		})
	}
}

func (w *World) must(payload proto.Message) {
	w.t.Helper()
	w.Must(w.t, payload)
}

// Deploy starts a deployment of a spec, with count replicas when it is the first.
func (w *World) Deploy(id string, spec *runwayv1.RevisionSpec, count uint32) {
	w.t.Helper()
	w.must(&runwayv1.Deploy{
		Deployment: id, Workload: Key, Spec: spec, Strategy: deployment.DefaultStrategy, CreatedBy: "test",
		Wanted: []*runwayv1.Wanted{{Workload: Key, Region: "local", Count: count, Reason: "test", Writer: "test"}},
	})
}

// Scale sets the wanted count.
func (w *World) Scale(count uint32) {
	w.t.Helper()
	w.must(&runwayv1.SetWanted{Workload: Key, Region: "local", Count: count, Reason: "test", Writer: "test"})
}

// Cancel asks for the end of a deployment.
func (w *World) Cancel(id string) {
	w.t.Helper()
	w.must(&runwayv1.CancelDeployment{Deployment: id, By: "test"})
}

// Await returns the deployment once it has ended, and fails the test when it has
// not after most.
func (w *World) Await(id string, most time.Duration) *runwayv1.Deployment {
	w.t.Helper()
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	for {
		view := w.View()
		if d := view.Deployment(id); state.Ended(d.GetStatus().GetPhase()) {
			return d
		}
		select {
		case <-view.Changed():
		case <-deadline.C:
			w.t.Fatalf("deployment %s has not ended after %s: %v", id, most, w.View().Deployment(id).GetStatus())
		}
	}
}

func (w *World) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("r%04d", w.ids)
}

// Acks returns the last acknowledgement of each ingress.
func (w *World) Acks() map[string]presence.Ack {
	w.mu.Lock()
	defer w.mu.Unlock()
	copied := make(map[string]presence.Ack, len(w.acks))
	for id, ack := range w.acks {
		copied[id] = ack
	}
	return copied
}

// Acked is closed at the next acknowledgement.
func (w *World) Acked() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked
}

// between returns a random duration.
func (w *World) between(low, high time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return low + time.Duration(w.rand.Int64N(int64(high-low)+1))
}
