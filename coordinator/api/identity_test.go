package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/coordinatortest"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

func newRequest(t *testing.T, template x509.CertificateRequest) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, csr
}

// signed makes a machine's key and certificate.
func (b *bench) signed(name identity.Name, now time.Time) tls.Certificate {
	b.t.Helper()
	key, csr := newRequest(b.t, x509.CertificateRequest{})
	chain, err := b.authority.SignMachine(csr, name, "", now)
	if err != nil {
		b.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		b.t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		b.t.Fatal(err)
	}
	return certificate
}

// joinToken puts a token for one use into the state and returns its text.
func (b *bench) joinToken(role runwayv1.Role, life time.Duration) string {
	b.t.Helper()
	token, err := b.authority.NewJoinToken(role)
	if err != nil {
		b.t.Fatal(err)
	}
	b.secrets = append(b.secrets, token.Text(), token.Secret)
	b.state.Must(b.t, &runwayv1.PutJoinToken{Token: &runwayv1.JoinToken{
		Id: newID("j-"), Hash: identity.Hash(token.Text()), Role: role, UsesLeft: 1,
		ExpiresAt: timestamppb.New(time.Now().Add(life)),
	}})
	return token.Text()
}

func (b *bench) enrolment(token string) client.Enrolment {
	return client.Enrolment{
		Addresses: []string{"bench:1"}, JoinToken: token, Name: "vm-1",
		Directory: filepath.Join(b.t.TempDir(), "identity"), Dialer: b.dial,
	}
}

func TestEnrol_GivesACertificateOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	answer, err := runwayv1.NewNodesClient(b.as(operator)).CreateJoinToken(testContext(t), &runwayv1.CreateJoinTokenRequest{Role: node})
	if err != nil {
		t.Fatal(err)
	}
	b.secrets = append(b.secrets, answer.GetToken())
	if life := time.Until(answer.GetExpiresAt().AsTime()); life > joinLife || life < joinLife-time.Minute {
		t.Errorf("life of %v, want %v", life, joinLife)
	}
	machine, err := client.Enrol(testContext(t), b.enrolment(answer.GetToken()))
	if err != nil {
		t.Fatal(err)
	}
	info, err := runwayv1.NewClusterAPIClient(b.connect(client.Config{Identity: machine})).Info(testContext(t), &runwayv1.InfoRequest{})
	if err != nil || info.GetCluster() != "test" {
		t.Errorf("Info as the new machine = %v, %v", info, err)
	}
	_, err = client.Enrol(testContext(t), b.enrolment(answer.GetToken()))
	wantCode(t, err, code.JoinTokenInvalid)
}

// A token binds its machine to a pool, and a renewal changes nothing of that.
func TestEnrol_BindsTheNodeToThePoolOfItsToken(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{"": "default", "gpu": "gpu"} {
		b := newBench(t)
		answer, err := runwayv1.NewNodesClient(b.as(operator)).CreateJoinToken(testContext(t), &runwayv1.CreateJoinTokenRequest{Role: node, Pool: asked})
		if err != nil {
			t.Fatal(err)
		}
		b.secrets = append(b.secrets, answer.GetToken())
		machine, err := client.Enrol(testContext(t), b.enrolment(answer.GetToken()))
		if err != nil {
			t.Fatal(err)
		}
		b.state.Must(t, coordinatortest.RegisterNode(machine.ID()))
		_, csr := newRequest(t, x509.CertificateRequest{})
		renewed, err := runwayv1.NewIdentityClient(b.connect(client.Config{Identity: machine})).Renew(testContext(t), &runwayv1.RenewRequest{Csr: csr})
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := identity.ParseCertificate(renewed.GetChain())
		if err != nil {
			t.Fatal(err)
		}
		if got := identity.PoolOf(certificate); got != want {
			t.Errorf("token of pool %q: the renewed certificate is bound to %q, want %q", asked, got, want)
		}
	}
}

func TestEnrol_Refuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	valid := b.joinToken(node, time.Hour)
	other, err := identity.ParseJoinToken(valid)
	if err != nil {
		t.Fatal(err)
	}
	other.Role = ingress
	_, good := newRequest(t, x509.CertificateRequest{})
	_, foreign := newRequest(t, x509.CertificateRequest{URIs: []*url.URL{{Scheme: "spiffe", Host: "test", Path: "/node/n-2"}}})
	tests := []struct {
		name, token string
		csr         []byte
		want        codes.Code
	}{
		{"no token", "", good, codes.Unauthenticated},
		{"a bearer token", b.token(admin, time.Time{}), good, codes.Unauthenticated},
		{"token for another role", other.Text(), good, codes.Unauthenticated},
		{"token of a coordinator", b.joinToken(coordinator, time.Hour), good, codes.Unauthenticated},
		{"not a request", valid, []byte("x"), codes.InvalidArgument},
		{"request with an identity", valid, foreign, codes.InvalidArgument},
	}
	conn := b.connect(client.Config{})
	for _, tt := range tests {
		_, err := runwayv1.NewIdentityClient(conn).Enrol(testContext(t), &runwayv1.EnrolRequest{JoinToken: tt.token, Csr: tt.csr})
		if status.Code(err) != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	// None of these has cost the use of the valid token.
	if _, err := runwayv1.NewIdentityClient(conn).Enrol(testContext(t), &runwayv1.EnrolRequest{JoinToken: valid, Csr: good}); err != nil {
		t.Errorf("valid token after refusals: %v", err)
	}
}

func TestEnrol_LateTokenIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.joinToken(node, time.Nanosecond)
	_, csr := newRequest(t, x509.CertificateRequest{})
	_, err := runwayv1.NewIdentityClient(b.connect(client.Config{})).Enrol(testContext(t), &runwayv1.EnrolRequest{JoinToken: token, Csr: csr})
	wantCode(t, err, code.JoinTokenInvalid)
}

func TestEnrol_OneUseForTwoMachines(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.joinToken(ingress, time.Hour)
	conn := b.connect(client.Config{})
	var enrolled atomic.Int32
	var racing sync.WaitGroup
	for range 8 {
		racing.Go(func() {
			_, csr := newRequest(t, x509.CertificateRequest{})
			if _, err := runwayv1.NewIdentityClient(conn).Enrol(testContext(t), &runwayv1.EnrolRequest{JoinToken: token, Csr: csr}); err == nil {
				enrolled.Add(1)
			}
		})
	}
	racing.Wait()
	if got := enrolled.Load(); got != 1 {
		t.Errorf("%d machines enrolled with one use", got)
	}
}

func TestRenew_OnlyForItselfAndWhileKnown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	machine := b.machineAt(node, "node-1", time.Now().Add(-31*24*time.Hour)) // expired
	service := runwayv1.NewIdentityClient(b.connect(client.Config{Identity: machine}))
	_, csr := newRequest(t, x509.CertificateRequest{})
	_, err := service.Renew(testContext(t), &runwayv1.RenewRequest{Csr: csr})
	wantCode(t, err, code.PermissionDenied)
	b.state.Must(t, coordinatortest.RegisterNode("node-1"))
	answer, err := service.Renew(testContext(t), &runwayv1.RenewRequest{Csr: csr})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := identity.ParseCertificate(answer.GetChain())
	if err != nil {
		t.Fatal(err)
	}
	if name, err := identity.NameOf(certificate); err != nil || name.ID != "node-1" || identity.Expired(certificate, time.Now()) {
		t.Errorf("renewed certificate of %v until %v, %v", name, certificate.NotAfter, err)
	}
	_, other := newRequest(t, x509.CertificateRequest{URIs: []*url.URL{{Scheme: "spiffe", Host: "test", Path: "/node/node-2"}}})
	if _, err := service.Renew(testContext(t), &runwayv1.RenewRequest{Csr: other}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("renewal for another: %v", err)
	}
	b.state.Must(t, &runwayv1.RemoveNode{Node: "node-1"})
	_, err = service.Renew(testContext(t), &runwayv1.RenewRequest{Csr: csr})
	wantCode(t, err, code.MachineRemoved)
}

