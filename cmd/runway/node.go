package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/runway-platform/runway/agent"
	"github.com/runway-platform/runway/agent/logs"
	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
	"github.com/runway-platform/runway/agent/runtime/containerd"
	"github.com/runway-platform/runway/coordinator/client"
)

// runDir keeps what ends with a reboot; it is on a tmpfs.
const runDir = "/run/runway"

// identityPort is beside the coordinators' 7443, and no node port.
const identityPort = 7444

// nodeSettings are the flags of an agent.
type nodeSettings struct {
	member     member
	agent      agent.Config
	containerd containerd.Config
	instance   string
	replicas   string
	denyEgress []string
	metrics    string
}

func (s *nodeSettings) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	hostname, _ := os.Hostname() // an empty name is refused with the reason
	s.member.bind(cmd, "/var/lib/runway/agent")
	flags.StringVar(&s.agent.Name, "name", hostname, "name of the node, unique in the cluster")
	flags.StringVar(&s.agent.Address, "node-address", "", "address at which ingresses reach node ports")
	flags.StringVar(&s.agent.Identity, "identity", "", "where ingresses ask which replica a node port leads to, IP:PORT (default: the node address, port 7444)")
	flags.StringVar(&s.agent.Region, "region", "local", "region of the node")
	flags.StringVar(&s.agent.Pool, "pool", "", "pool of the node (default: that of its join token, and no other is accepted); no manifest asks for it yet")
	flags.StringToStringVar(&s.agent.Labels, "labels", nil, "labels of the node, `key=value`; 'nodes list -o json' shows them, no manifest asks for them yet")
	flags.StringVar(&s.agent.Subnet, "subnet", "10.64.1.0/24", "network of the replicas on this node")
	flags.StringVar(&s.replicas, "replica-network", "10.64.0.0/16", "network that holds the subnets of all nodes")
	flags.StringSliceVar(&s.denyEgress, "deny-egress", nil, "networks that replicas must not connect to")
	flags.Uint16Var(&s.agent.PortFirst, "port-first", network.FirstNodePort, "first node port")
	flags.Uint16Var(&s.agent.PortLast, "port-last", network.LastNodePort, "last node port")
	flags.Int64Var(&s.agent.Allocatable.MilliCPU, "allocatable-cpu", 0, "thousandths of a core to give away (default: computed)")
	flags.Int64Var(&s.agent.Allocatable.MemoryBytes, "allocatable-memory", 0, "bytes of memory to give away (default: computed)")
	flags.Int64Var(&s.agent.Allocatable.DiskBytes, "allocatable-disk", 0, "bytes of disk to give away (default: computed)")
	flags.StringVar(&s.instance, "instance", "node", "tells several agents on one machine apart, in names that the kernel keeps short")
	flags.StringVar(&s.containerd.Address, "containerd", "/run/containerd/containerd.sock", "socket of containerd")
	flags.StringVar(&s.containerd.Namespace, "containerd-namespace", "runway", "namespace of containerd")
	flags.StringVar(&s.containerd.RootDir, "containerd-root", "", "root directory of containerd (default: /var/lib/containerd)")
	flags.StringVar(&s.containerd.StateDir, "containerd-state", "", "state directory of containerd (default: /run/containerd)")
	flags.StringVar(&s.containerd.NerdctlDataRoot, "nerdctl-root", "", "directory where nerdctl looks for logs (default: /var/lib/nerdctl)")
	flags.StringSliceVar(&s.agent.PlainHTTPRegistries, "plain-http-registries", nil, "registries that are asked without TLS, besides those on loopback")
	flags.StringVar(&s.containerd.CgroupParent, "cgroup-parent", "/runway/node", "cgroup of this node's replicas")
	flags.StringVar(&s.metrics, "metrics", "127.0.0.1:9465", "address of /metrics")
	fromFileAndEnvironment(cmd)
}

func (s *nodeSettings) newNetwork(log *slog.Logger) (*network.Network, error) {
	config := network.Config{
		Node:      s.instance,
		FirstPort: s.agent.PortFirst,
		LastPort:  s.agent.PortLast,
		StateDir:  filepath.Join(s.member.dataDir, "network"),
		RunDir:    filepath.Join(runDir, s.instance),
	}
	var err error
	if config.Subnet, err = netip.ParsePrefix(s.agent.Subnet); err != nil {
		return nil, fmt.Errorf("subnet: %w", err)
	}
	if config.ReplicaNetwork, err = netip.ParsePrefix(s.replicas); err != nil {
		return nil, fmt.Errorf("replica-network: %w", err)
	}
	if config.NodeAddress, err = netip.ParseAddr(s.agent.Address); err != nil {
		return nil, fmt.Errorf("node-address: %w", err)
	}
	if config.Identity, err = s.identity(config.NodeAddress); err != nil {
		return nil, err
	}
	for _, text := range s.denyEgress {
		denied, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("deny-egress: %w", err)
		}
		config.DenyEgress = append(config.DenyEgress, denied)
	}
	s.agent.Gateway = config.Gateway().String()
	return network.New(config, log)
}

// identity completes where the agent answers ingresses.
func (s *nodeSettings) identity(address netip.Addr) (netip.AddrPort, error) {
	if s.agent.Identity == "" {
		s.agent.Identity = netip.AddrPortFrom(address, identityPort).String()
	}
	identity, err := netip.ParseAddrPort(s.agent.Identity)
	if err != nil {
		return identity, fmt.Errorf("identity: %w", err)
	}
	return identity, nil
}

// nodeParts are what an agent is made of.
type nodeParts struct {
	runtime *containerd.Runtime
	network *network.Network
	logs    *logs.Collector
	metrics *agent.Metrics
}

// open makes the parts and starts the network, so that the node is closed before
// anything runs on it.
func (s *nodeSettings) open(ctx context.Context, log *slog.Logger, registerer prometheus.Registerer) (*nodeParts, error) {
	s.containerd.Logger = log
	s.agent.DataDir = s.member.dataDir
	parts := &nodeParts{}
	var err error
	if parts.network, err = s.newNetwork(log); err != nil {
		return nil, err
	}
	if err := parts.network.Start(ctx); err != nil {
		return nil, err
	}
	if parts.runtime, err = containerd.New(s.containerd); err != nil {
		return nil, err
	}
	if parts.logs, err = logs.New(logs.Config{
		Folder: filepath.Join(s.member.dataDir, "logs"),
		PathOf: func(container string) (string, error) { return parts.runtime.LogPath(runtime.ContainerID(container)) },
		Log:    log,
	}); err != nil {
		return nil, err
	}
	parts.metrics = agent.NewMetrics(registerer, parts.logs)
	return parts, agent.RegisterDenied(registerer, parts.network)
}

func (p *nodeParts) deps(conn *client.Conn, log *slog.Logger) agent.Deps {
	return agent.Deps{
		Runtime:     p.runtime,
		Network:     p.network,
		Logs:        p.logs,
		Prober:      probe.New(new(net.Dialer).DialContext),
		Coordinator: conn,
		Metrics:     p.metrics,
		Log:         log,
		Repairs:     p.runtime.Repairs(),
	}
}
