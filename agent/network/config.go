package network

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	// maxInterfaceName is IFNAMSIZ of Linux without the closing zero byte.
	maxInterfaceName = 15
	bridgePrefix     = "rw-"

	// DefaultMTU is that of plain Ethernet; lower it where the nodes are joined by a tunnel.
	DefaultMTU = 1500
	// FirstNodePort begins the default range of node ports.
	FirstNodePort uint16 = 20000
	// LastNodePort ends it, below the ephemeral range of Linux (32768), so that no outgoing connection of the node ever
	// holds a node port.
	LastNodePort uint16 = 29999
)

// metadataNetwork is link-local: machine metadata of every cloud lives there (169.254.169.254).
var metadataNetwork = netip.MustParsePrefix("169.254.0.0/16")

var (
	nodeNames    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	bridgeNames  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,14}$`)
	replicaNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)
)

// Config says what one node's network looks like. Zero values of the fields that name a default take it.
type Config struct {
	// Node is the name of the node, a DNS label. It is part of the bridge's, table's and CNI network's name.
	Node string
	// Bridge is an interface name of at most 15 characters. Default: BridgeName(Node).
	Bridge string
	// Subnet is the IPv4 network of this node's replicas, between /16 and /29. Its first address is the gateway.
	Subnet netip.Prefix
	// ReplicaNetwork holds the subnets of all nodes: no replica may reach into it. Default: Subnet.
	ReplicaNetwork netip.Prefix
	// DenyEgress are further IPv4 networks that replicas must not connect to. It should name the network that joins the nodes:
	// what leaves a node carries the node's address, which may also be that of an ingress.
	DenyEgress []netip.Prefix
	// NodeAddress is the IPv4 address of this machine on which node ports are reachable, not a loopback one. Default: the
	// gateway, which only the machine itself reaches.
	NodeAddress netip.Addr
	// FirstPort and LastPort are the range of node ports, both included. Default: FirstNodePort and LastNodePort.
	FirstPort, LastPort uint16
	// Identity is where the agent tells which replicas node ports lead to; only ingresses and the machine itself reach it. Not
	// valid: nowhere.
	Identity netip.AddrPort
	// MTU of the bridge and of the replicas' interfaces, in bytes. Default: DefaultMTU.
	MTU int
	// PluginDirs are searched for the CNI plugins bridge and host-local. Default: /usr/lib/cni, /opt/cni/bin.
	PluginDirs []string
	// StateDir keeps what must outlive a reboot: address reservations. Nobody else may use this folder.
	StateDir string
	// RunDir keeps what ends with a reboot: namespaces. It belongs on a tmpfs, and nobody else may use this folder. Mounts made
	// in it must reach the container runtime, so the process must not run in a private mount namespace.
	RunDir string
}

// BridgeName returns the bridge of a node: rw-<node>, or rw-<hash> when that would be too long for an interface.
func BridgeName(node string) string {
	if len(bridgePrefix)+len(node) <= maxInterfaceName {
		return bridgePrefix + node
	}
	sum := sha256.Sum256([]byte(node))
	return bridgePrefix + hex.EncodeToString(sum[:])[:maxInterfaceName-len(bridgePrefix)]
}

// Gateway is the address of the bridge: the replicas' default route and name server.
func (c Config) Gateway() netip.Addr { return c.Subnet.Addr().Next() }

// Validate checks every field after defaults were filled in. Error: ErrInvalid, naming the first field that is wrong.
func (c Config) Validate() error {
	rules := []struct {
		field string
		ok    bool
		want  string
	}{
		{"Node", nodeNames.MatchString(c.Node), "a DNS label in lower case"},
		{"Bridge", bridgeNames.MatchString(c.Bridge), "an interface name of at most 15 characters a-z, 0-9 and -"},
		{"Subnet", validSubnet(c.Subnet), "an IPv4 network between /16 and /29, without host bits"},
		{"ReplicaNetwork", isNetwork(c.ReplicaNetwork) && c.ReplicaNetwork.Bits() <= c.Subnet.Bits() && c.ReplicaNetwork.Contains(c.Subnet.Addr()), "an IPv4 network that contains Subnet"},
		{"NodeAddress", c.NodeAddress.Is4() && !c.NodeAddress.IsLoopback() && !c.NodeAddress.IsUnspecified(), "an IPv4 address of the machine, not a loopback one"},
		{"Identity", !c.Identity.IsValid() || c.validIdentity(), "an IPv4 address of the machine and a port that is no node port"},
		{"FirstPort", c.FirstPort > 0 && c.FirstPort <= c.LastPort, "at least 1 and not above LastPort"},
		{"MTU", c.MTU >= 576 && c.MTU <= 65535, "between 576 and 65535"},
		{"PluginDirs", len(c.PluginDirs) > 0, "at least one folder"},
		{"StateDir", filepath.IsAbs(c.StateDir), "an absolute path"},
		{"RunDir", filepath.IsAbs(c.RunDir) && c.RunDir != c.StateDir, "an absolute path other than StateDir"},
	}
	for _, r := range rules {
		if !r.ok {
			return fmt.Errorf("network config %s: %w: want %s", r.field, ErrInvalid, r.want)
		}
	}
	for _, p := range c.DenyEgress {
		if !isNetwork(p) {
			return fmt.Errorf("network config DenyEgress %q: %w: want an IPv4 network without host bits", p, ErrInvalid)
		}
	}
	return nil
}

func (c Config) validIdentity() bool {
	at := c.Identity.Addr()
	isNodePort := at == c.NodeAddress && c.Identity.Port() >= c.FirstPort && c.Identity.Port() <= c.LastPort
	return at.Is4() && !at.IsUnspecified() && !at.IsLoopback() && c.Identity.Port() != 0 && !isNodePort
}

// identity is nil when there is none, which a template can ask for.
func (c Config) identity() *netip.AddrPort {
	if !c.Identity.IsValid() {
		return nil
	}
	return &c.Identity
}

func isNetwork(p netip.Prefix) bool { return p.IsValid() && p.Addr().Is4() && p == p.Masked() }

func validSubnet(p netip.Prefix) bool { return isNetwork(p) && p.Bits() >= 16 && p.Bits() <= 29 }

func (c Config) withDefaults() Config {
	if c.Bridge == "" {
		c.Bridge = BridgeName(c.Node)
	}
	if !c.ReplicaNetwork.IsValid() {
		c.ReplicaNetwork = c.Subnet
	}
	if !c.NodeAddress.IsValid() && c.Subnet.IsValid() {
		c.NodeAddress = c.Gateway()
	}
	if c.FirstPort == 0 && c.LastPort == 0 {
		c.FirstPort, c.LastPort = FirstNodePort, LastNodePort
	}
	if c.MTU == 0 {
		c.MTU = DefaultMTU
	}
	if len(c.PluginDirs) == 0 {
		c.PluginDirs = []string{"/usr/lib/cni", "/opt/cni/bin"}
	}
	return c
}

// table is the nftables table of the node. nft takes no dash in a name; a DNS label has no underscore, so names stay distinct.
func (c Config) table() string        { return "runway_" + strings.ReplaceAll(c.Node, "-", "_") }
func (c Config) cniNetwork() string   { return "runway-" + c.Node }
func (c Config) namespaceDir() string { return filepath.Join(c.RunDir, "netns") }

// addressDir is where the host-local plugin keeps one file for each reserved address, named by it and holding the replica.
func (c Config) addressDir() string { return filepath.Join(c.StateDir, "addresses", c.cniNetwork()) }

func (c Config) namespacePath(replicaID string) string {
	return filepath.Join(c.namespaceDir(), replicaID)
}
