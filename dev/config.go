// Package dev runs a whole cluster on one machine: it starts coordinator, agents
// and ingresses as child processes of the same binary, each with a directory of
// its own, over loopback mutual TLS, and restarts one that dies. There is no
// in-process shortcut: what works here works on many machines. It embeds only the
// registry that image archives are pushed to.
package dev

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
)

// Bounds of one machine. Each node gets a /24 and an equal share of the ports.
const (
	maxNodes     = 16
	maxIngresses = 8
	portFirst    = 20000
	portLast     = 29999
	// internalOffset is from a public listener's port to that of its counterpart
	// for replicas, so that two clusters on one machine need no further settings.
	internalOffset = 2000
)

// Config of a cluster on one machine. Addresses are host:port.
type Config struct {
	// DataDir holds everything that the cluster keeps; made when missing.
	DataDir string
	// Domain of public names, such as runway.localhost.
	Domain string
	// API is where the coordinator answers.
	API string
	// HTTP, HTTPS and DNS are the public listeners of the first ingress; further
	// ingresses take the ports that follow.
	HTTP, HTTPS, DNS string
	// Registry is where image archives are pushed to.
	Registry string
	// Metrics of the coordinator; agents, then ingresses take the ports that follow.
	Metrics string
	// Nodes and Ingresses are how many processes of each kind run.
	Nodes, Ingresses int
	// Containerd is the socket of a running containerd; empty: the default socket
	// when one answers there, else a containerd of our own.
	Containerd string
	// Executable is the runway binary that the children run.
	Executable string
	// LinkContext makes the user's default configuration point to this cluster.
	LinkContext bool
}

// Validate returns every problem of the configuration, joined.
func (c Config) Validate() error {
	var problems []error
	if c.DataDir == "" {
		problems = append(problems, errors.New("data-dir is empty: name the directory that the cluster is kept in"))
	}
	if c.Domain == "" {
		problems = append(problems, errors.New("domain is empty: name the domain that services are published under"))
	}
	if c.Nodes < 1 || c.Nodes > maxNodes {
		problems = append(problems, fmt.Errorf("nodes is %d: choose 1 to %d", c.Nodes, maxNodes))
	}
	if c.Ingresses < 1 || c.Ingresses > maxIngresses {
		problems = append(problems, fmt.Errorf("ingresses is %d: choose 1 to %d", c.Ingresses, maxIngresses))
	}
	for name, address := range map[string]string{"api": c.API, "http": c.HTTP, "https": c.HTTPS, "dns": c.DNS, "registry": c.Registry, "metrics": c.Metrics} {
		if _, err := netip.ParseAddrPort(address); err != nil {
			problems = append(problems, fmt.Errorf("%s %q is not IP:PORT, such as 127.0.0.1:7443", name, address))
		}
	}
	return errors.Join(problems...)
}

// instance tells clusters of several data directories on one machine apart, in
// names that the kernel limits to 15 characters.
func (c Config) instance() string {
	sum := sha256.Sum256([]byte(c.DataDir))
	return hex.EncodeToString(sum[:2])
}

// octet is the second number of all replica addresses of this cluster, 64 to 127,
// so that two clusters on one machine rarely share a network; 10.64.0.0/10 is in the
// middle of the private range, where few networks are.
func (c Config) octet() int {
	sum := sha256.Sum256([]byte(c.DataDir))
	return 64 + int(sum[2])%64
}

// path joins names below the data directory.
func (c Config) path(names ...string) string {
	return filepath.Join(append([]string{c.DataDir}, names...)...)
}

// offset returns the address with its port raised by n.
func offset(address string, n int) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return address
	}
	return net.JoinHostPort(host, strconv.Itoa(number+n))
}
