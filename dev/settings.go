package dev

import (
	"fmt"
	"net"
	"os"
	"strconv"

	yaml "go.yaml.in/yaml/v3"
)

// settings are the keys of a child's configuration file: the flags of its command.
type settings map[string]any

// write keeps the settings where the child reads them. They name files that hold
// secrets, never the secrets themselves.
func (s settings) write(path string) error {
	content, err := yaml.Marshal(map[string]any(s))
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return nil
}

func (c Config) coordinatorSettings() settings {
	return settings{
		"data-dir":         c.path("coordinator"),
		"listen":           c.API,
		"metrics":          c.Metrics,
		"domain":           c.Domain,
		"registry":         c.Registry,
		"bootstrap":        true,
		"admin-token-file": c.path("admin.token"),
		"ca-file":          c.path("ca.crt"),
	}
}

// nodeSettings gives node i (from 1) a network, a port slice and a cgroup of its own.
func (c Config) nodeSettings(i int, containerd string) settings {
	s := c.nodeBasics(i, containerd)
	if containerd == c.ownContainerd() {
		s["containerd-root"] = c.path("containerd", "root")
		s["containerd-state"] = c.path("containerd", "state")
	}
	return s
}

func (c Config) nodeBasics(i int, containerd string) settings {
	width := (portLast - portFirst + 1) / c.Nodes
	first := portFirst + (i-1)*width
	name := nodeName(i)
	return settings{
		"data-dir":             c.path(name),
		"name":                 name,
		"coordinator":          []string{c.API},
		"join-token-file":      c.path(name + ".join"),
		"metrics":              offset(c.Metrics, i),
		"node-address":         c.gateway(i),
		"identity":             c.identity(i),
		"subnet":               fmt.Sprintf("10.%d.%d.0/24", c.octet(), i),
		"replica-network":      fmt.Sprintf("10.%d.0.0/16", c.octet()),
		"instance":             c.instance() + "-" + strconv.Itoa(i),
		"port-first":           first,
		"port-last":            first + width - 1,
		"containerd":           containerd,
		"containerd-namespace": containerdNamespace(i),
		"cgroup-parent":        "/runway-" + c.instance() + "/" + name,
	}
}

func (c Config) ingressSettings(i int) settings {
	host, _, _ := net.SplitHostPort(c.HTTPS)
	name := ingressName(i)
	return settings{
		"data-dir":        c.path(name),
		"name":            name,
		"coordinator":     []string{c.API},
		"join-token-file": c.path(name + ".join"),
		"metrics":         offset(c.Metrics, c.Nodes+i),
		"http":            offset(c.HTTP, i-1),
		"https":           offset(c.HTTPS, i-1),
		"dns":             offset(c.DNS, i-1),
		"internal-dns":    internal(c.DNS, i),
		"internal-http":   internal(c.HTTP, i),
		"public-address":  []string{host},
		"source-address":  "127.0.0.1",
	}
}

// internal is where ingress i serves replicas what it serves the public at address.
func internal(address string, i int) string {
	_, port, _ := net.SplitHostPort(offset(address, internalOffset+i-1))
	return net.JoinHostPort("127.0.0.1", port)
}

func nodeName(i int) string    { return "node-" + strconv.Itoa(i) }
func ingressName(i int) string { return "ingress-" + strconv.Itoa(i) }

// gateway is the address of node i's bridge, which its node ports are reached at.
func (c Config) gateway(i int) string { return fmt.Sprintf("10.%d.%d.1", c.octet(), i) }

// identity is where node i tells which replicas its ports lead to. Each has a port of
// its own, beside the coordinator's, although the address alone would do.
func (c Config) identity(i int) string {
	_, port, _ := net.SplitHostPort(offset(c.API, i))
	return net.JoinHostPort(c.gateway(i), port)
}

// containerdNamespace of node i. The first is the one that people look into.
func containerdNamespace(i int) string {
	if i == 1 {
		return "runway"
	}
	return "runway-" + nodeName(i)
}
