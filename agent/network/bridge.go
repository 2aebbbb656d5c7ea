package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// barrierPriority puts our policy rules between the local table (0), which holds the gateway, and main (32766).
const barrierPriority = 1000

// repairBridge makes the bridge, its address and its route, and the settings of the kernel that go with it.
func (n *Network) repairBridge(context.Context) ([]Drift, error) {
	bridge, drifts, err := n.repairLink()
	if err != nil {
		return drifts, err
	}
	for _, repair := range []func(netlink.Link) ([]Drift, error){n.repairAddress, n.repairRoute} {
		found, err := repair(bridge)
		drifts = append(drifts, found...)
		if err != nil {
			return drifts, err
		}
	}
	found, err := n.repairSysctls()
	return append(drifts, found...), err
}

func (n *Network) repairLink() (netlink.Link, []Drift, error) {
	link, err := netlink.LinkByName(n.cfg.Bridge)
	if _, ok := errors.AsType[netlink.LinkNotFoundError](err); ok {
		return n.makeBridge()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("find bridge %q: %w", n.cfg.Bridge, err)
	}
	if _, ok := link.(*netlink.Bridge); !ok {
		return nil, nil, fmt.Errorf("use interface %q: %w: it is of type %s, not a bridge", n.cfg.Bridge, ErrInvalid, link.Type())
	}
	var drifts []Drift
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			return nil, nil, fmt.Errorf("set bridge %q up: %w", n.cfg.Bridge, err)
		}
		drifts = append(drifts, Drift{"bridge", "bridge was down"})
	}
	if link.Attrs().MTU != n.cfg.MTU {
		if err := netlink.LinkSetMTU(link, n.cfg.MTU); err != nil {
			return nil, nil, fmt.Errorf("set MTU of bridge %q: %w", n.cfg.Bridge, err)
		}
		drifts = append(drifts, Drift{"bridge", fmt.Sprintf("bridge had MTU %d", link.Attrs().MTU)})
	}
	return link, drifts, nil
}

// makeBridge gives the bridge a hardware address of its own. Without one it takes that of its first port, changes it when that
// port goes, and every replica talks to nobody until its neighbour entry expires.
func (n *Network) makeBridge() (netlink.Link, []Drift, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = n.cfg.Bridge, n.cfg.MTU
	attrs.HardwareAddr = append(net.HardwareAddr{0x0a, 0x58}, n.cfg.Gateway().AsSlice()...)
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, nil, fmt.Errorf("make bridge %q: %w", n.cfg.Bridge, err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return nil, nil, fmt.Errorf("set bridge %q up: %w", n.cfg.Bridge, err)
	}
	return bridge, []Drift{{"bridge", "bridge was missing"}}, nil
}

func (n *Network) repairAddress(bridge netlink.Link) ([]Drift, error) {
	want := ipNet(netip.PrefixFrom(n.cfg.Gateway(), n.cfg.Subnet.Bits()))
	addrs, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(bridge, netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list addresses of bridge %q: %w", n.cfg.Bridge, err)
	}
	for _, a := range addrs {
		if a.IPNet.String() == want.String() {
			return nil, nil
		}
	}
	if err := netlink.AddrReplace(bridge, &netlink.Addr{IPNet: want}); err != nil {
		return nil, fmt.Errorf("add address %s to bridge %q: %w", want, n.cfg.Bridge, err)
	}
	return []Drift{{"address", "gateway address was missing"}}, nil
}

