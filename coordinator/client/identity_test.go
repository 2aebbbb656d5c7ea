package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runway-platform/runway/coordinator/client"
	"github.com/runway-platform/runway/coordinator/identity"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// enrolled returns the certificate of a node, usable by mistake as a server's.
func enrolled(t *testing.T, authority *identity.Authority) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := authority.SignMachine(csr, nodeName(authority), "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func enrolment(t *testing.T, n network, authority *identity.Authority) client.Enrolment {
	t.Helper()
	token, err := authority.NewJoinToken(runwayv1.Role_ROLE_NODE)
	if err != nil {
		t.Fatal(err)
	}
	return client.Enrolment{
		Addresses: []string{"a:1"}, JoinToken: token.Text(), Name: "vm-1",
		Directory: filepath.Join(t.TempDir(), "identity"), Dialer: n.dial,
	}
}

func TestEnrol_KeepsKeyAndReusesIt(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	c := start(t, authority, "a:1")
	e := enrolment(t, network{"a:1": c}, authority)
	for range 2 {
		machine, err := client.Enrol(testContext(t), e)
		if err != nil {
			t.Fatal(err)
		}
		if machine.ID() != "n1" || string(machine.CA()) != string(authority.CertificatePEM()) {
			t.Errorf("identity %q", machine.ID())
		}
	}
	if got := c.calls.Load(); got != 1 {
		t.Errorf("enrolled %d times, want once", got)
	}
	entries, err := os.ReadDir(e.Directory)
	if err != nil || len(entries) != 2 {
		t.Fatalf("directory holds %v, %v", entries, err)
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
}

func TestEnrol_SendsNothingToAnotherCluster(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	fake := start(t, theirs, "a:1")
	e := enrolment(t, network{"a:1": fake}, ours)
	if _, err := client.Enrol(testContext(t), e); !errors.Is(err, client.ErrWrongCA) {
		t.Errorf("Enrol = %v, want ErrWrongCA", err)
	}
	if fake.calls.Load() != 0 || fake.dialled.Load() != 1 {
		t.Errorf("fake coordinator saw %d calls, %d connections", fake.calls.Load(), fake.dialled.Load())
	}
	if _, err := client.LoadIdentity(e.Directory); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("identity after a refused enrolment: %v", err)
	}
}

func TestEnrol_PinAloneIsNotEnough(t *testing.T) {
	t.Parallel()
	// A stranger that shows our authority's certificate behind a leaf of its own.
	ours, theirs := newAuthority(t), newAuthority(t)
	certificate, err := theirs.IssueCoordinator("k", nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate.Certificate = append(certificate.Certificate, ours.Certificate().Raw)
	fake := startWith(t, theirs, "a:1", certificate)
	if _, err := client.Enrol(testContext(t), enrolment(t, network{"a:1": fake}, ours)); err == nil {
		t.Error("Enrol trusted a stranger")
	}
	if got := fake.calls.Load(); got != 0 {
		t.Errorf("stranger received the token in %d calls", got)
	}
}

func TestEnrol_MalformedToken(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"", "rwt_x", "rwj_node_x", "rwj_node_x_zz"} {
		_, err := client.Enrol(testContext(t), client.Enrolment{JoinToken: token, Directory: t.TempDir()})
		if !errors.Is(err, client.ErrJoinToken) {
			t.Errorf("Enrol with %q = %v", token, err)
		}
	}
}

func TestLoadIdentity_RefusesAnExposedKey(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	e := enrolment(t, network{"a:1": start(t, authority, "a:1")}, authority)
	if _, err := client.Enrol(testContext(t), e); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(e.Directory, "identity.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := client.LoadIdentity(e.Directory); !errors.Is(err, client.ErrExposed) {
		t.Errorf("LoadIdentity = %v, want ErrExposed", err)
	}
}

// TestRenewer_RenewsAtHalfLife runs 40 days in a bubble: the certificate is renewed
// between 50 and 67 % of its life, also when the coordinator is away at first.
func TestRenewer_RenewsAtHalfLife(t *testing.T) {
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority(t)
		c := start(t, authority, "a:1")
		n := network{"a:1": c}
		e := enrolment(t, n, authority)
		e.Directory = directory
		machine, err := client.Enrol(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		began, first := time.Now(), machine.Expires()
		var renewed []time.Duration
		var asked atomic.Int32
		c.renew = func(csr []byte) ([]byte, error) {
			if asked.Add(1) == 1 {
				return nil, errors.New("away")
			}
			renewed = append(renewed, time.Since(began))
			return authority.SignMachine(csr, nodeName(authority), "", time.Now())
		}
		conn, err := client.Dial(client.Config{Addresses: []string{"a:1"}, Identity: machine, Dialer: n.dial})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*24*time.Hour)
		defer cancel()
		err = client.NewRenewer(machine, conn, slog.New(slog.NewTextHandler(t.Output(), nil))).Run(ctx)
		if err != nil {
			t.Errorf("Run = %v", err)
		}
		if len(renewed) != 1 || renewed[0] < 14*24*time.Hour || renewed[0] > 21*24*time.Hour {
			t.Errorf("renewed after %v, want once within 15 to 20 days", renewed)
		}
		loaded, err := client.LoadIdentity(directory)
		if err != nil || !loaded.Expires().After(first) || !loaded.Expires().Equal(machine.Expires()) {
			t.Errorf("on disk: expires %v, %v; before %v", loaded.Expires(), err, first)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRenewer_RefusesAnotherIdentity(t *testing.T) {
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		authority := newAuthority(t)
		c := start(t, authority, "a:1")
		n := network{"a:1": c}
		e := enrolment(t, n, authority)
		e.Directory = directory
		machine, err := client.Enrol(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		before := machine.Expires()
		c.renew = func(csr []byte) ([]byte, error) {
			other := identity.Name{Cluster: "c1", Role: runwayv1.Role_ROLE_NODE, ID: "n2"}
			return authority.SignMachine(csr, other, "", time.Now())
		}
		conn, err := client.Dial(client.Config{Addresses: []string{"a:1"}, Identity: machine, Dialer: n.dial})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 21*24*time.Hour)
		defer cancel()
		if err := client.NewRenewer(machine, conn, slog.New(slog.DiscardHandler)).Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
		if machine.ID() != "n1" || !machine.Expires().Equal(before) {
			t.Errorf("became %q until %v", machine.ID(), machine.Expires())
		}
		loaded, err := client.LoadIdentity(directory)
		if err != nil || loaded.ID() != "n1" {
			t.Errorf("on disk: %q, %v", loaded.ID(), err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
}
