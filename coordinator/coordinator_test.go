package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func config(t *testing.T, dir string) Config {
	t.Helper()
	return Config{
		DataDir: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", Advertise: "127.0.0.1:7443", Bootstrap: true,
		Domain: "runway.test", Regions: []string{"local"},
		AdminTokenFile: filepath.Join(dir, "admin.token"), CAFile: filepath.Join(dir, "ca.crt"), Version: "test",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Registerer: prometheus.NewRegistry(),
	}
}

// run starts a coordinator and returns how to end it.
func run(t *testing.T, c Config) (*Coordinator, func()) {
	t.Helper()
	process, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- process.Run(ctx) }()
	return process, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// info asks until the cluster answers, as an administrator.
func info(t *testing.T, c Config, process *Coordinator) (*runwayv1.InfoResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		conn, err := client.Dial(client.Config{Addresses: []string{process.Addr().String()}, CAFile: c.CAFile, TokenFile: c.AdminTokenFile})
		if err == nil {
			defer conn.Close()
			var answer *runwayv1.InfoResponse
			if answer, err = runwayv1.NewClusterAPIClient(conn).Info(ctx, &runwayv1.InfoRequest{}); err == nil && answer.GetLeader() != "" {
				return answer, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestCoordinator_BeginsAClusterAndKeepsItOverARestart(t *testing.T) {
	dir := t.TempDir()
	c := config(t, dir)
	process, stop := run(t, c)
	first, err := info(t, c, process)
	if err != nil {
		t.Fatal(err)
	}
	if first.GetDomain() != "runway.test" || len(first.GetMembers()) != 1 || !first.GetMembers()[0].GetVoter() {
		t.Errorf("cluster: %v", first)
	}
	stop()

	token, err := os.ReadFile(c.AdminTokenFile)
	if err != nil {
		t.Fatal(err)
	}
	again := config(t, dir) // the flag may stay in the configuration file
	process, stop = run(t, again)
	defer stop()
	second, err := info(t, again, process)
	if err != nil {
		t.Fatal(err)
	}
	if second.GetCluster() != first.GetCluster() || second.GetIndex() < first.GetIndex() {
		t.Errorf("after a restart: %v, before: %v", second, first)
	}
	if same, err := os.ReadFile(c.AdminTokenFile); err != nil || string(same) != string(token) {
		t.Errorf("the first token was given twice: %v", err)
	}
}

func TestCoordinator_RefusesAnEmptyDirectoryWithoutBootstrap(t *testing.T) {
	c := config(t, t.TempDir())
	c.Bootstrap = false
	_, err := New(c)
	if err == nil || !strings.Contains(err.Error(), string(code.DataDirectoryEmpty)) {
		t.Errorf("got %v, want %s", err, code.DataDirectoryEmpty)
	}
	if _, err := os.Stat(c.DataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made in the directory: %v", err)
	}
}

func TestCoordinator_RefusesADirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	c := config(t, dir)
	_, stop := run(t, c)
	defer stop()
	_, err := New(config(t, dir))
	if err == nil || !strings.Contains(err.Error(), string(code.DataDirectoryInUse)) {
		t.Errorf("got %v, want %s", err, code.DataDirectoryInUse)
	}
}

func TestCoordinator_SecretsAreReadableByTheirOwnerOnly(t *testing.T) {
	c := config(t, t.TempDir())
	process, stop := run(t, c)
	defer stop()
	if _, err := info(t, c, process); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.foundingFile()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the founding file is still there: %v", err)
	}
	for _, path := range []string{c.keyFile(), c.certificateFile(), c.AdminTokenFile} {
		found, err := os.Stat(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if found.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, found.Mode())
		}
	}
}

func TestCoordinator_ADamagedKeyFileIsNamed(t *testing.T) {
	c := config(t, t.TempDir())
	_, stop := run(t, c)
	stop()
	if err := os.WriteFile(c.keyFile(), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Registerer = prometheus.NewRegistry()
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), c.keyFile()) {
		t.Errorf("got %v, want an error that names %s", err, c.keyFile())
	}
}

