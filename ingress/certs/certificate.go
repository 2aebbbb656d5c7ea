package certs

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"
)

// Renewal happens at a random point between these parts of a certificate's life,
// so that names which were signed together are not renewed together.
const renewFrom, renewTo = 0.50, 0.67

var errExpired = errors.New("expired")

// certificate is a key pair with the time of its renewal.
type certificate struct {
	tls     tls.Certificate
	pem     []byte
	renewAt time.Time
}

// request makes a key for the name and has it signed.
func request(ctx context.Context, signer Signer, name string) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key for %q: %w", name, err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate request for %q: %w", name, err)
	}
	chain, err := signer.Sign(ctx, csr, []string{name})
	if err != nil {
		return nil, fmt.Errorf("sign certificate for %q: %w", name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key for %q: %w", name, err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return parse(name, append(keyPEM, chain...), time.Now())
}

// parse reads a key and its chain, and checks that they are for the name, belong
// together and are valid now.
func parse(name string, content []byte, now time.Time) (*certificate, error) {
	pair, err := tls.X509KeyPair(content, content)
	if err != nil {
		return nil, fmt.Errorf("read certificate of %q: %w", name, err)
	}
	if pair.Leaf == nil {
		return nil, fmt.Errorf("read certificate of %q: %w", name, errors.New("no leaf"))
	}
	if err := pair.Leaf.VerifyHostname(name); err != nil {
		return nil, fmt.Errorf("check certificate of %q: %w", name, err)
	}
	if now.After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("check certificate of %q: %w at %v", name, errExpired, pair.Leaf.NotAfter)
	}
	if _, ok := pair.PrivateKey.(crypto.Signer); !ok {
		return nil, fmt.Errorf("check key of %q: cannot sign", name)
	}
	return &certificate{tls: pair, pem: bytes.Clone(content), renewAt: renewal(pair.Leaf)}, nil
}

func renewal(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	part := renewFrom + (renewTo-renewFrom)*mathrand.Float64()
	return leaf.NotBefore.Add(time.Duration(float64(life) * part))
}

// jitter returns between 75 and 125 % of d.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.75 + mathrand.Float64()/2))
}
