package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/runway-platform/runway/agent/logs"
	"github.com/runway-platform/runway/agent/network/networktest"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtimetest"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	containerPort = 8080
	digest        = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
)

func imageRef(name string) string { return "registry.test/" + name + "@" + digest }

// rig is a node whose machine outlives its agent. Everything happens in a synctest bubble.
type rig struct {
	t       *testing.T
	runtime *runtimetest.Fake
	network *networktest.Fake
	dir     string
	spools  string
	// parts of the present life of the agent.
	worker   *worker
	reporter *reporter
	deps     Deps
	end      func()
	// generation of the last set that was assigned.
	generation uint64
	// jitter of retries; nil means none.
	jitter func(time.Duration) time.Duration
	// listening answers doInspect.
	listening []netip.AddrPort
	// wrapRuntime and wrap put something between the agent and its runtime and network; ingresses are the listeners that answer.
	wrapRuntime func(runtime.Runtime) runtime.Runtime
	wrap        func(Network) Network
	mu          sync.Mutex
	sick        map[string]bool
	ingresses   map[string]bool
	// repairs is what the runtime tells of.
	repairs chan runtime.Repair
	// answer is what a listening replica says to a request for a path; nil means 200 and "ok".
	answer func(replica, path string) (int, string)
}

// onRig runs a test on a fresh rig in a bubble; the agent is started and has no assignments yet.
func onRig(t *testing.T, test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.boot()
		defer r.kill()
		test(t, r)
	})
}

func newRig(t *testing.T) *rig {
	return &rig{
		t: t, runtime: runtimetest.NewFake(), network: networktest.New(), dir: t.TempDir(), spools: t.TempDir(),
		repairs: make(chan runtime.Repair), sick: map[string]bool{}, ingresses: map[string]bool{}, wrap: func(n Network) Network { return n },
		wrapRuntime: func(made runtime.Runtime) runtime.Runtime { return made },
	}
}

func (r *rig) config() Config {
	return Config{
		Name: "n1", DataDir: r.dir, Address: "192.0.2.1", Region: "local", PortFirst: 20000, PortLast: 29999, Parallel: 8, Pulls: 3,
	}
}

func (r *rig) makeDeps() Deps {
	log := slog.New(slog.NewTextHandler(r.t.Output(), nil))
	collector, err := logs.New(logs.Config{Folder: r.spools, Log: log})
	if err != nil {
		r.t.Fatal(err)
	}
	return Deps{
		Runtime: r.wrapRuntime(r.runtime), Network: r.wrap(r.network), Logs: collector, Prober: probe.New(r.dial), Log: log,
		Metrics:   NewMetrics(prometheus.NewRegistry(), collector),
		Listening: func(int) ([]netip.AddrPort, error) { return r.listening, nil },
		Dial:      r.dialIngress,
		Repairs:   r.repairs,
	}
}

// boot starts a worker from what is on disk.
func (r *rig) boot() {
	r.t.Helper()
	r.deps = r.makeDeps()
	r.reporter = newReporter()
	desired, past := load(r.config(), r.deps, r.reporter)
	r.worker = newWorker(r.config(), r.deps, r.reporter, desired, past)
	if r.worker.jitter = r.jitter; r.jitter == nil {
		r.worker.jitter = func(d time.Duration) time.Duration { return d }
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- r.worker.Run(ctx) }()
	go func() { ended <- r.deps.Logs.Run(ctx) }()
	r.end = func() {
		cancel()
		<-ended
		<-ended
	}
}

// kill ends the agent; the machine goes on.
func (r *rig) kill() {
	if end := r.end; end != nil {
		r.end = nil
		end()
	}
}

// assign makes these the desired replicas, as the session does.
func (r *rig) assign(all ...*runwayv1.Assignment) {
	r.t.Helper()
	r.generation++
	set := &runwayv1.AssignmentSet{Generation: r.generation, Full: true, Assignments: all}
	next, err := (*assignments)(nil).apply(&runwayv1.AgentWelcome{Incarnation: "i1", Epoch: 1, Node: "n1"}, set)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := next.save(r.dir); err != nil {
		r.t.Fatal(err)
	}
	r.worker.inbox.putDesired(next)
}

// dial reaches the container whose address it is, if it listens.
func (r *rig) dial(ctx context.Context, _, address string) (net.Conn, error) {
	places, err := r.network.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, place := range places {
		if address == netip.AddrPortFrom(place.IP, containerPort).String() && r.network.Leads(place.ReplicaID) && r.listens(place.ReplicaID) {
			return r.answering(place.ReplicaID), nil
		}
	}
	return nil, errors.New("connection refused")
}

func (r *rig) dialIngress(_ context.Context, _, address string) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ingresses[address] {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	return near, far.Close()
}

// ingress makes an ingress answer, or not.
func (r *rig) ingress(address string, up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ingresses[address] = up
}

func (r *rig) listens(replica string) bool {
	if r.isSick(replica) {
		return false
	}
	for _, c := range r.runtime.Containers() {
		if id, _, _ := splitContainerID(c.ID); id == replica && r.runtime.Listening(c.ID) {
			return true
		}
	}
	return false
}

// sicken makes a replica refuse connections, or stop that.
func (r *rig) sicken(replica string, sick bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sick[replica] = sick
}

