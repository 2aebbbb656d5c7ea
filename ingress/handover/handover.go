// Package handover passes the open sockets of an ingress to the process that takes
// its place, so that no connection is refused and none that waits is dropped. It
// knows sockets and the way between two processes, and nothing of what is served.
//
// A process finds its sockets in this order: with its predecessor, which listens on
// a Unix socket in the data folder; with systemd (LISTEN_FDS); in the kernel.
package handover

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"
)

// socketName is the Unix socket of the process that serves, in its data folder.
const socketName = "handover.sock"

// Sockets are the sockets of this process, inherited or its own. Not safe for
// concurrent use but for Offer.
type Sockets struct {
	dir       *os.File
	log       *slog.Logger
	inherited []inherited
	held      []holding
	claimed   net.Conn
}

// holding is a socket that this process serves on.
type holding struct {
	name
	socket syscall.Conn
}

// Open asks a predecessor that serves from the same data folder for its sockets, and
// takes those that systemd passed. The predecessor goes on serving until TakeOver.
func Open(dataDir string, log *slog.Logger) (*Sockets, error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder %q: %w", dataDir, err)
	}
	dir, err := os.Open(dataDir)
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	s := &Sockets{dir: dir, log: log.With("component", "handover")}
	passed, err := fromSystemd()
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	if err := s.claim(); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	s.inherited = append(s.inherited, passed...)
	return s, nil
}

// Listen returns the inherited listener of an address, else it opens one.
func (s *Sockets) Listen(network, address string) (net.Listener, error) {
	l, err := s.listen(network, address)
	if err != nil {
		return nil, err
	}
	if socket, ok := l.(syscall.Conn); ok {
		s.held = append(s.held, holding{name{Network: network, Address: address}, socket})
	}
	return l, nil
}

func (s *Sockets) listen(network, address string) (net.Listener, error) {
	file := s.take(network, address)
	if file == nil {
		return net.Listen(network, address)
	}
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("use inherited socket %q: %w", address, err)
	}
	s.log.Info("socket inherited", "network", network, "address", address)
	return l, nil
}

// ListenPacket is Listen for datagrams.
func (s *Sockets) ListenPacket(network, address string) (net.PacketConn, error) {
	p, err := s.listenPacket(network, address)
	if err != nil {
		return nil, err
	}
	if socket, ok := p.(syscall.Conn); ok {
		s.held = append(s.held, holding{name{Network: network, Address: address}, socket})
	}
	return p, nil
}

func (s *Sockets) listenPacket(network, address string) (net.PacketConn, error) {
	file := s.take(network, address)
	if file == nil {
		return net.ListenPacket(network, address)
	}
	defer file.Close()
	p, err := net.FilePacketConn(file)
	if err != nil {
		return nil, fmt.Errorf("use inherited socket %q: %w", address, err)
	}
	s.log.Info("socket inherited", "network", network, "address", address)
	return p, nil
}

// take returns the inherited socket of an address, once.
func (s *Sockets) take(network, address string) *os.File {
	for n, one := range s.inherited {
		if one.is(network, address) {
			s.inherited = append(s.inherited[:n:n], s.inherited[n+1:]...)
			return one.file
		}
	}
	return nil
}

// Settle closes the inherited sockets that nobody wanted: the configuration no longer
// has their addresses.
func (s *Sockets) Settle() {
	for _, one := range s.inherited {
		s.log.Warn("inherited socket is not configured and closed", "network", one.network, "address", one.address)
		_ = one.file.Close() // nothing was written to it
	}
	s.inherited = nil
}

func (s *Sockets) path(name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", s.dir.Fd(), name) // whose length has no limit
}
