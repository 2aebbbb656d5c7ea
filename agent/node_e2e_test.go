//go:build e2e

package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/runway-platform/runway/agent/cgroup"
	"github.com/runway-platform/runway/agent/logs"
	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtime/containerd"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// inside marks the copy of the test binary that runs in namespaces of its own.
const inside = "RUNWAY_AGENT_TEST_INSIDE"

// containerdNamespace is not the default one, so that the test may run beside a real agent.
const containerdNamespace = "runway-agent-e2e"

// realPatience bounds each wait for the real machine.
const realPatience = 30 * time.Second

// node is a machine in namespaces of the test's own: containerd, network and a worker on real parts.
type node struct {
	t        *testing.T
	dir      string
	image    string
	runtime  *containerd.Runtime
	network  *network.Network
	worker   *worker
	reporter *reporter
	end      func()
	number   uint64
	deployed []*runwayv1.Assignment
	registry *prometheus.Registry
	daemon   *exec.Cmd
	// parent is the cgroup of the node's containers.
	parent string
}

// A replica's whole life on containerd, CNI and nftables: deploy, crash, restart of the agent, forty at once, stop, nothing left.
func TestNode_OnRealParts(t *testing.T) {
	if !insideMachine(t) {
		return
	}
	n := newNode(t)
	n.boot()
	took := n.deploy("warm", 20001)
	t.Logf("first deploy, image pulled: %s", took)
	n.registry = prometheus.NewRegistry()
	n.kill()
	n.boot()
	n.until("observed", func() bool { return n.status("warm").GetReady() })
	took = n.deploy("web", 20002)
	t.Logf("deploy, image on the node: %s; %s", took, n.stepTimes())
	n.answers(20002, "hello from web")
	n.until("process known", func() bool { return n.status("web").GetPid() != 0 })
	before := n.status("web")
	n.kill()
	n.registry = prometheus.NewRegistry()
	n.boot()
	n.until("process known again", func() bool { return n.status("web").GetPid() != 0 })
	if after := n.status("web"); after.GetPid() != before.GetPid() || !after.GetReady() || after.GetAttempt() != 0 {
		t.Errorf("after a restart of the agent: %v, want %v", after, before)
	}
	n.crash(before.GetAddress())
	took = n.until("restarted in place", func() bool { return n.status("web").GetAttempt() == 1 && n.status("web").GetReady() })
	t.Logf("crash to ready again: %s", took)
	if after := n.status("web"); after.GetAddress() != before.GetAddress() || after.GetExitCode() != 3 {
		t.Errorf("after a crash: %v, want the same address and exit code 3", after)
	}
	n.answers(20002, "hello from web")
	n.loggedOnce("web-1")
	n.many(40)
	n.idle()
	n.assign()
	n.nothingLeft()
}

// many starts replicas all at once and waits until each is ready.
func (n *node) many(count int) {
	n.t.Helper()
	var all []*runwayv1.Assignment
	for i := range count {
		all = append(all, n.assignment(fmt.Sprintf("many-%d", i), 20100+uint32(i)))
	}
	n.kill()
	n.registry = prometheus.NewRegistry()
	n.boot()
	began := time.Now()
	n.assign(all...)
	n.until("all ready", func() bool {
		for _, a := range all {
			if !n.status(a.GetReplica()).GetReady() {
				return false
			}
		}
		return true
	})
	n.t.Logf("0 to %d replicas ready: %s; %s", count, time.Since(began), n.stepTimes())
}

// idle reports what supervising costs while nothing happens; the test process holds a registry, too.
func (n *node) idle() {
	n.t.Helper()
	const span = 5 * time.Second
	before, began := n.cpu(), time.Now()
	n.until("idle time over", func() bool { return time.Since(began) > span })
	n.t.Logf("idle with 40 replicas: %.1f %% of a core", 100*float64(n.cpu()-before)/float64(time.Since(began)))
}