func TestConfig_ValidateNamesEveryProblem(t *testing.T) {
	err := Config{Listen: "nowhere", Bootstrap: true}.Validate()
	for _, want := range []string{"data-dir is empty", `listen "nowhere" is not HOST:PORT`, "domain is empty", "regions is empty", "log and registerer"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// The address goes into the log and the certificate, so a wrong one is refused before
// anything is made.
func TestConfig_RefusesAnAddressThatNobodyCanReach(t *testing.T) {
	for _, tt := range []struct {
		listen, advertise string
		refused           bool
	}{
		{"0.0.0.0:7443", "", true},
		{"[::]:7443", "", true},
		{":7443", "", true},
		{"10.0.0.1:7443", "0.0.0.0:7443", true},
		{"127.0.0.1:0", "", true},
		{"0.0.0.0:7443", "10.0.0.1:7443", false},
		{"10.0.0.1:7443", "", false},
		{"0.0.0.0:7443", "coordinator-1.example.com:7443", false},
	} {
		c := config(t, t.TempDir())
		c.Listen, c.Advertise = tt.listen, tt.advertise
		err := c.Validate()
		if refused := err != nil && strings.Contains(err.Error(), "is no address that others can reach"); refused != tt.refused {
			t.Errorf("listen %q, advertise %q: %v, want refused %t", tt.listen, tt.advertise, err, tt.refused)
		}
	}
}

func TestVerifyCoordinator_RefusesOtherMachines(t *testing.T) {
	c := config(t, t.TempDir())
	process, stop := run(t, c)
	defer stop()
	if _, err := info(t, c, process); err != nil {
		t.Fatal(err)
	}
	verify := verifyCoordinator(process.name.Cluster)
	if err := verify(stateWith(t, process.keys.own.Load().Leaf)); err != nil {
		t.Errorf("a coordinator was refused: %v", err)
	}
	if err := verifyCoordinator("another-cluster")(stateWith(t, process.keys.own.Load().Leaf)); err == nil {
		t.Error("a coordinator of another cluster was accepted")
	}
	if err := verify(stateWith(t, nil)); err == nil {
		t.Error("a peer without a certificate was accepted")
	}
}

// A planned stop waits for nobody who follows: streams end at once, and say where to
// go on.
func TestCoordinator_StopsAtOnceWithStreamsOpen(t *testing.T) {
	c := config(t, t.TempDir())
	process, stop := run(t, c)
	if _, err := info(t, c, process); err != nil {
		stop()
		t.Fatal(err)
	}
	conn, err := client.Dial(client.Config{Addresses: []string{process.Addr().String()}, CAFile: c.CAFile, TokenFile: c.AdminTokenFile, Patience: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	events, err := runwayv1.NewEventsClient(conn).ListEvents(t.Context(), &runwayv1.ListEventsRequest{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.Recv(); err != nil {
		t.Fatal(err)
	}
	health, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := health.Recv(); err != nil || answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("health = %v, %v", answer, err)
	}

	begin := time.Now()
	stop()
	if took := time.Since(begin); took > stopDeadline/2 {
		t.Errorf("the stop took %s", took)
	}
	for err = nil; err == nil; {
		_, err = events.Recv()
	}
	if !client.IsNotLeader(err) {
		t.Errorf("the follow ended with %v, want one that names another coordinator", err)
	}
	for err = nil; err == nil; {
		_, err = health.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the watch of health ended with %v", err)
	}
}

func TestCoordinator_EndsWhenItCannotLead(t *testing.T) {
	c := config(t, t.TempDir())
	c.AdminTokenFile = filepath.Join(t.TempDir(), "no-such-folder", "token")
	process, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := process.Run(ctx); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want the reason why nobody can enter the cluster", err)
	}
}

// A key that a power cut has damaged must never become the cluster's: nothing could
// be signed with it, and nothing made anew.
func TestCoordinator_CommitsNoDamagedFounding(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t, t.TempDir())
			process, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := os.ReadFile(c.foundingFile())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(c.foundingFile(), damage(sealed), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := process.Run(ctx); err == nil || !strings.Contains(err.Error(), c.foundingFile()) {
				t.Errorf("Run() = %v, want an error that names %s", err, c.foundingFile())
			}
			if cluster := process.store.View().Cluster(); cluster != nil {
				t.Errorf("a cluster with the damaged key was begun: %v", cluster.GetId())
			}
		})
	}
}
