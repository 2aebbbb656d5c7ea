// Package simulation runs the real controllers against a fake cluster: the state
// machine without Raft, nodes that start, lose and break replicas, ingresses that
// confirm late or not at all, leaders that come and go. Inside testing/synctest it
// does so in virtual time, and a seed gives the same faults again. It checks what
// must hold at every change, not only at the end.
package simulation

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/deployment"
	"github.com/runway-platform/runway/coordinator/state"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// Config of a world.
type Config struct {
	// Seed of everything that is random.
	Seed uint64
	// Nodes and Ingresses that are up at the start.
	Nodes, Ingresses int
	// Ports of each node; 0 means 1000.
	Ports uint32
	// Behave tells how a replica behaves on its node; nil: ready after a second.
	Behave func(*runwayv1.Replica, *rand.Rand) Behaviour
	// Break breaks a promise on purpose.
	Break Failpoint
}

// Behaviour of a replica on its node.
type Behaviour struct {
	// Start is the time until it is ready, or until it fails.
	Start time.Duration
	// Cause makes it fail instead of becoming ready.
	Cause *runwayv1.Cause
	// Crash is the time from ready until it ends by itself, each time; 0 is never.
	Crash time.Duration
	// Stop is how long it takes to stop, beside what every replica takes.
	Stop time.Duration
}

// World is a cluster whose machines are fake and whose decisions are real.
type World struct {
	// Broken collects what should never have been.
	Broken Violations

	config  Config
	t       testing.TB
	ctx     context.Context
	running sync.WaitGroup
	state   *coordinatortest.State
	checker checker

	// calm is set once replicas no longer end by themselves.
	calm atomic.Bool

	// applying admits one command at a time, with its checks.
	applying sync.Mutex

	mu        sync.Mutex
	nodes     map[string]*node
	ingresses map[string]*ingress
	leader    *leader
	elected   chan struct{}
	ids       int
}

// Key is the workload that scenarios deploy.
var Key = &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"}

var keyID = state.IDOf(Key)

// New makes a world whose machines are registered. Nothing moves until Run.
func New(t testing.TB, config Config) *World {
	if config.Behave == nil {
		config.Behave = func(*runwayv1.Replica, *rand.Rand) Behaviour { return Behaviour{Start: time.Second} }
	}
	if config.Ports == 0 {
		config.Ports = 1000
	}
	w := &World{
		Broken:    Violations{start: time.Now()},
		config:    config,
		t:         t,
		state:     &coordinatortest.State{Store: state.New()},
		nodes:     map[string]*node{},
		ingresses: map[string]*ingress{},
		elected:   make(chan struct{}),
	}
	w.checker = checker{world: w, published: map[uint64]*runwayv1.RouteSet{}}
	w.must(&runwayv1.InitCluster{
		Cluster: &runwayv1.Cluster{Id: "sim", Incarnation: "one", Version: 1, Domain: "example.test", Regions: []string{"local"}},
		Space:   &runwayv1.Space{Name: "default", Spec: &runwayv1.SpaceSpec{}, Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_READY}},
		Admin:   &runwayv1.Token{Id: "admin", Name: "admin", Hash: make([]byte, 32), Role: runwayv1.Role_ROLE_CLUSTER_ADMIN},
	})
	for i := range config.Nodes {
		n := newNode(w, i)
		w.nodes[n.id] = n
		w.must(n.registration())
	}
	for i := range config.Ingresses {
		ingress := newIngress(w, i)
		w.ingresses[ingress.id] = ingress
		w.must(ingress.registration())
	}
	return w
}

// Run starts the machines and the first leader; all end with ctx. Wait waits for
// them.
func (w *World) Run(ctx context.Context) {
	w.ctx = ctx
	w.elect()
	for _, n := range w.nodes {
		w.running.Go(func() { n.run(ctx) })
	}
	for _, i := range w.ingresses {
		w.running.Go(func() { i.run(ctx) })
	}
}

// Wait returns when everything that Run started has ended.
func (w *World) Wait() {
	w.depose()
	w.running.Wait()
}

// Join adds an ingress that has never been seen before.
func (w *World) Join() {
	w.mu.Lock()
	ingress := newIngress(w, len(w.ingresses))
	w.ingresses[ingress.id] = ingress
	w.mu.Unlock()
	w.running.Go(func() { ingress.run(w.ctx) })
}

// View returns the present state.
func (w *World) View() *state.View { return w.state.View() }

// Apply writes a command and checks what came of it. It is how controllers and
// machines write.
func (w *World) Apply(ctx context.Context, payload proto.Message) (command.Result, error) {
	w.applying.Lock()
	defer w.applying.Unlock()
	payload = w.config.Break.plant(payload)
	before := w.View()
	result, err := w.state.Apply(ctx, payload)
	if err == nil {
		w.checker.command(before, payload, w.View())
	}
	return result, err
}

func (w *World) must(payload proto.Message) {
	w.t.Helper()
	if _, err := w.Apply(context.Background(), payload); err != nil {
		w.t.Fatalf("apply %T: %v", payload, err)
	}
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

// random returns the random numbers of one machine or purpose. Each has its own, so
// that the order in which goroutines run at one moment changes nobody's numbers.
func (w *World) random(name string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return rand.New(rand.NewPCG(w.config.Seed, hash.Sum64()))
}

// between returns a random duration.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)+1))
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
