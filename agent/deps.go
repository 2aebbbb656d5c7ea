package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"google.golang.org/grpc"

	"github.com/runway-platform/runway/agent/logs"
	"github.com/runway-platform/runway/agent/network"
	"github.com/runway-platform/runway/agent/probe"
	"github.com/runway-platform/runway/agent/runtime"
)

// Places gives replicas a network namespace and an address.
type Places interface {
	Attach(ctx context.Context, replicaID string) (network.Attachment, error)
	Detach(ctx context.Context, replicaID string) error
	List(ctx context.Context) ([]network.Attachment, error)
}

// Ports leads node ports to replicas.
type Ports interface {
	Publish(ctx context.Context, ports map[uint16]netip.AddrPort) error
	Published(ctx context.Context) (map[uint16]netip.AddrPort, error)
	Taken(ctx context.Context, port uint16) (bool, error)
}

// Gateway is what guards the node's network and leads out of it.
type Gateway interface {
	AllowIngress(ctx context.Context, addrs []netip.Addr) error
	Redirect(ctx context.Context, to network.Internal) error
	Check(ctx context.Context) ([]network.Drift, error)
}

// Network is a node's network.
type Network interface {
	Places
	Ports
	Gateway
}

var _ Network = (*network.Network)(nil)

// Deps are the parts that the agent is made of. All but Repairs, Listening and Dial must be set.
type Deps struct {
	Runtime runtime.Runtime
	Network Network
	Logs    *logs.Collector
	Prober  *probe.Prober
	// Coordinator is a connection to whichever coordinator leads, with the node's identity.
	Coordinator grpc.ClientConnInterface
	Metrics     *Metrics
	Log         *slog.Logger
	// Repairs is what the runtime ended by force; nil when it does not tell.
	Repairs <-chan runtime.Repair
	// Listening returns what a process listens on; nil reads the kernel.
	Listening func(pid int) ([]netip.AddrPort, error)
	// Dial finds out whether an ingress is there; nil means TCP.
	Dial probe.Dialer
}

func (d Deps) validate() error {
	if d.Runtime == nil || d.Network == nil || d.Logs == nil || d.Prober == nil || d.Coordinator == nil || d.Metrics == nil || d.Log == nil {
		return errors.New("check agent parts: one is missing")
	}
	return nil
}

func (d Deps) withDefaults() Deps {
	d.Log = d.Log.With("component", "agent")
	if d.Listening == nil {
		d.Listening = func(pid int) ([]netip.AddrPort, error) { return probe.Listening("/proc", pid) }
	}
	if d.Dial == nil {
		d.Dial = new(net.Dialer).DialContext
	}
	return d
}