func (n *node) cpu() time.Duration {
	n.t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		n.t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// deploy adds a replica beside those that are there, and returns how long it took to be ready.
func (n *node) deploy(id string, port uint32) time.Duration {
	n.t.Helper()
	n.deployed = append(n.deployed, n.assignment(id, port))
	n.assign(n.deployed...)
	return n.until(id+" ready", func() bool { return n.status(id).GetReady() })
}

func (n *node) assignment(id string, port uint32) *runwayv1.Assignment {
	return assignment(id, port, func(a *runwayv1.Assignment) { a.Spec.Image.Resolved = n.image })
}

func (n *node) assign(all ...*runwayv1.Assignment) {
	n.t.Helper()
	n.number++
	next, err := (*assignments)(nil).apply(welcome("i1", 1), setOf(n.number, true, all...))
	if err != nil {
		n.t.Fatal(err)
	}
	if err := next.save(n.config().DataDir); err != nil {
		n.t.Fatal(err)
	}
	n.worker.inbox.putDesired(next)
}

func (n *node) status(id string) *runwayv1.ReplicaStatus {
	n.reporter.mu.Lock()
	defer n.reporter.mu.Unlock()
	if found := n.reporter.replicas[id]; found != nil {
		return found.status
	}
	return &runwayv1.ReplicaStatus{}
}

func (n *node) until(what string, holds func() bool) time.Duration {
	n.t.Helper()
	began := time.Now()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for ; !holds(); <-poll.C {
		if time.Since(began) > realPatience {
			n.t.Fatalf("%s: not within %s", what, realPatience)
		}
	}
	return time.Since(began)
}

// answers asks through the node port, as an ingress on this machine does.
func (n *node) answers(port uint16, want string) {
	n.t.Helper()
	answer, err := http.Get(fmt.Sprintf("http://%s/", netip.AddrPortFrom(netip.MustParseAddr("10.64.9.1"), port)))
	if err != nil {
		n.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(body), want) {
		n.t.Errorf("node port %d answers %q, %v: want %q", port, body, err, want)
	}
}

func (n *node) crash(address string) {
	n.t.Helper()
	answer, err := http.Get(fmt.Sprintf("http://%s:%d/crash", address, containerPort))
	if err == nil {
		n.t.Errorf("crash answered %s", answer.Status)
		_ = answer.Body.Close()
	}
}

func (n *node) loggedOnce(container string) {
	n.t.Helper()
	n.until("log line", func() bool {
		lines, err := n.worker.deps.Logs.Tail(container, 10)
		return err == nil && len(lines) == 1 && lines[0].Text == fmt.Sprint("listening on ", containerPort)
	})
}

func (n *node) nothingLeft() {
	n.t.Helper()
	n.until("all forgotten", func() bool {
		n.reporter.mu.Lock()
		defer n.reporter.mu.Unlock()
		return len(n.reporter.replicas) == 0
	})
	n.kill()
	ports, err := n.network.Published(context.Background())
	places, listErr := n.network.List(context.Background())
	kept, logErr := n.worker.deps.Logs.Containers()
	if err != nil || listErr != nil || logErr != nil || len(ports)+len(places)+len(kept) != 0 {
		n.t.Errorf("left: ports %v, places %v, logs %v; %v %v %v", ports, places, kept, err, listErr, logErr)
	}
}

// insideMachine runs the test again with network and mount namespaces of its own, so that nothing reaches the machine.
func insideMachine(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		aside := t.TempDir() // a sysfs of the new network namespace hides the machine's cgroups
		for _, run := range []string{
			"mount --make-rprivate /", "mount --rbind /sys/fs/cgroup " + aside, "mount -t sysfs sysfs /sys",
			"mount --rbind " + aside + " /sys/fs/cgroup", "umount -l " + aside, "ip link set lo up",
		} {
			if out, err := exec.Command("sh", "-c", run).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", run, err, out)
			}
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	again := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	again.Env = append(os.Environ(), inside+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := again.CombinedOutput()
	t.Logf("inside:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), registry: prometheus.NewRegistry()}
	n.startContainerd()
	n.image = pushHello(t)
	n.startNetwork()
	t.Cleanup(func() {
		if err := n.network.Teardown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// startNetwork is the network as a start of the agent makes it.
func (n *node) startNetwork() {
	n.t.Helper()
	config := network.Config{
		Node: "e2e", Subnet: netip.MustParsePrefix("10.64.9.0/24"), StateDir: n.path("net"), RunDir: n.path("netrun"),
	}
	made, err := network.New(config, slog.New(slog.NewTextHandler(n.t.Output(), nil)))
	if err != nil {
		n.t.Fatal(err)
	}
	if err := made.Start(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	n.network = made
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

func (n *node) config() Config {
	return Config{Name: "e2e", DataDir: n.path("data"), Address: "10.64.9.1", Region: "local", PortFirst: 20000, PortLast: 29999}
}

// startContainerd runs a containerd of the test's own and opens the runtime on it.
func (n *node) startContainerd() {
	n.t.Helper()
	settings := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n[ttrpc]\n  address = %q\n[plugins.\"io.containerd.internal.v1.opt\"]\n  path = %q\n",
		n.path("root"), n.path("state"), n.path("sock"), n.path("sock.ttrpc"), n.path("opt"))
	if err := os.WriteFile(n.path("config.toml"), []byte(settings), 0o600); err != nil {
		n.t.Fatal(err)
	}
	n.parent = fmt.Sprintf("/runway-agent-e2e-%d", os.Getpid())
	parent := n.parent
	made, err := containerd.New(containerd.Config{
		Address: n.path("sock"), Namespace: containerdNamespace, CgroupParent: parent, RootDir: n.path("root"), StateDir: n.path("state"), NerdctlDataRoot: n.path("nerdctl"),
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.runtime = made
	n.t.Cleanup(func() {
		_ = made.Close()
		_ = n.daemon.Process.Signal(syscall.SIGTERM)
		_ = n.daemon.Wait()
		_ = cgroup.Open().Group(parent).Remove(context.Background())
		_ = os.Remove(filepath.Join("/run/containerd/runc", containerdNamespace))
	})
	n.startDaemon()
}

// startDaemon returns once containerd answers.
func (n *node) startDaemon() {
	n.t.Helper()
	n.daemon = exec.Command("containerd", "--config", n.path("config.toml"))
	if err := n.daemon.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.until("containerd serves", func() bool { _, err := n.runtime.List(context.Background()); return err == nil })
}

// stepTimes is the mean time of each step since the registry was made.
func (n *node) stepTimes() string {
	families, err := n.registry.Gather()
	if err != nil {
		n.t.Fatal(err)
	}
	var times []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if h := m.GetHistogram(); h.GetSampleCount() > 0 {
				mean := time.Duration(h.GetSampleSum() / float64(h.GetSampleCount()) * float64(time.Second))
				times = append(times, fmt.Sprintf("%s %s", m.GetLabel()[0].GetValue(), mean.Round(100*time.Microsecond)))
			}
		}
	}
	return strings.Join(times, ", ")
}

func (n *node) boot() {
	n.t.Helper()
	logger := slog.New(slog.NewTextHandler(n.t.Output(), nil))
	for _, folder := range []string{"data", "spool"} {
		if err := os.MkdirAll(n.path(folder), 0o700); err != nil {
			n.t.Fatal(err)
		}
	}
	collector, err := logs.New(logs.Config{Folder: n.path("spool"), Log: logger, PathOf: func(container string) (string, error) {
		return n.runtime.LogPath(runtime.ContainerID(container))
	}})
	if err != nil {
		n.t.Fatal(err)
	}
	deps := Deps{
		Runtime: n.runtime, Network: n.network, Logs: collector,
		Prober: probe.New(new(net.Dialer).DialContext), Metrics: NewMetrics(n.registry, collector), Log: logger,
		Repairs: n.runtime.Repairs(),
	}.withDefaults()
	config := n.config().withDefaults()
	n.reporter = newReporter()
	desired, past := load(config, deps, n.reporter)
	n.worker = newWorker(config, deps, n.reporter, desired, past)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- n.worker.Run(ctx) }()
	go func() { ended <- collector.Run(ctx) }()
	n.end = func() {
		cancel()
		<-ended
		<-ended
	}
	n.t.Cleanup(n.kill)
}

func (n *node) kill() {
	if end := n.end; end != nil {
		n.end = nil
		end()
	}
}

// pushHello builds the service and returns its reference in a registry on the loopback address.
func pushHello(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	binary := filepath.Join(t.TempDir(), "hello")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, "./testdata/hello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build hello: %v: %s", err, out)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return archiveOf(binary) })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Entrypoint = "linux", "amd64", []string{"/hello"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/hello:test")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return ref.Context().Name() + "@" + digest.String()
}

func archiveOf(binary string) (io.ReadCloser, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "hello", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	return io.NopCloser(&archive), w.Close()
}
