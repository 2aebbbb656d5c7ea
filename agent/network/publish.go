package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Internal names the listeners of the ingress nearest to this node, to which the ports of the gateway lead: DNS to 53 (TCP and
// UDP), HTTP to 80, HTTPS to 443. A zero value closes that port. Loopback addresses of the machine are allowed.
type Internal struct {
	DNS, HTTP, HTTPS netip.AddrPort
}

// dynamic is the part of the node's table that changes: its two maps and its set.
type dynamic struct {
	published map[uint16]netip.AddrPort
	internal  map[gatewayPort]netip.AddrPort
	ingress   map[netip.Addr]struct{}
}

// gatewayPort is a port of the gateway that is redirected.
type gatewayPort struct {
	proto uint8
	port  uint16
}

var internalPorts = []gatewayPort{
	{unix.IPPROTO_UDP, 53}, {unix.IPPROTO_TCP, 53}, {unix.IPPROTO_TCP, 80}, {unix.IPPROTO_TCP, 443},
}

func (p gatewayPort) protoName() string {
	if p.proto == unix.IPPROTO_UDP {
		return "udp"
	}
	return "tcp"
}

func (d dynamic) equal(o dynamic) bool {
	return maps.Equal(d.published, o.published) && maps.Equal(d.internal, o.internal) && maps.Equal(d.ingress, o.ingress)
}

// minus returns the entries of d that o has not, or not with the same value.
func (d dynamic) minus(o dynamic) dynamic {
	return dynamic{removed(d.published, o.published), removed(d.internal, o.internal), removed(d.ingress, o.ingress)}
}

// Publish makes ports the complete set of published node ports, in one transaction, and cuts the connections of every entry
// that was removed or now leads elsewhere: their next packet meets the new rules. Errors: ErrInvalid when a port is out of the
// node's range or an endpoint out of its subnet. After any other error call it again.
func (n *Network) Publish(_ context.Context, ports map[uint16]netip.AddrPort) error {
	for port, to := range ports {
		if port < n.cfg.FirstPort || port > n.cfg.LastPort {
			return fmt.Errorf("publish node port %d: %w: outside %d-%d", port, ErrInvalid, n.cfg.FirstPort, n.cfg.LastPort)
		}
		if !n.cfg.Subnet.Contains(to.Addr()) || to.Addr() == n.cfg.Gateway() || to.Port() == 0 {
			return fmt.Errorf("publish node port %d to %s: %w: no replica address of %s", port, to, ErrInvalid, n.cfg.Subnet)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.want.published
	next := n.want
	next.published = maps.Clone(ports)
	if err := n.write(next); err != nil {
		return fmt.Errorf("publish %d node ports: %w", len(ports), err)
	}
	return n.debts.published.settle(old, ports, cutPublished)
}

// Published returns the node ports as the kernel has them now.
func (n *Network) Published(context.Context) (map[uint16]netip.AddrPort, error) {
	found, err := readDynamic(n.cfg.table())
	return found.published, err
}

// AllowIngress makes addrs the complete set of IPv4 addresses that may reach node ports from outside the machine. The machine
// itself always may: its probes and a local ingress are not distinguishable from root. Connections of an address that is no
// longer allowed are cut.
func (n *Network) AllowIngress(_ context.Context, addrs []netip.Addr) error {
	next := make(map[netip.Addr]struct{}, len(addrs))
	for _, addr := range addrs {
		addr = addr.Unmap()
		if !addr.Is4() {
			return fmt.Errorf("allow ingress %q: %w: want an IPv4 address", addr, ErrInvalid)
		}
		next[addr] = struct{}{}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old, want := n.want.ingress, n.want
	want.ingress = next
	if err := n.write(want); err != nil {
		return fmt.Errorf("allow %d ingresses: %w", len(addrs), err)
	}
	return n.debts.ingress.settle(old, next, func(gone owed[netip.Addr, struct{}]) error { return cutIngresses(gone, n.cfg.Subnet) })
}

// Redirect leads the gateway's ports to the listeners in to and cuts the connections that led to others, DNS included: the
// next query goes to the new ingress. Error: ErrInvalid for a target that is not IPv4.
func (n *Network) Redirect(_ context.Context, to Internal) error {
	next := make(map[gatewayPort]netip.AddrPort)
	targets := []netip.AddrPort{to.DNS, to.DNS, to.HTTP, to.HTTPS} // in the order of internalPorts
	for i, target := range targets {
		if target == (netip.AddrPort{}) {
			continue
		}
		if !target.Addr().Is4() || target.Addr().IsUnspecified() || target.Port() == 0 {
			return fmt.Errorf("redirect gateway port %d to %s: %w: want an IPv4 address and port", internalPorts[i].port, target, ErrInvalid)
		}
		next[internalPorts[i]] = target
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	old, want := n.want.internal, n.want
	want.internal = next
	if err := n.write(want); err != nil {
		return fmt.Errorf("redirect internal listeners: %w", err)
	}
	if _, err := n.repairSysctls(); err != nil { // a loopback target needs route_localnet
		return err
	}
	return n.debts.internal.settle(old, next, func(gone owed[gatewayPort, netip.AddrPort]) error { return cutRedirects(n.cfg.Gateway(), gone) })
}

// Taken reports whether a process of the machine listens on a node port, so that publishing it would hide that process.
func (n *Network) Taken(ctx context.Context, port uint16) (bool, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp4", netip.AddrPortFrom(n.cfg.NodeAddress, port).String())
	if errors.Is(err, syscall.EADDRINUSE) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("try node port %d: %w", port, err)
	}
	return false, l.Close()
}

// removed returns the entries of old that are not, or not the same, in next.
func removed[K, V comparable](old, next map[K]V) map[K]V {
	gone := make(map[K]V)
	for k, v := range old {
		if now, ok := next[k]; !ok || now != v {
			gone[k] = v
		}
	}
	return gone
}
