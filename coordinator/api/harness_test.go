package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/dispatch"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/presence"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// resolved is an image resolver of one function.
type resolved func(ctx context.Context, reference string) (string, error)

func (r resolved) Resolve(ctx context.Context, reference string) (string, error) {
	return r(ctx, reference)
}

// noRoutes publishes nothing.
type noRoutes struct{}

func (noRoutes) Current() (*runwayv1.RouteSet, <-chan struct{}) { return nil, nil }
func (noRoutes) Generation() uint64                             { return 7 }
func (noRoutes) Standing(string) presence.Standing {
	return presence.Standing{Generation: 5, Saved: 4, Since: coordinatortest.Epoch}
}

// journal collects the log of a bench.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// bench is the whole API behind TLS, with a state without Raft.
type bench struct {
	t         *testing.T
	state     *coordinatortest.State
	authority *identity.Authority
	listener  *bufconn.Listener
	dispatch  *dispatch.Dispatcher
	presence  *presence.Presence
	server    *grpc.Server
	api       *API
	log       *journal
	// follows makes the coordinator one that does not lead.
	follows atomic.Bool
	images  resolved
	secrets []string
	people  map[runwayv1.Role]*client.Conn
	devices map[runwayv1.Role]*client.Conn
}

func newBench(t *testing.T) *bench {
	t.Helper()
	// Older than any certificate that a test lets expire.
	authority, err := identity.NewAuthority("test", time.Now().Add(-60*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		t: t, state: coordinatortest.NewState(t), authority: authority, listener: bufconn.Listen(1 << 16), log: &journal{},
		images: func(_ context.Context, reference string) (string, error) {
			return strings.Split(reference, ":")[0] + digest, nil
		},
		people: map[runwayv1.Role]*client.Conn{}, devices: map[runwayv1.Role]*client.Conn{},
	}
	for _, space := range []string{"own", "foreign"} {
		b.state.Must(t, &runwayv1.PutSpace{Name: space, Create: true},
			&runwayv1.SetSpaceStatus{Name: space, Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_READY}})
	}
	b.serve()
	t.Cleanup(b.checkSecrets)
	return b
}

func (b *bench) serve() {
	log := slog.New(slog.NewTextHandler(b.log, nil))
	leader := func() (string, bool) { return "leader.test:7443", !b.follows.Load() }
	remembered := presence.New()
	b.presence = remembered
	b.dispatch = dispatch.New(dispatch.Config{
		Views: b.state.View, Applier: b.state, Routes: noRoutes{}, Presence: remembered,
		Authority: func() *identity.Authority { return b.authority },
		Leader:    func() string { return "leader.test:7443" }, Log: log,
	})
	var err error
	b.api, err = New(Config{
		Views: b.state.View, Applier: b.state, Logs: b.dispatch, Sessions: b.dispatch, Routes: noRoutes{},
		LastBeat: remembered.LastBeat, Forget: remembered.Forget, Recent: remembered.Recent,
		Images:    resolved(func(ctx context.Context, r string) (string, error) { return b.images(ctx, r) }),
		Authority: func() *identity.Authority { return b.authority },
		Leader:    leader,
		Members:   func() ([]*runwayv1.Member, error) { return []*runwayv1.Member{{Id: "k1", Leader: true}}, nil },
		Version:   "test", Log: log,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	own, err := b.authority.IssueCoordinator("k1", []string{"127.0.0.1"}, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	tlsConfig := identity.ServerTLS(func() *tls.Certificate { return &own }, b.authority.Certificate())
	b.server = grpc.NewServer(append(b.api.ServerOptions(), grpc.Creds(credentials.NewTLS(tlsConfig)), grpc.WaitForHandlers(true))...)
	b.api.Register(b.server)
	b.dispatch.Register(b.server)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.dispatch.Run(ctx); err != nil {
			b.t.Errorf("dispatch: %v", err)
		}
	})
	running.Go(func() {
		if err := b.server.Serve(b.listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			b.t.Errorf("serve: %v", err)
		}
	})
	b.t.Cleanup(func() {
		cancel()
		b.server.Stop()
		running.Wait()
	})
}

// checkSecrets makes sure that no token is in the log.
func (b *bench) checkSecrets() {
	text := b.log.String()
	for _, secret := range b.secrets {
		if strings.Contains(text, secret) {
			b.t.Errorf("the log shows a token")
		}
	}
}

func (b *bench) dial(_ context.Context, _ string) (net.Conn, error) {
	return b.listener.DialContext(context.Background())
}

// connect opens a connection with a configuration of who calls.
func (b *bench) connect(config client.Config) *client.Conn {
	b.t.Helper()
	config.Addresses, config.Dialer, config.Patience = []string{"bench:1"}, b.dial, time.Nanosecond
	if config.Identity == nil {
		config.CA = b.authority.CertificatePEM()
	}
	conn, err := client.Dial(config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			b.t.Errorf("close: %v", err)
		}
	})
	return conn
}