func (r *rig) healAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.sick)
}

func (r *rig) isSick(replica string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sick[replica]
}

// answering is a connection to a process that gives one HTTP answer.
func (r *rig) answering(replica string) net.Conn {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		request := make([]byte, 4096)
		n, err := far.Read(request)
		if err != nil {
			return
		}
		_, path, _ := strings.Cut(string(request[:n]), " ")
		path, _, _ = strings.Cut(path, " ")
		status, body := r.says(replica, path)
		_, _ = fmt.Fprintf(far, "HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}()
	return near
}

func (r *rig) says(replica, path string) (int, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answer == nil {
		return 200, "ok"
	}
	return r.answer(replica, path)
}

// answers makes every replica answer by this from now on.
func (r *rig) answers(by func(replica, path string) (int, string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = by
}

// status is what was last reported of a replica.
func (r *rig) status(id string) *runwayv1.ReplicaStatus {
	r.reporter.mu.Lock()
	defer r.reporter.mu.Unlock()
	if found := r.reporter.replicas[id]; found != nil {
		return found.status
	}
	return &runwayv1.ReplicaStatus{}
}

func (r *rig) phase(id string) string {
	return strings.TrimPrefix(r.status(id).GetPhase().String(), "REPLICA_PHASE_")
}

// events are the kinds of all events so far, each with its code.
func (r *rig) events() []string {
	r.reporter.mu.Lock()
	defer r.reporter.mu.Unlock()
	var kinds []string
	for _, e := range r.reporter.events {
		kinds = append(kinds, strings.TrimSpace(e.event.GetKind()+" "+e.event.GetCode()))
	}
	return kinds
}

// until lets time pass until the condition holds, at most the given time.
func (r *rig) until(what string, most time.Duration, holds func() bool) time.Duration {
	r.t.Helper()
	began := time.Now()
	for time.Since(began) <= most {
		synctest.Wait()
		if holds() {
			return time.Since(began)
		}
		time.Sleep(time.Millisecond)
	}
	r.t.Fatalf("%s: not within %s; containers %v", what, most, r.containers())
	return 0
}

func (r *rig) untilReady(ids ...string) time.Duration {
	r.t.Helper()
	return r.until(fmt.Sprintf("replicas %v ready", ids), 10*time.Second, func() bool {
		for _, id := range ids {
			if !r.status(id).GetReady() {
				return false
			}
		}
		return true
	})
}

// containers are the IDs and states of all containers.
func (r *rig) containers() []string {
	r.t.Helper()
	var found []string
	for _, c := range r.runtime.Containers() {
		found = append(found, fmt.Sprintf("%s %s", c.ID, c.State))
	}
	return found
}

func (r *rig) container(id runtime.ContainerID) runtime.Container {
	r.t.Helper()
	for _, c := range r.runtime.Containers() {
		if c.ID == id {
			return c
		}
	}
	r.t.Fatalf("container %q: not among %v", id, r.containers())
	return runtime.Container{}
}

func (r *rig) published() map[uint16]netip.AddrPort {
	r.t.Helper()
	ports, err := r.network.Published(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return ports
}

func (r *rig) attached() []string {
	r.t.Helper()
	places, err := r.network.List(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []string
	for _, p := range places {
		ids = append(ids, p.ReplicaID)
	}
	return ids
}

// calls counts the calls of the runtime that begin with a prefix.
func (r *rig) calls(prefix string) int {
	count := 0
	for _, call := range r.runtime.Calls() {
		if strings.HasPrefix(call, prefix) {
			count++
		}
	}
	return count
}

// assignment is a replica of a web service.
func assignment(id string, port uint32, change ...func(*runwayv1.Assignment)) *runwayv1.Assignment {
	a := &runwayv1.Assignment{
		Replica: id, Workload: &runwayv1.WorkloadKey{Space: "default", Service: "web", Environment: "production"},
		Revision: 7, Region: "local", NodeEpoch: 1, NodePort: port, Goal: runwayv1.Goal_GOAL_SERVE,
		Spec: &runwayv1.RevisionSpec{
			Image:            &runwayv1.Image{Resolved: imageRef("web")},
			ContainerPort:    containerPort,
			Resources:        &runwayv1.Resources{CpuLimitMilli: 500, CpuRequestMilli: 50, MemoryBytes: 64 << 20},
			Env:              map[string]string{"COLOR": "blue", "PORT": "1"},
			TerminationGrace: durationpb.New(5 * time.Second),
		},
	}
	for _, c := range change {
		c(a)
	}
	return a
}

func withGoal(goal runwayv1.Goal) func(*runwayv1.Assignment) {
	return func(a *runwayv1.Assignment) { a.Goal = goal }
}

func withImage(name string) func(*runwayv1.Assignment) {
	return func(a *runwayv1.Assignment) { a.Spec.Image.Resolved = imageRef(name) }
}

func withStartupProbe(budget time.Duration) func(*runwayv1.Assignment) {
	return func(a *runwayv1.Assignment) {
		a.Spec.StartupProbe = &runwayv1.Probe{
			Kind: runwayv1.ProbeKind_PROBE_KIND_HTTP, Path: "/up", Declared: true, Period: durationpb.New(budget / 10),
			Timeout: durationpb.New(time.Second), FailureThreshold: 10,
		}
	}
}
