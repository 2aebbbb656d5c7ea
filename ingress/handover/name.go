package handover

import (
	"net"
	"net/netip"
	"os"
	"strings"
)

// name is what a socket was opened as.
type name struct {
	Network string `json:"network"`
	Address string `json:"address"`
}

// inherited is an open socket of somebody else.
type inherited struct {
	// network and address are what it is bound to.
	network, address string
	// opened is how the predecessor named it; empty from systemd.
	opened name
	file   *os.File
}

// is tells whether the socket is the one that is wanted.
func (i inherited) is(network, address string) bool {
	if i.opened == (name{Network: network, Address: address}) {
		return true
	}
	return strings.HasPrefix(i.network, network) && sameAddress(i.address, address)
}

// sameAddress compares what a socket is bound to with an address to listen on.
func sameAddress(bound, wanted string) bool {
	have, err := netip.ParseAddrPort(bound)
	if err != nil {
		return false
	}
	host, port, err := net.SplitHostPort(wanted)
	if err != nil {
		return false
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil || number == 0 || number != int(have.Port()) {
		return false
	}
	if host == "" {
		return have.Addr().IsUnspecified()
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap() == have.Addr().Unmap()
}

// inherit makes out what a file descriptor is; nil when it is no socket of ours.
func inherit(file *os.File, opened name) *inherited {
	if l, err := net.FileListener(file); err == nil {
		defer l.Close()
		return &inherited{network: l.Addr().Network(), address: l.Addr().String(), opened: opened, file: file}
	}
	if p, err := net.FilePacketConn(file); err == nil {
		defer p.Close()
		return &inherited{network: p.LocalAddr().Network(), address: p.LocalAddr().String(), opened: opened, file: file}
	}
	return nil
}