// leads waits until sessions are taken: Run makes the coordinator lead in its own time.
func (b *bench) leads(machine *client.Conn) {
	b.t.Helper()
	eventually(b.t, "leadership", func() bool {
		stream, err := runwayv1.NewAgentSessionClient(machine).Connect(testContext(b.t))
		if err == nil {
			err = stream.CloseSend()
		}
		if err != nil {
			b.t.Fatalf("open a session: %v", err)
		}
		_, err = stream.Recv() // without a hello it ends
		return !client.IsNotLeader(err)
	})
}

// token makes a bearer token and returns its text.
func (b *bench) token(role runwayv1.Role, expires time.Time, spaces ...string) string {
	b.t.Helper()
	secret, err := identity.NewBearer()
	if err != nil {
		b.t.Fatal(err)
	}
	b.secrets = append(b.secrets, secret)
	token := &runwayv1.Token{Id: newID("t-"), Name: strings.ToLower(role.String()), Hash: identity.Hash(secret), Role: role, Spaces: spaces}
	if !expires.IsZero() {
		token.ExpiresAt = timestamppb.New(expires)
	}
	b.state.Must(b.t, &runwayv1.PutToken{Token: token})
	return secret
}

// as returns the connection of a role; space roles hold in space own.
func (b *bench) as(role runwayv1.Role) *client.Conn {
	b.t.Helper()
	if b.people[role] != nil {
		return b.people[role]
	}
	var conn *client.Conn
	switch role {
	case node, ingress, coordinator:
		conn = b.connect(client.Config{Identity: b.machine(role, strings.ToLower(role.String()[5:])+"-1")})
	case viewer, deployer, spaceAdmin:
		conn = b.connect(client.Config{Token: b.token(role, time.Time{}, "own")})
	default:
		conn = b.connect(client.Config{Token: b.token(role, time.Time{})})
	}
	b.people[role] = conn
	return conn
}

// machine makes a certificate as an enrolled machine has it.
func (b *bench) machine(role runwayv1.Role, id string) *client.Identity {
	return b.machineAt(role, id, time.Now())
}

func (b *bench) machineAt(role runwayv1.Role, id string, now time.Time) *client.Identity {
	b.t.Helper()
	directory := b.t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "ca.pem"), b.authority.CertificatePEM(), 0o600); err != nil {
		b.t.Fatal(err)
	}
	// A coordinator's certificate differs from others only in its name and use.
	issued, err := b.authority.IssueCoordinator(id, nil, now)
	if err != nil {
		b.t.Fatal(err)
	}
	if role != coordinator {
		issued = b.signed(identity.Name{Cluster: "test", Role: role, ID: id}, now)
	}
	if err := identity.SaveCertificate(filepath.Join(directory, "identity.pem"), issued); err != nil {
		b.t.Fatal(err)
	}
	loaded, err := client.LoadIdentity(directory)
	if err != nil {
		b.t.Fatal(err)
	}
	return loaded
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func key(space, service string) *runwayv1.WorkloadKey {
	return &runwayv1.WorkloadKey{Space: space, Service: service, Environment: "production"}
}

func spec() *runwayv1.RevisionSpec {
	s := coordinatortest.Spec()
	s.Image = &runwayv1.Image{Reference: "registry.test/web:1"}
	return s
}

// deploy deploys a service as the cluster admin.
func (b *bench) deploy(space, service string) *runwayv1.DeployResponse {
	b.t.Helper()
	answer, err := runwayv1.NewServicesClient(b.as(admin)).Deploy(testContext(b.t), &runwayv1.DeployRequest{Workload: key(space, service), Spec: spec()})
	if err != nil {
		b.t.Fatalf("deploy %s/%s: %v", space, service, err)
	}
	return answer
}

// wantCode checks the stable code of a refusal.
func wantCode(t *testing.T, err error, want code.Code) {
	t.Helper()
	if got := client.CauseOf(err).GetCode(); got != string(want) {
		t.Errorf("%v has code %q, want %q", err, got, want)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(10 * time.Second); !ok(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: never", what)
		}
	}
}

func sprint(values ...any) string { return fmt.Sprint(values...) }
