package network

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// flowFilter selects entries of the connection tracking table.
type flowFilter func(*netlink.ConntrackFlow) bool

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (f flowFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool { return f(flow) }

// cut deletes the matching entries: the next packet of such a connection is judged by the rules of now. It reads the whole
// table, so callers that have nothing to cut must not call it.
func cut(what string, match flowFilter) error {
	_, err := dump(func() (uint, error) {
		return netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, match)
	})
	if err != nil {
		return fmt.Errorf("cut connections of %s: %w", what, err)
	}
	return nil
}

func cutPublished(gone map[uint16]netip.AddrPort) error {
	if len(gone) == 0 {
		return nil
	}
	return cut("unpublished node ports", func(f *netlink.ConntrackFlow) bool {
		to, ok := gone[f.Forward.DstPort]
		return ok && replySource(f) == to
	})
}

func cutRedirects(gateway netip.Addr, gone map[gatewayPort]netip.AddrPort) error {
	if len(gone) == 0 {
		return nil
	}
	return cut("gateway ports", func(f *netlink.ConntrackFlow) bool {
		to, ok := gone[gatewayPort{f.Forward.Protocol, f.Forward.DstPort}]
		return ok && addrOf(f.Forward.DstIP) == gateway && replySource(f) == to
	})
}

func cutIngresses(gone map[netip.Addr]struct{}, subnet netip.Prefix) error {
	if len(gone) == 0 {
		return nil
	}
	return cut("withdrawn ingresses", func(f *netlink.ConntrackFlow) bool {
		_, ok := gone[addrOf(f.Forward.SrcIP)]
		return ok && subnet.Contains(addrOf(f.Reverse.SrcIP))
	})
}

// cutReplica forgets every connection from and to an address, before somebody else gets it.
func cutReplica(ip netip.Addr) error {
	return cut(ip.String(), func(f *netlink.ConntrackFlow) bool {
		return addrOf(f.Forward.SrcIP) == ip || addrOf(f.Reverse.SrcIP) == ip
	})
}

func replySource(f *netlink.ConntrackFlow) netip.AddrPort {
	return netip.AddrPortFrom(addrOf(f.Reverse.SrcIP), f.Reverse.SrcPort)
}

// addrOf returns the zero Addr, which equals nothing of ours, for what is no address.
func addrOf(ip net.IP) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.Unmap()
}
