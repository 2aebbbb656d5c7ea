package client

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runway-platform/runway/atomicfile"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// ErrJoinToken means that a text is not a join token. The text is not repeated.
var ErrJoinToken = errors.New("malformed join token")

// fetchTimeout bounds the handshake that learns the authority.
const fetchTimeout = 5 * time.Second

// Enrolment is what a machine needs to become part of a cluster.
type Enrolment struct {
	// Addresses of coordinators, host:port.
	Addresses []string
	// JoinToken is rwj_<role>_<secret>_<digest of the CA>.
	JoinToken string
	// Name of the machine, for people.
	Name string
	// Directory receives the key and the certificates, readable by its owner.
	Directory string
	// Dialer opens connections; nil means TCP. Tests use it.
	Dialer func(ctx context.Context, address string) (net.Conn, error)
}

// Enrol returns the identity in the directory, or exchanges the join token for one.
// The key is made here and never leaves. Nothing is sent to a coordinator whose
// authority does not have the digest in the token: that gives ErrWrongCA. A call
// that finds an identity needs no token and no coordinator.
func Enrol(ctx context.Context, e Enrolment) (*Identity, error) {
	identity, err := LoadIdentity(e.Directory)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return identity, err
	}
	pin, err := pinOf(e.JoinToken)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(e.Directory, 0o700); err != nil {
		return nil, fmt.Errorf("make identity directory: %w", err)
	}
	ca, err := e.findAuthority(ctx, pin)
	if err != nil {
		return nil, fmt.Errorf("enrol machine %q: %w", e.Name, err)
	}
	if err := e.exchange(ctx, ca); err != nil {
		return nil, fmt.Errorf("enrol machine %q: %w", e.Name, err)
	}
	return LoadIdentity(e.Directory)
}

// findAuthority shakes hands until one coordinator shows the authority that the
// token pins, and closes the connection again.
func (e Enrolment) findAuthority(ctx context.Context, pin []byte) ([]byte, error) {
	var problems error
	for _, address := range e.Addresses {
		authority, err := e.handshake(ctx, address, pin)
		if err == nil {
			return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw}), nil
		}
		problems = errors.Join(problems, fmt.Errorf("ask %s for its authority: %w", address, err))
	}
	if problems == nil {
		problems = errors.New("no coordinator address")
	}
	return nil, problems
}

func (e Enrolment) handshake(ctx context.Context, address string, pin []byte) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	raw, err := e.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	var authority *x509.Certificate
	conn := tls.Client(raw, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{"h2"},
		InsecureSkipVerify: true, // replaced by the pin
		VerifyConnection: func(state tls.ConnectionState) (err error) {
			authority, err = pinned(state.PeerCertificates, pin)
			return err
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return authority, nil
}

// exchange sends the token over a connection that trusts the pinned authority only.
func (e Enrolment) exchange(ctx context.Context, ca []byte) error {
	conn, err := Dial(Config{Addresses: e.Addresses, CA: ca, Dialer: e.Dialer})
	if err != nil {
		return err
	}
	defer conn.Close()
	key, csr, err := newRequest()
	if err != nil {
		return err
	}
	answer, err := runwayv1.NewIdentityClient(conn).Enrol(ctx, &runwayv1.EnrolRequest{
		JoinToken: e.JoinToken, Csr: csr, Name: e.Name,
	})
	if err != nil {
		return err
	}
	text, _, err := join(key, answer.GetChain())
	if err != nil {
		return err
	}
	// The identity file comes last: its presence means that all is there.
	if err := atomicfile.Write(filepath.Join(e.Directory, caFile), ca, ownerOnly); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(e.Directory, identityFile), text, ownerOnly)
}

func (e Enrolment) dial(ctx context.Context, address string) (net.Conn, error) {
	if e.Dialer != nil {
		return e.Dialer(ctx, address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// pinOf returns the digest at the end of a join token.
func pinOf(token string) ([]byte, error) {
	parts := strings.Split(token, "_")
	if len(parts) != 4 || parts[0] != "rwj" {
		return nil, ErrJoinToken
	}
	pin, err := hex.DecodeString(parts[3])
	if err != nil || len(pin) != sha256.Size {
		return nil, ErrJoinToken
	}
	return pin, nil
}