func TestTokens_LiveAndDie(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tokens := runwayv1.NewTokensClient(b.as(admin))
	made, err := tokens.CreateToken(testContext(t), &runwayv1.CreateTokenRequest{Name: "ci", Role: deployer, Spaces: []string{"own"}})
	if err != nil {
		t.Fatal(err)
	}
	b.secrets = append(b.secrets, made.GetSecret())
	if len(made.GetToken().GetHash()) != 0 || !identity.IsBearer(made.GetSecret()) {
		t.Errorf("answer = %v", made.GetToken())
	}
	ci := runwayv1.NewServicesClient(b.connect(client.Config{Token: made.GetSecret()}))
	if _, err := ci.ListServices(testContext(t), &runwayv1.ListServicesRequest{Space: "own"}); err != nil {
		t.Errorf("fresh token: %v", err)
	}
	list, err := tokens.ListTokens(testContext(t), &runwayv1.ListTokensRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range list.GetTokens() {
		if len(token.GetHash()) != 0 {
			t.Errorf("token %s is listed with its hash", token.GetName())
		}
	}
	if _, err := tokens.RevokeToken(testContext(t), &runwayv1.RevokeTokenRequest{Id: made.GetToken().GetId()}); err != nil {
		t.Fatal(err)
	}
	_, err = ci.ListServices(testContext(t), &runwayv1.ListServicesRequest{Space: "own"})
	wantCode(t, err, code.Unauthenticated)
}

func TestTokens_RevocationEndsOpenStreams(t *testing.T) {
	t.Parallel()
	// The life begins in the test itself: a parallel one may wait for its turn. It is
	// long enough to open the stream on a busy machine.
	for name, life := range map[string]time.Duration{"revoked": 0, "expired": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var expires time.Time
			if life > 0 {
				expires = time.Now().Add(life)
			}
			secret := b.token(viewer, expires, "own")
			id := b.state.View().TokenByHash(identity.Hash(secret)).GetId()
			stream, err := runwayv1.NewEventsClient(b.connect(client.Config{Token: secret})).ListEvents(testContext(t), &runwayv1.ListEventsRequest{Follow: true})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			if expires.IsZero() {
				b.state.Must(t, &runwayv1.RevokeToken{Token: id})
			}
			for err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("stream ended with %v", err)
			}
		})
	}
}

func TestTokens_NobodyGivesMoreThanItHolds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	forever := durationpb.New(400 * 24 * time.Hour)
	tests := []struct {
		name    string
		as      runwayv1.Role
		request *runwayv1.CreateTokenRequest
		want    code.Code
	}{
		{"own space", spaceAdmin, &runwayv1.CreateTokenRequest{Name: "x", Role: viewer, Spaces: []string{"own"}}, ""},
		{"equal role", spaceAdmin, &runwayv1.CreateTokenRequest{Name: "x", Role: spaceAdmin, Spaces: []string{"own"}}, ""},
		{"foreign space", spaceAdmin, &runwayv1.CreateTokenRequest{Name: "x", Role: viewer, Spaces: []string{"own", "foreign"}}, code.SpaceNotFound},
		{"missing space", spaceAdmin, &runwayv1.CreateTokenRequest{Name: "x", Role: viewer, Spaces: []string{"nowhere"}}, code.SpaceNotFound},
		{"no space", spaceAdmin, &runwayv1.CreateTokenRequest{Name: "x", Role: viewer}, code.SpecInvalid},
		{"higher role", spaceAdmin, &runwayv1.CreateTokenRequest{Name: "x", Role: operator}, code.PermissionDenied},
		{"admin of one space", admin, &runwayv1.CreateTokenRequest{Name: "x", Role: admin, Spaces: []string{"own"}}, code.SpecInvalid},
		{"auditor of one space", admin, &runwayv1.CreateTokenRequest{Name: "x", Role: auditor, Spaces: []string{"own"}}, code.SpecInvalid},
		{"recovery at a coordinator", coordinator, &runwayv1.CreateTokenRequest{Name: "x", Role: admin}, ""},
		{"another role at a coordinator", coordinator, &runwayv1.CreateTokenRequest{Name: "x", Role: operator}, code.PermissionDenied},
		{"a space's role at a coordinator", coordinator, &runwayv1.CreateTokenRequest{Name: "x", Role: viewer, Spaces: []string{"own"}}, code.PermissionDenied},
		{"cluster admin", spaceAdmin, &runwayv1.CreateTokenRequest{Name: "x", Role: admin}, code.PermissionDenied},
		{"a machine's role", admin, &runwayv1.CreateTokenRequest{Name: "x", Role: node}, code.SpecInvalid},
		{"unknown role", admin, &runwayv1.CreateTokenRequest{Name: "x", Role: 99}, code.SpecInvalid},
		{"no name", admin, &runwayv1.CreateTokenRequest{Role: operator}, code.SpecInvalid},
		{"for ever", admin, &runwayv1.CreateTokenRequest{Name: "x", Role: operator, Ttl: forever}, code.SpecInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer, err := runwayv1.NewTokensClient(b.as(tt.as)).CreateToken(testContext(t), tt.request)
			wantCode(t, err, tt.want)
			if err == nil {
				b.secrets = append(b.secrets, answer.GetSecret())
			}
		})
	}
}

func TestTokens_SpaceAdminSeesAndRevokesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.token(deployer, time.Time{}, "foreign")
	b.token(deployer, time.Time{}, "own")
	tokens := runwayv1.NewTokensClient(b.as(spaceAdmin))
	list, err := tokens.ListTokens(testContext(t), &runwayv1.ListTokensRequest{})
	if err != nil || len(list.GetTokens()) != 2 { // the deployer's and its own
		t.Errorf("ListTokens = %v, %v", list, err)
	}
	for _, token := range b.state.View().Tokens() {
		if len(token.GetSpaces()) == 1 && token.GetSpaces()[0] == "own" {
			continue
		}
		_, foreign := tokens.RevokeToken(testContext(t), &runwayv1.RevokeTokenRequest{Id: token.GetId()})
		if status.Code(foreign) != codes.NotFound {
			t.Errorf("revoke %s of %v: %v", token.GetRole(), token.GetSpaces(), foreign)
		}
	}
}

func TestJoinTokens_Bounds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, request := range map[string]*runwayv1.CreateJoinTokenRequest{
		"coordinators":         {Role: coordinator},
		"people":               {Role: admin},
		"no role":              {},
		"no pool name":         {Role: node, Pool: "Not A Name"},
		"a pool of an ingress": {Role: ingress, Pool: "gpu"},
		"two days":             {Role: node, Ttl: durationpb.New(48 * time.Hour)},
		"negative":             {Role: node, Ttl: durationpb.New(-time.Hour)},
		"many uses":            {Role: node, Uses: 1000},
	} {
		_, err := runwayv1.NewNodesClient(b.as(admin)).CreateJoinToken(testContext(t), request)
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokens_AnswersSayThatTheTokenEndsSoon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, tt := range map[string]struct {
		life time.Duration
		said bool
	}{"soon": {endsSoon - time.Hour, true}, "later": {endsSoon + time.Hour, false}, "never": {0, false}} {
		var expires time.Time
		if tt.life > 0 {
			expires = time.Now().Add(tt.life)
		}
		conn := b.connect(client.Config{Token: b.token(viewer, expires, "own")})
		if _, err := runwayv1.NewSpacesClient(conn).ListSpaces(testContext(t), &runwayv1.ListSpacesRequest{}); err != nil {
			t.Fatal(err)
		}
		stream, err := runwayv1.NewEventsClient(conn).ListEvents(testContext(t), &runwayv1.ListEventsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		want := time.Time{}
		if tt.said {
			want = expires.UTC().Truncate(time.Second)
		}
		if got := conn.TokenExpires(); !got.Equal(want) {
			t.Errorf("%s: told that it ends at %v, want %v", name, got, want)
		}
	}
}
