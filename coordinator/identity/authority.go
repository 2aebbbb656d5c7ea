package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// ErrRequest means that a certificate request is malformed or asks for an
// identity that is not the caller's.
var ErrRequest = errors.New("certificate request refused")

const (
	// authorityLife outlives any installation; rotation does not wait for it.
	authorityLife = 20 * 365 * 24 * time.Hour
	// certificateLife is short enough that a stolen key is of little use and long
	// enough for a machine to be away over a holiday.
	certificateLife = 30 * 24 * time.Hour
	// backdate tolerates the clock of a machine that is behind.
	backdate = time.Hour
	// serialBits is the most that RFC 5280 allows with certainty.
	serialBits = 127
)

// Authority is the cluster's certificate authority. It is immutable and safe for
// concurrent use.
type Authority struct {
	cluster     string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes the authority of a new cluster: ECDSA P-256, valid for 20
// years from an hour before now.
func NewAuthority(cluster string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority key: %w", err)
	}
	template, err := authorityTemplate(cluster, now)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make authority certificate of cluster %q: %w", cluster, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read authority certificate of cluster %q: %w", cluster, err)
	}
	return &Authority{cluster: cluster, certificate: certificate, key: key}, nil
}

// LoadAuthority restores an authority from its certificate (PEM) and its private
// key (PKCS #8, DER). It refuses a key that is not the certificate's.
func LoadAuthority(certificatePEM, keyDER []byte) (*Authority, error) {
	certificate, err := ParseCertificate(certificatePEM)
	if err != nil {
		return nil, fmt.Errorf("read authority certificate: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, fmt.Errorf("read authority key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certificate.PublicKey) {
		return nil, errors.New("read authority: key and certificate do not belong together")
	}
	if !certificate.IsCA || len(certificate.Subject.Organization) != 1 {
		return nil, errors.New("read authority: certificate is not of a cluster authority")
	}
	return &Authority{cluster: certificate.Subject.Organization[0], certificate: certificate, key: key}, nil
}

// Cluster returns the ID of the cluster that the authority vouches for.
func (a *Authority) Cluster() string { return a.cluster }

// Certificate returns the authority's own certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

// CertificatePEM returns the authority's own certificate for files and clients.
func (a *Authority) CertificatePEM() []byte { return encodeCertificate(a.certificate.Raw) }

// KeyDER returns the private key as PKCS #8. It must be sealed before it is kept.
func (a *Authority) KeyDER() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("encode authority key: %w", err)
	}
	return der, nil
}

// Pool returns a pool with the authority's certificate alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Pin returns the SHA-256 of the authority's certificate, as join tokens carry it.
func (a *Authority) Pin() [sha256.Size]byte { return sha256.Sum256(a.certificate.Raw) }

// issue signs a leaf and returns the chain, leaf first and authority last, PEM.
func (a *Authority) issue(template *x509.Certificate, key crypto.PublicKey, now time.Time) ([]byte, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-backdate)
	template.NotAfter = now.Add(certificateLife)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of %q: %w", template.Subject.CommonName, err)
	}
	return append(encodeCertificate(der), a.CertificatePEM()...), nil
}

// ParseCertificate reads the first certificate of a PEM text.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM text")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	return certificate, nil
}

func authorityTemplate(cluster string, now time.Time) (*x509.Certificate, error) {
	if !segment.MatchString(cluster) {
		return nil, fmt.Errorf("make authority of cluster %q: %w", cluster, ErrName)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Runway cluster authority", Organization: []string{cluster}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}, nil
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	return serial, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
