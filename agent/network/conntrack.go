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

func cutPublished(gone owed[uint16, netip.AddrPort]) error {
	return cut("unpublished node ports", func(f *netlink.ConntrackFlow) bool {
		return gone.has(f.Forward.DstPort, replySource(f))
	})
}

func cutRedirects(gateway netip.Addr, gone owed[gatewayPort, netip.AddrPort]) error {
	return cut("gateway ports", func(f *netlink.ConntrackFlow) bool {
		port := gatewayPort{f.Forward.Protocol, f.Forward.DstPort}
		return addrOf(f.Forward.DstIP) == gateway && gone.has(port, replySource(f))
	})
}

func cutIngresses(gone owed[netip.Addr, struct{}], subnet netip.Prefix) error {
	return cut("withdrawn ingresses", func(f *netlink.ConntrackFlow) bool {
		return gone.has(addrOf(f.Forward.SrcIP), struct{}{}) && subnet.Contains(addrOf(f.Reverse.SrcIP))
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
