package coordinator

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
)

// Config of one coordinator.
type Config struct {
	// DataDir holds the log, the snapshots, the key-encryption key and the
	// certificate. Nothing of it is ever made from nothing without Bootstrap.
	DataDir string
	// Listen is the address of the one port, host:port.
	Listen string
	// Advertise is where others reach this coordinator; empty means Listen.
	Advertise string
	// Bootstrap makes a new cluster when DataDir is empty.
	Bootstrap bool
	// Domain that services are published under. Used at bootstrap only, as are
	// Regions and Registry.
	Domain   string
	Regions  []string
	Registry string
	// AdminTokenFile receives the first token, readable by its owner only. Empty:
	// the token is given to FirstToken.
	AdminTokenFile string
	// FirstToken is called with the first token of a new cluster when there is no
	// file for it. It is shown once.
	FirstToken func(token string)
	// CAFile receives the certificate of the cluster's authority; empty: nowhere
	// but DataDir.
	CAFile string
	// PlainHTTPRegistries are asked without TLS, besides those on loopback.
	PlainHTTPRegistries []string
	// Version of this program, for people.
	Version    string
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Validate returns every problem of the configuration, joined.
func (c Config) Validate() error {
	var problems []error
	if c.DataDir == "" {
		problems = append(problems, errors.New("data-dir is empty: name the directory that the cluster's state is kept in"))
	}
	for name, address := range map[string]string{"listen": c.Listen, "advertise": c.advertised()} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			problems = append(problems, fmt.Errorf("%s %q is not HOST:PORT, such as 127.0.0.1:7443", name, address))
		}
	}
	if err := checkAdvertised(c.advertised()); err != nil {
		problems = append(problems, err)
	}
	if c.Bootstrap && c.Domain == "" {
		problems = append(problems, errors.New("domain is empty: name the domain that services are published under"))
	}
	if c.Bootstrap && len(c.Regions) == 0 {
		problems = append(problems, errors.New("regions is empty: a cluster has at least one"))
	}
	if c.Log == nil || c.Registerer == nil {
		problems = append(problems, errors.New("log and registerer are needed"))
	}
	return errors.Join(problems...)
}

// checkAdvertised refuses what nobody can dial: it becomes this coordinator's address
// in the log and the name in its certificate, for good.
func checkAdvertised(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil // named already
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() || port == "0" {
		return fmt.Errorf("advertise %q is no address that others can reach: name this machine's, such as --advertise 10.0.0.1:7443", address)
	}
	return nil
}

func (c Config) advertised() string {
	if c.Advertise != "" {
		return c.Advertise
	}
	return c.Listen
}

// Files below the data directory.
func (c Config) keyFile() string         { return filepath.Join(c.DataDir, "key-encryption-key") }
func (c Config) certificateFile() string { return filepath.Join(c.DataDir, "coordinator.pem") }
func (c Config) authorityFile() string   { return filepath.Join(c.DataDir, "ca.crt") }
func (c Config) foundingFile() string    { return filepath.Join(c.DataDir, "founding.sealed") }
func (c Config) raftDir() string         { return filepath.Join(c.DataDir, "raft") }
