package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/runway-platform/runway/agent"
	"github.com/runway-platform/runway/agent/identity"
	"github.com/runway-platform/runway/agent/logs"
	"github.com/runway-platform/runway/coordinator"
	"github.com/runway-platform/runway/docs/docstest"
	"github.com/runway-platform/runway/ingress"
	"github.com/runway-platform/runway/ingress/dns"
)

const metricsIntro = "# Metrics\n\n" +
	"Every process answers `/metrics` at its `--metrics` address, which is on loopback unless it is set: the coordinator at 9464, an agent at\n" +
	"9465, an ingress at 9466. No credential is asked for, so another address belongs to a network that only scrapers reach. There are also\n" +
	"`runway_build_info{version}` and the metrics of the Go runtime (`go_*`) and of the process (`process_*`).\n\n" +
	"`/debug/pprof/` on the same port answers only who is logged in to the machine:\n" +
	"`go tool pprof http://127.0.0.1:9464/debug/pprof/heap`. An ingress also answers `/healthz` and `/readyz` there.\n"

// The page lists what the parts register when they are made as the commands make them.
// That it is also what they show, with these types, is seen on running ones (e2e).
func TestReference_ListsEveryMetric(t *testing.T) {
	t.Parallel()
	docstest.Page(t, "reference/metrics.md", metricsIntro+
		"\n## Coordinator\n\n"+metricsOfCoordinator(t)+
		"\n## Agent\n\n"+metricsOfAgent(t)+
		"\n## Ingress\n\n"+metricsOfIngress(t))
}

// metricsOfCoordinator founds a cluster: some are registered only once it has begun.
func metricsOfCoordinator(t *testing.T) string {
	t.Helper()
	found := docstest.NewMetrics()
	dir, founded := t.TempDir(), make(chan struct{})
	process, err := coordinator.New(coordinator.Config{
		DataDir: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", Advertise: "127.0.0.1:7443", Bootstrap: true,
		Domain: "runway.test", Regions: []string{"local"}, FirstToken: func(string) { close(founded) },
		Version: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Registerer: found,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- process.Run(ctx) }()
	select {
	case <-founded:
	case err := <-ended:
		t.Fatalf("the coordinator ended before it had founded a cluster: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	return found.Table()
}

// noKernel answers what the agent's metrics read when they are asked.
type noKernel struct{}

func (noKernel) Denied(context.Context) (map[string]uint64, error)  { return nil, nil }
func (noKernel) Holders(context.Context) (map[uint16]string, error) { return nil, nil }

func metricsOfAgent(t *testing.T) string {
	t.Helper()
	found := docstest.NewMetrics()
	collector, err := logs.New(logs.Config{Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	agent.NewMetrics(found, collector)
	if err := agent.RegisterDenied(found, noKernel{}); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.New(identity.Config{
		Address: "127.0.0.1:0", TLS: &tls.Config{MinVersion: tls.VersionTLS13}, Ports: noKernel{}, Registerer: found, Log: slog.New(slog.DiscardHandler),
	}); err != nil {
		t.Fatal(err)
	}
	return found.Table()
}

func metricsOfIngress(t *testing.T) string {
	t.Helper()
	found, log := docstest.NewMetrics(), slog.New(slog.DiscardHandler)
	conn, err := grpc.NewClient("passthrough:///nowhere", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := &ingressSettings{}
	s.ingress = ingress.Config{Name: "edge", HTTPS: []string{"127.0.0.1:0"}, DrainTimeout: ingress.DefaultDrainTimeout, Nodes: &tls.Config{MinVersion: tls.VersionTLS13}}
	s.member.dataDir = t.TempDir()
	config, err := s.config(conn, log)
	if err != nil {
		t.Fatal(err)
	}
	config.Registry = prometheus.NewRegistry() // without those of the process
	process, err := ingress.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := found.Register(config.Registry); err != nil {
		t.Fatal(err)
	}
	if _, err := dns.New(dns.Config{
		Public: []string{net.JoinHostPort("127.0.0.1", "0")}, Source: dns.Follow(process.Routes, log), Registerer: found, Log: log,
	}); err != nil {
		t.Fatal(err)
	}
	return found.Table()
}
