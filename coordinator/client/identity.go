package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/runway-platform/runway/atomicfile"
)

// ErrExposed means that a private key can be read by others than its owner.
var ErrExposed = errors.New("file is readable by others")

const (
	// identityFile holds key and certificate together, so that they are replaced
	// in one rename and never disagree.
	identityFile = "identity.pem"
	caFile       = "ca.pem"
	// ownerOnly is the mode of both.
	ownerOnly fs.FileMode = 0o600
)

// Identity is the certificate of a machine and its key, kept in a directory. It
// changes when it is renewed; whoever uses it sees the newest. Safe for concurrent
// use.
type Identity struct {
	directory string
	ca        []byte
	current   atomic.Pointer[tls.Certificate]
}

// LoadIdentity reads what Enrol wrote. It gives fs.ErrNotExist when the machine has
// not enrolled, and ErrExposed when others can read the key.
func LoadIdentity(directory string) (*Identity, error) {
	path := filepath.Join(directory, identityFile)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load identity: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("load identity from %q with mode %04o: %w", path, info.Mode().Perm(), ErrExposed)
	}
	certificate, err := tls.LoadX509KeyPair(path, path)
	if err != nil {
		return nil, fmt.Errorf("load identity from %q: %w", path, err)
	}
	ca, err := os.ReadFile(filepath.Join(directory, caFile))
	if err != nil {
		return nil, fmt.Errorf("load CA of the cluster: %w", err)
	}
	identity := &Identity{directory: directory, ca: ca}
	identity.current.Store(&certificate)
	return identity, nil
}

// NewIdentity makes an identity of a certificate that somebody else keeps and renews,
// and of the authority's certificate, PEM. It is not written anywhere.
func NewIdentity(certificate tls.Certificate, ca []byte) *Identity {
	identity := &Identity{ca: ca}
	identity.current.Store(&certificate)
	return identity
}

// ID returns the identity that the coordinator gave to this machine.
func (i *Identity) ID() string {
	_, id := nameOf(i.certificate().Leaf)
	return id
}

// CA returns the certificate of the cluster authority, PEM.
func (i *Identity) CA() []byte { return i.ca }

// Expires returns when the certificate's life ends.
func (i *Identity) Expires() time.Time { return i.certificate().Leaf.NotAfter }

func (i *Identity) certificate() *tls.Certificate { return i.current.Load() }

// adopt makes a renewed certificate the current one, on disk first.
func (i *Identity) adopt(key *ecdsa.PrivateKey, chain []byte) error {
	text, certificate, err := join(key, chain)
	if err != nil {
		return err
	}
	if _, id := nameOf(certificate.Leaf); id != i.ID() {
		return fmt.Errorf("adopt certificate of %q: this is %q", id, i.ID())
	}
	if err := atomicfile.Write(filepath.Join(i.directory, identityFile), text, ownerOnly); err != nil {
		return err
	}
	i.current.Store(certificate)
	return nil
}

// newRequest makes a key and a certificate request with nothing but the key in it:
// names are the coordinator's to give.
func newRequest() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate request: %w", err)
	}
	return key, csr, nil
}

// join checks that key and chain belong together and returns them as one text.
func join(key *ecdsa.PrivateKey, chain []byte) ([]byte, *tls.Certificate, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), chain...)
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, nil, fmt.Errorf("check certificate from the coordinator: %w", err)
	}
	return text, &certificate, nil
}
