package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// DefaultPatience is how long a call looks for a leader: longer than an election
// and a restart of the coordinator take, shorter than a person waits.
const DefaultPatience = 5 * time.Second

// maxTokenBytes bounds what is read of a token file.
const maxTokenBytes = 4096

// Config says where the coordinators are and who calls. Exactly one of Identity,
// Token and TokenFile proves the latter; none is enough only for Enrol.
type Config struct {
	// Addresses of coordinators, host:port. One that answers is enough: the
	// others are learned from it.
	Addresses []string
	// CA is the cluster authority's certificate, PEM. Identity brings its own.
	CA []byte
	// CAFile is read when CA is empty.
	CAFile string
	// Token is the bearer token of a person or CI system.
	Token string
	// TokenFile is read when Token is empty.
	TokenFile string
	// Identity is the certificate of a machine.
	Identity *Identity
	// Patience bounds the search for a leader, per call; 0 means DefaultPatience.
	Patience time.Duration
	// Dialer opens connections; nil means TCP. Tests use it.
	Dialer func(ctx context.Context, address string) (net.Conn, error)
}

// Validate names the first thing that is missing or contradictory.
func (c Config) Validate() error {
	if len(c.Addresses) == 0 {
		return errors.New("no coordinator address")
	}
	for _, address := range c.Addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("coordinator address %q: %w", address, err)
		}
	}
	if c.Identity == nil && len(c.CA) == 0 && c.CAFile == "" {
		return errors.New("no CA of the cluster")
	}
	if c.Identity != nil && (c.Token != "" || c.TokenFile != "") {
		return errors.New("both a machine's identity and a token")
	}
	return nil
}

// load returns the configuration with its files read and its defaults set.
func (c Config) load() (Config, error) {
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("check client configuration: %w", err)
	}
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	if c.Identity != nil {
		c.CA = c.Identity.CA()
	}
	if len(c.CA) == 0 {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return Config{}, fmt.Errorf("read CA of the cluster: %w", err)
		}
		c.CA = text
	}
	if c.Token == "" && c.TokenFile != "" {
		token, err := readToken(c.TokenFile)
		if err != nil {
			return Config{}, err
		}
		c.Token = token
	}
	return c, nil
}

// readToken never repeats what it read, so that a wrong file does not end up in an
// error or a log.
func readToken(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(bytes.TrimPrefix(text, []byte("\ufeff"))))
	if token == "" || len(token) > maxTokenBytes || strings.ContainsFunc(token, notVisible) {
		return "", fmt.Errorf("read token file %q: not a token", path)
	}
	return token, nil
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }
