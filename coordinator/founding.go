package coordinator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/runway-platform/runway/atomicfile"
	"github.com/runway-platform/runway/coordinator/command"
	"github.com/runway-platform/runway/coordinator/identity"
	"github.com/runway-platform/runway/coordinator/names"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

const (
	// authorityKeyPlace binds the sealed key to where it is kept, so that a sealed
	// value cannot be moved to another field.
	authorityKeyPlace = "cluster/ca_key"
	// firstTokenLife is that of every token: long enough to make better ones.
	firstTokenLife = 90 * 24 * time.Hour
)

// found makes what a cluster begins with and cannot be made twice: the key that
// seals secrets, the authority and this coordinator's certificate. The authority's
// key waits, sealed, in the founding file until the first leadership has put it
// into the log, so that a crash in between changes nothing.
func (c Config) found(now time.Time) error {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if _, err := os.Stat(c.certificateFile()); !errors.Is(err, fs.ErrNotExist) {
		return err // founded before, or unreadable
	}
	key, err := identity.CreateKey(c.keyFile())
	if errors.Is(err, fs.ErrExist) {
		key, err = identity.LoadKey(c.keyFile())
	}
	if err != nil {
		return err
	}
	authority, err := identity.NewAuthority("runway-"+strings.ToLower(rand.Text()[:10]), now)
	if err != nil {
		return err
	}
	der, err := authority.KeyDER()
	if err != nil {
		return err
	}
	if err := atomicfile.Write(c.foundingFile(), key.Seal(der, authorityKeyPlace), 0o600); err != nil {
		return fmt.Errorf("write founding file: %w", err)
	}
	if err := atomicfile.Write(c.authorityFile(), authority.CertificatePEM(), 0o644); err != nil {
		return fmt.Errorf("write certificate of the authority: %w", err)
	}
	return c.issueOwn(authority, "coordinator-1", now)
}

// issueOwn writes this coordinator's certificate. It comes last when founding: its
// presence means that the rest is there.
func (c Config) issueOwn(authority *identity.Authority, id string, now time.Time) error {
	certificate, err := authority.IssueCoordinator(id, hostsOf(c.Listen, c.advertised()), now)
	if err != nil {
		return err
	}
	return identity.SaveCertificate(c.certificateFile(), certificate)
}

// initCluster writes the cluster's first entry when there is none yet, and hands
// out the first token.
func (c *Coordinator) initCluster(ctx context.Context) error {
	if c.store.View().Cluster() != nil {
		return c.config.forgetFounding()
	}
	sealed, err := os.ReadFile(c.config.foundingFile())
	if err != nil {
		return fmt.Errorf("read founding file of a cluster without state: %w", err)
	}
	if _, err := c.keys.open(c.authorityPEM, sealed); err != nil {
		return fmt.Errorf("check founding file %s, of which nothing is in the log yet: %w; empty the data directory and bootstrap again", c.config.foundingFile(), err)
	}
	token, err := identity.NewBearer()
	if err != nil {
		return err
	}
	// The token first: a cluster that nobody can enter is worth nothing, while a
	// token of a cluster that was not made yet is replaced at the next attempt.
	if err := c.config.giveFirstToken(token); err != nil {
		return err
	}
	_, err = c.node.Apply(ctx, c.founding(sealed, token, time.Now()))
	if err != nil && !errors.Is(err, command.ErrExists) {
		return err
	}
	return c.config.forgetFounding()
}

// forgetFounding removes the sealed key once the log holds it: one copy is enough
// to guard.
func (c Config) forgetFounding() error {
	if err := os.Remove(c.foundingFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove founding file: %w", err)
	}
	return nil
}

func (c *Coordinator) founding(sealed []byte, token string, now time.Time) *runwayv1.InitCluster {
	return &runwayv1.InitCluster{
		Cluster: &runwayv1.Cluster{
			Id:            c.name.Cluster,
			Incarnation:   strings.ToLower(rand.Text()[:10]),
			Version:       command.Version,
			Domain:        c.config.Domain,
			Regions:       c.config.Regions,
			Registry:      c.config.Registry,
			CaCertificate: c.authorityPEM,
			CaKeySealed:   sealed,
		},
		Admin: &runwayv1.Token{
			Id:        "admin",
			Name:      "admin",
			Hash:      identity.Hash(token),
			Role:      runwayv1.Role_ROLE_CLUSTER_ADMIN,
			ExpiresAt: timestamppb.New(now.Add(firstTokenLife)),
		},
		Space: &runwayv1.Space{
			Name:   names.DefaultSpace,
			Spec:   &runwayv1.SpaceSpec{Description: "where a service lives when nobody named a space"},
			Status: &runwayv1.SpaceStatus{Phase: runwayv1.SpacePhase_SPACE_PHASE_PROVISIONING},
		},
	}
}

func (c Config) giveFirstToken(token string) error {
	if c.CAFile != "" {
		if err := copyFile(c.authorityFile(), c.CAFile); err != nil {
			return err
		}
	}
	if c.AdminTokenFile == "" {
		if c.FirstToken != nil {
			c.FirstToken(token)
		}
		return nil
	}
	if err := atomicfile.Write(c.AdminTokenFile, []byte(token+"\n"), 0o600); err != nil {
		return fmt.Errorf("write admin token: %w", err)
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return atomicfile.Write(to, content, 0o644)
}
