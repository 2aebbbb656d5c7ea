package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testCA signs what it is asked for, unless fail is set.
type testCA struct {
	life  time.Duration
	from  time.Duration // when they begin, from now
	asked atomic.Int64
	mu    sync.Mutex
	fail  error
	names []string // of the certificate instead of the asked ones
}

func (ca *testCA) set(err error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	ca.fail = err
}

func (ca *testCA) Sign(_ context.Context, csrDER []byte, names []string) ([]byte, error) {
	ca.asked.Add(1)
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if ca.fail != nil {
		return nil, ca.fail
	}
	csr, err := x509.ParseCertificateRequest(csrDER)
	if err != nil {
		return nil, err
	}
	if ca.names != nil {
		names = ca.names
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: names[0]},
		DNSNames:     names,
		NotBefore:    time.Now().Add(ca.from),
		NotAfter:     time.Now().Add(ca.from + ca.life),
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, csr.PublicKey, key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

func newManager(t *testing.T, dir string, signer Signer) *Manager {
	t.Helper()
	m, err := New(Config{Dir: dir, Signer: signer, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// start runs m until the test's bubble ends.
func start(t *testing.T, m *Manager) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestManager_ObtainsWantedNamesOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca := &testCA{life: 30 * 24 * time.Hour}
		m := newManager(t, dir, ca)
		defer start(t, m)()
		m.Want([]string{"a.example.com", "b.example.com"})
		synctest.Wait()
		for _, name := range []string{"a.example.com", "b.example.com"} {
			c, err := m.Certificate(name)
			if err != nil || c.Leaf.VerifyHostname(name) != nil {
				t.Errorf("Certificate(%q) = %v, %v", name, c, err)
			}
		}
		for range 10_000 {
			if _, err := m.Certificate(rand.Text() + ".example.com"); !errors.Is(err, ErrNoCertificate) {
				t.Fatalf("Certificate of a random name = %v, want %v", err, ErrNoCertificate)
			}
		}
		time.Sleep(time.Hour)
		if got := ca.asked.Load(); got != 2 {
			t.Errorf("%d signing requests for two names and 10,000 random ones", got)
		}
		if missing := m.Missing(); missing != nil {
			t.Errorf("Missing() = %+v", missing)
		}
	})
}

func TestManager_KeepsCertificatesOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		first := newManager(t, dir, &testCA{life: 24 * time.Hour})
		stop := start(t, first)
		first.Want([]string{"a.example.com"})
		synctest.Wait()
		stop()

		dead := &testCA{fail: errors.New("no session")}
		second := newManager(t, dir, dead)
		defer start(t, second)()
		second.Want([]string{"a.example.com"})
		synctest.Wait()
		if _, err := second.Certificate("a.example.com"); err != nil {
			t.Errorf("after a restart without a coordinator: %v", err)
		}
		if got := dead.asked.Load(); got != 0 {
			t.Errorf("%d signing requests for a certificate that is on disk", got)
		}
	})
	info, err := os.Stat(filepath.Join(dir, "a.example.com.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file with the key: %v, %v; want mode 0600", info, err)
	}
}

func TestManager_RenewsLiveBetweenHalfAndTwoThirdsOfLife(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca := &testCA{life: 30 * 24 * time.Hour}
		m := newManager(t, dir, ca)
		defer start(t, m)()
		m.Want([]string{"a.example.com"})
		synctest.Wait()
		old, err := m.Certificate("a.example.com")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(15*24*time.Hour - 2*time.Minute)
		synctest.Wait()
		if got := ca.asked.Load(); got != 1 {
			t.Fatalf("%d requests before half of its life", got)
		}
		time.Sleep(6 * 24 * time.Hour)
		synctest.Wait()
		renewed, err := m.Certificate("a.example.com")
		if err != nil || renewed.Leaf.SerialNumber.Cmp(old.Leaf.SerialNumber) == 0 {
			t.Errorf("not renewed after two thirds of its life: %v", err)
		}
	})
}

func TestManager_ServesTheOldOneWhileRenewalFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca := &testCA{life: time.Hour}
		m := newManager(t, dir, ca)
		defer start(t, m)()
		m.Want([]string{"a.example.com"})
		synctest.Wait()
		ca.set(errors.New("coordinator is away"))
		time.Sleep(50 * time.Minute)
		if _, err := m.Certificate("a.example.com"); err != nil {
			t.Errorf("the old certificate is gone: %v", err)
		}
		if got := ca.asked.Load(); got < 3 || got > 60 {
			t.Errorf("%d requests in the 20 to 25 minutes that renewal failed", got)
		}
		ca.set(nil)
		time.Sleep(time.Minute)
		c, err := m.Certificate("a.example.com")
		if err != nil || time.Until(c.Leaf.NotAfter) < 50*time.Minute {
			t.Errorf("not renewed when the coordinator was back: %v", err)
		}
	})
}

