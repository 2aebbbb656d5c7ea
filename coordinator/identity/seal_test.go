package identity

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

func newTestKey(t testing.TB) *Key {
	t.Helper()
	key, err := CreateKey(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKey_OpensOnlyItsOwnInPlace(t *testing.T) {
	t.Parallel()
	key, other := newTestKey(t), newTestKey(t)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "value")
		place := rapid.String().Draw(t, "place")
		sealed := key.Seal(value, place)
		if got, err := key.Open(sealed, place); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("Open = %x, %v; want %x", got, err, value)
		}
		if _, err := key.Open(sealed, place+"x"); !errors.Is(err, ErrSealed) {
			t.Fatalf("moved value opened: %v", err)
		}
		if _, err := other.Open(sealed, place); !errors.Is(err, ErrSealed) {
			t.Fatalf("another key opened it: %v", err)
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := key.Open(sealed, place); !errors.Is(err, ErrSealed) {
			t.Fatalf("damaged value opened: %v", err)
		}
	})
}

func TestKey_NoShortInputPanics(t *testing.T) {
	t.Parallel()
	key := newTestKey(t)
	for n := range 40 {
		if _, err := key.Open(append([]byte{sealVersion}, make([]byte, n)...)[:n], "p"); !errors.Is(err, ErrSealed) {
			t.Errorf("Open of %d bytes = %v", n, err)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", key, key, key); !strings.Contains(got, "hidden") {
		t.Errorf("key prints as %s", got)
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if _, err := LoadKey(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadKey without a file = %v", err)
	}
	key, err := CreateKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateKey(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateKey over a file = %v", err)
	}
	loaded, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := loaded.Open(key.Seal([]byte("v"), "p"), "p"); err != nil || string(got) != "v" {
		t.Errorf("loaded key opens %q, %v", got, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); !errors.Is(err, ErrExposed) {
		t.Errorf("LoadKey of a readable file = %v, want ErrExposed", err)
	}
}

func TestKeyFile_Damaged(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "zz", "00ff"} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(text), ownerOnly); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(path); err == nil || (text != "" && strings.Contains(err.Error(), text)) {
			t.Errorf("LoadKey of %q = %v", text, err)
		}
	}
}

func TestCertificateFile_RoundTrip(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "coordinator.pem")
	certificate, err := newTestAuthority(t, "c1").IssueCoordinator("k1", []string{"127.0.0.1"}, start)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := SaveCertificate(path, certificate); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != ownerOnly {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	loaded, err := LoadCertificate(path)
	if err != nil || len(loaded.Certificate) != 2 {
		t.Fatalf("LoadCertificate = %d certificates, %v", len(loaded.Certificate), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestServerTLS_DemandsTLS13(t *testing.T) {
	t.Parallel()
	authority := newTestAuthority(t, "c1")
	config := ServerTLS(func() *tls.Certificate { return nil }, authority.Certificate())
	if config.MinVersion != tls.VersionTLS13 || !config.SessionTicketsDisabled {
		t.Error("weaker than TLS 1.3 without resumption")
	}
	if err := config.VerifyConnection(tls.ConnectionState{}); err != nil {
		t.Errorf("a person without a certificate is refused in the handshake: %v", err)
	}
	foreign := newTestAuthority(t, "c1").Certificate()
	state := tls.ConnectionState{}
	state.PeerCertificates = append(state.PeerCertificates, foreign)
	if config.VerifyConnection(state) == nil {
		t.Error("certificate of another authority passed the handshake")
	}
}

func TestMetrics_Expiry(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	certificate := newTestAuthority(t, "c1").Certificate()
	metrics.Observe("authority", certificate)
	if got := testutil.ToFloat64(metrics.expires.WithLabelValues("authority")); got != float64(certificate.NotAfter.Unix()) {
		t.Errorf("expiry = %v, want %v", got, certificate.NotAfter.Unix())
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
