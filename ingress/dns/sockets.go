package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

const (
	// maxConnections bounds the TCP connections of one address. CoreDNS ends idle
	// ones after 10 s; while all are taken, new ones wait in the kernel.
	maxConnections = 1024
	// portTries is how often a free port is looked for that neither TCP nor UDP uses.
	portTries = 20
)

// pair is one address, open over TCP and UDP.
type pair struct {
	tcp net.Listener
	udp net.PacketConn
}

// openPair opens both sockets at one port. Port 0 takes a free one.
func openPair(cfg Config, address string) (pair, error) {
	var err error
	for range portTries {
		var p pair
		if p, err = tryPair(cfg, address); err == nil {
			return p, nil
		}
		if want := netip.MustParseAddrPort(address); want.Port() != 0 {
			break
		}
	}
	return pair{}, fmt.Errorf("listen on %q: %w", address, err)
}

func tryPair(cfg Config, address string) (p pair, err error) {
	listen, listenPacket := cfg.Listen, cfg.ListenPacket
	if listen == nil {
		listen = net.Listen
	}
	if listenPacket == nil {
		listenPacket = net.ListenPacket
	}
	if p.udp, err = listenPacket("udp", address); err != nil {
		return pair{}, err
	}
	if p.tcp, err = listen("tcp", p.udp.LocalAddr().String()); err != nil {
		return pair{}, errors.Join(err, p.udp.Close())
	}
	return p, nil
}

// address returns what the pair is bound to, with the real port.
func (p pair) address() (netip.AddrPort, error) {
	bound, err := netip.ParseAddrPort(p.udp.LocalAddr().String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("read bound address: %w", err)
	}
	return bound, nil
}

// close closes what is still open.
func (p pair) close() error {
	var errs []error
	for _, err := range []error{p.tcp.Close(), p.udp.Close()} {
		if !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