func TestManager_SaysWhyANameIsMissingAndRetries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca := &testCA{life: time.Hour, fail: errors.New("no session")}
		m := newManager(t, dir, ca)
		defer start(t, m)()
		m.Want([]string{"a.example.com"})
		synctest.Wait()
		<-m.Changed()
		missing := m.Missing()
		if len(missing) != 1 || !errors.Is(missing[0].Err, ca.fail) {
			t.Fatalf("Missing() = %+v, want the cause %v", missing, ca.fail)
		}
		time.Sleep(5 * time.Minute) // into the longest backoff
		ca.set(nil)
		m.Retry()
		synctest.Wait()
		<-m.Changed()
		if _, err := m.Certificate("a.example.com"); err != nil {
			t.Errorf("not obtained at once after Retry: %v", err)
		}
	})
}

func TestManager_RefusesACertificateForAnotherName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, dir, &testCA{life: time.Hour, names: []string{"other.example.com"}})
		defer start(t, m)()
		m.Want([]string{"a.example.com"})
		synctest.Wait()
		if _, err := m.Certificate("a.example.com"); !errors.Is(err, ErrNoCertificate) {
			t.Errorf("Certificate = %v, want %v", err, ErrNoCertificate)
		}
		if missing := m.Missing(); len(missing) != 1 || missing[0].Err == nil {
			t.Errorf("Missing() = %+v, want a cause", missing)
		}
	})
}

func TestManager_ReplacesDamagedAndExpiredFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		damage func(t *testing.T, path string)
		wait   time.Duration
	}{
		{"garbage", func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"empty", func(t *testing.T, path string) {
			t.Helper()
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"expired", func(*testing.T, string) {}, 2 * time.Hour},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := newManager(t, dir, &testCA{life: time.Hour})
				stop := start(t, first)
				first.Want([]string{"a.example.com"})
				synctest.Wait()
				stop()
				tt.damage(t, filepath.Join(dir, "a.example.com.pem"))
				time.Sleep(tt.wait)
				second := newManager(t, dir, &testCA{life: time.Hour})
				if _, err := second.Certificate("a.example.com"); !errors.Is(err, ErrNoCertificate) {
					t.Errorf("a %s file was loaded: %v", tt.name, err)
				}
				defer start(t, second)()
				second.Want([]string{"a.example.com"})
				synctest.Wait()
				if _, err := second.Certificate("a.example.com"); err != nil {
					t.Errorf("no new certificate in place of the %s one: %v", tt.name, err)
				}
			})
		})
	}
}

func TestManager_NeverWritesOutsideItsFolder(t *testing.T) {
	t.Parallel()
	m := newManager(t, filepath.Join(t.TempDir(), "certs"), &testCA{life: time.Hour})
	for _, name := range []string{"../a", "a/b", "..", "/etc/a"} {
		if err := m.save(name, &certificate{}); err == nil {
			t.Errorf("save(%q) succeeded", name)
		}
	}
}

// A clock that is wrong, here or at the coordinator, makes no busy loop of renewals.
func TestManager_RenewsSeldomWhenNewOnesAreDueAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ca := &testCA{life: time.Hour, from: -50 * time.Minute}
		m := newManager(t, dir, ca)
		defer start(t, m)()
		m.Want([]string{"a.example.com"})
		time.Sleep(9 * time.Minute)
		if got := ca.asked.Load(); got < 2 || got > 11 {
			t.Errorf("%d requests in nine minutes, want about one a minute", got)
		}
	})
}

func TestManager_DropsWhatIsNotWantedForADay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, dir, &testCA{life: 30 * 24 * time.Hour})
		defer start(t, m)()
		m.Want([]string{"a.example.com", "b.example.com"})
		synctest.Wait()
		m.Want([]string{"a.example.com"})
		has := func(name string) bool {
			_, err := m.Certificate(name)
			_, missing := os.Stat(filepath.Join(dir, name+extension))
			if (err == nil) != (missing == nil) {
				t.Errorf("%s: in memory %v, on disk %v", name, err == nil, missing == nil)
			}
			return err == nil
		}
		time.Sleep(keepUnwanted - time.Minute)
		synctest.Wait()
		if !has("b.example.com") {
			t.Error("dropped within a day")
		}
		m.Want([]string{"a.example.com", "b.example.com"})
		m.Want([]string{"a.example.com"})
		time.Sleep(keepUnwanted - time.Minute)
		synctest.Wait()
		if !has("b.example.com") {
			t.Error("dropped within a day of being wanted again")
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if has("b.example.com") || !has("a.example.com") {
			t.Error("want only a.example.com after a day")
		}
	})
}
