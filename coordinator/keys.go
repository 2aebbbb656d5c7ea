package coordinator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/port"
	"github.com/runway-platform/runway/coordinator/state"
	"github.com/runway-platform/runway/proto/code"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// renewCheck is how often the own certificate's age is looked at; it is renewed in
// the second half of its life.
const renewCheck = time.Hour

// keys are what this coordinator proves itself with.
type keys struct {
	sealing   *identity.Key
	authority *x509.Certificate
	own       atomic.Pointer[tls.Certificate]
}

// loadKeys reads what founding or joining wrote.
func loadKeys(c Config) (*keys, error) {
	text, err := os.ReadFile(c.authorityFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s data directory %s holds no cluster: %s", code.DataDirectoryEmpty, c.DataDir, code.DataDirectoryEmpty.Fix())
	}
	if err != nil {
		return nil, fmt.Errorf("read certificate of the authority: %w", err)
	}
	k := &keys{}
	if k.authority, err = identity.ParseCertificate(text); err != nil {
		return nil, fmt.Errorf("read %s: %w", c.authorityFile(), err)
	}
	if k.sealing, err = identity.LoadKey(c.keyFile()); err != nil {
		return nil, err
	}
	return k, k.loadOwn(c)
}

func (k *keys) loadOwn(c Config) error {
	own, err := identity.LoadCertificate(c.certificateFile())
	if err != nil {
		return err
	}
	if own.Leaf == nil {
		if own.Leaf, err = x509.ParseCertificate(own.Certificate[0]); err != nil {
			return fmt.Errorf("parse own certificate: %w", err)
		}
	}
	k.own.Store(&own)
	return nil
}

// serverTLS is for the listener of the one port.
func (k *keys) serverTLS() *tls.Config { return identity.ServerTLS(k.own.Load, k.authority) }

// raftTLS is for connections to other coordinators.
func (k *keys) raftTLS() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(k.authority)
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    roots,
		NextProtos: []string{port.Raft},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return k.own.Load(), nil
		},
	}
}

// verifyCoordinator refuses peers that are not coordinators of this cluster.
func verifyCoordinator(cluster string) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the peer has no certificate")
		}
		leaf := state.PeerCertificates[0]
		name, err := identity.NameOf(leaf)
		if err != nil {
			return err
		}
		if name.Cluster != cluster || name.Role != runwayv1.Role_ROLE_COORDINATOR || identity.Expired(leaf, time.Now()) {
			return fmt.Errorf("%s is not a coordinator of this cluster with a valid certificate", name)
		}
		return nil
	}
}

// renewOwn replaces the own certificate in the second half of its life. After a start
// the authority is not known until the log is read, and is waited for: a certificate
// that expired meanwhile keeps everybody out.
func (c *Coordinator) renewOwn(ctx context.Context) error {
	ticker := time.NewTicker(renewCheck)
	defer ticker.Stop()
	for {
		read := c.store.View().Changed(state.TableCluster)
		authority := c.authority()
		if authority != nil {
			read = nil
			c.renewWhenDue(authority, time.Now())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-read:
		case <-ticker.C:
		}
	}
}

func (c *Coordinator) renewWhenDue(authority *identity.Authority, now time.Time) {
	leaf := c.keys.own.Load().Leaf
	if now.Before(leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)) {
		return
	}
	if err := c.reissueOwn(authority, now); err != nil {
		c.log.Error("own certificate not renewed", "err", err, "expires", leaf.NotAfter)
	}
}

func (c *Coordinator) reissueOwn(authority *identity.Authority, now time.Time) error {
	if err := c.config.issueOwn(authority, c.name.ID, now); err != nil {
		return err
	}
	if err := c.keys.loadOwn(c.config); err != nil {
		return err
	}
	c.keys.observe(c.expiries)
	return nil
}

// open returns the authority of a certificate and its sealed key.
func (k *keys) open(certificate, sealed []byte) (*identity.Authority, error) {
	der, err := k.sealing.Open(sealed, authorityKeyPlace)
	if err != nil {
		return nil, fmt.Errorf("open key of the authority: %w", err)
	}
	return identity.LoadAuthority(certificate, der)
}

// observe shows when the certificates expire.
func (k *keys) observe(metrics *identity.Metrics) {
	metrics.Observe("authority", k.authority)
	metrics.Observe("coordinator", k.own.Load().Leaf)
}

// authority returns the cluster's authority with its key, opened from the state at
// first use; nil while the state does not hold one.
func (c *Coordinator) authority() *identity.Authority {
	if known := c.opened.Load(); known != nil {
		return known
	}
	cluster := c.store.View().Cluster()
	if cluster == nil {
		return nil
	}
	authority, err := c.keys.open(cluster.GetCaCertificate(), cluster.GetCaKeySealed())
	if err != nil {
		c.log.Error("the authority of the cluster cannot sign", "err", err, "key_file", c.config.keyFile())
		return nil
	}
	c.opened.Store(authority)
	return authority
}

// hostsOf returns the host parts of addresses, for the names in a certificate.
func hostsOf(addresses ...string) []string {
	hosts := []string{"localhost"}
	for _, address := range addresses {
		if host, _, err := net.SplitHostPort(address); err == nil && host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