func (n *Network) repairRoute(bridge netlink.Link) ([]Drift, error) {
	route := &netlink.Route{
		LinkIndex: bridge.Attrs().Index, Dst: ipNet(n.cfg.Subnet), Src: n.cfg.Gateway().AsSlice(),
		Scope: netlink.SCOPE_LINK, Protocol: unix.RTPROT_KERNEL, Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST,
	}
	found, err := dump(func() ([]netlink.Route, error) {
		return netlink.RouteListFiltered(netlink.FAMILY_V4, route, netlink.RT_FILTER_OIF|netlink.RT_FILTER_DST|netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, fmt.Errorf("list routes to %s: %w", n.cfg.Subnet, err)
	}
	if len(found) > 0 {
		return nil, nil
	}
	if err := netlink.RouteReplace(route); err != nil {
		return nil, fmt.Errorf("add route to %s: %w", n.cfg.Subnet, err)
	}
	return []Drift{{"route", "route to the replicas was missing"}}, nil
}

// repairBarriers keeps policy rules that end what replicas send to other replicas and to machine metadata in the routing
// decision. They say again what the packet rules say: somebody who flushes all nftables rules opens neither for the
// seconds until the next check.
func (n *Network) repairBarriers(context.Context) ([]Drift, error) {
	rules, err := dump(func() ([]netlink.Rule, error) { return netlink.RuleList(netlink.FAMILY_V4) })
	if err != nil {
		return nil, fmt.Errorf("list routing rules: %w", err)
	}
	var drifts []Drift
	for _, want := range n.barriers() {
		if hasBarrier(rules, want) {
			continue
		}
		if err := netlink.RuleAdd(want); err != nil && !errors.Is(err, unix.EEXIST) {
			return drifts, fmt.Errorf("add routing rule for %s: %w", want.Dst, err)
		}
		drifts = append(drifts, Drift{"barrier", fmt.Sprintf("routing rule against %s was missing", want.Dst)})
	}
	return drifts, nil
}

func (n *Network) removeBarriers() error {
	rules, err := dump(func() ([]netlink.Rule, error) { return netlink.RuleList(netlink.FAMILY_V4) })
	if err != nil {
		return fmt.Errorf("list routing rules: %w", err)
	}
	for _, want := range n.barriers() {
		if !hasBarrier(rules, want) {
			continue
		}
		if err := netlink.RuleDel(want); err != nil {
			return fmt.Errorf("delete routing rule for %s: %w", want.Dst, err)
		}
	}
	return nil
}

func (n *Network) barriers() []*netlink.Rule {
	var rules []*netlink.Rule
	for _, dst := range []netip.Prefix{n.cfg.ReplicaNetwork, metadataNetwork} {
		rule := netlink.NewRule()
		rule.Priority, rule.IifName, rule.Dst, rule.Type = barrierPriority, n.cfg.Bridge, ipNet(dst), unix.RTN_PROHIBIT
		rules = append(rules, rule)
	}
	return rules
}

// hasBarrier cannot compare the action, which the netlink library does not read; nobody else has our interface and priority.
func hasBarrier(rules []netlink.Rule, want *netlink.Rule) bool {
	for _, r := range rules {
		if r.IifName == want.IifName && r.Priority == want.Priority && r.Dst != nil && r.Dst.String() == want.Dst.String() {
			return true
		}
	}
	return false
}

// repairSysctls sets what forwarding needs and what spoofing and IPv6 must not have.
func (n *Network) repairSysctls() ([]Drift, error) {
	localnet := "0"
	for _, to := range n.want.internal {
		if to.Addr().IsLoopback() {
			localnet = "1" // the rules drop what replicas themselves address to 127.0.0.0/8
		}
	}
	conf := filepath.Join("/proc/sys/net/ipv4/conf", n.cfg.Bridge)
	settings := []struct{ path, value string }{
		{"/proc/sys/net/ipv4/ip_forward", "1"},
		{filepath.Join(conf, "forwarding"), "1"},
		{filepath.Join(conf, "rp_filter"), "1"},
		{filepath.Join(conf, "send_redirects"), "0"},
		{filepath.Join(conf, "route_localnet"), localnet},
		{filepath.Join("/proc/sys/net/ipv6/conf", n.cfg.Bridge, "disable_ipv6"), "1"},
	}
	var drifts []Drift
	for _, s := range settings {
		now, err := os.ReadFile(s.path)
		if errors.Is(err, os.ErrNotExist) && strings.HasPrefix(s.path, "/proc/sys/net/ipv6/") {
			continue // a kernel without IPv6
		}
		if err != nil {
			return drifts, fmt.Errorf("read kernel setting: %w", err)
		}
		if strings.TrimSpace(string(now)) == s.value {
			continue
		}
		if err := os.WriteFile(s.path, []byte(s.value), 0o644); err != nil {
			return drifts, fmt.Errorf("write kernel setting: %w", err)
		}
		drifts = append(drifts, Drift{"sysctl", fmt.Sprintf("%s was %s", s.path, strings.TrimSpace(string(now)))})
	}
	return drifts, nil
}

func (n *Network) removeBridge() error {
	link, err := netlink.LinkByName(n.cfg.Bridge)
	if _, ok := errors.AsType[netlink.LinkNotFoundError](err); ok {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("remove bridge %q: %w", n.cfg.Bridge, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
