package ingress

import (
	"errors"
	"fmt"
	"net"
)

// sockets are the open listeners. Whoever serves on one closes it.
type sockets struct {
	http, https, internalHTTP, metrics []net.Listener
}

func openSockets(cfg Config) (*sockets, error) {
	listen := cfg.Listen
	if listen == nil {
		listen = net.Listen
	}
	s := new(sockets)
	metrics := []string{cfg.Metrics}
	if cfg.Metrics == "" {
		metrics = nil
	}
	for _, one := range []struct {
		addresses []string
		to        *[]net.Listener
	}{{cfg.HTTP, &s.http}, {cfg.HTTPS, &s.https}, {cfg.InternalHTTP, &s.internalHTTP}, {metrics, &s.metrics}} {
		for _, address := range one.addresses {
			l, err := listen("tcp", address)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("listen on %q: %w", address, err), s.close())
			}
			*one.to = append(*one.to, l)
		}
	}
	return s, nil
}

func (s *sockets) close() error {
	var errs []error
	for _, listeners := range [][]net.Listener{s.http, s.https, s.internalHTTP, s.metrics} {
		for _, l := range listeners {
			errs = append(errs, l.Close())
		}
	}
	return errors.Join(errs...)
}

func (s *sockets) addresses() Addresses {
	return Addresses{HTTP: bound(s.http), HTTPS: bound(s.https), InternalHTTP: bound(s.internalHTTP), Metrics: bound(s.metrics)}
}

func bound(listeners []net.Listener) []net.Addr {
	out := make([]net.Addr, len(listeners))
	for i, l := range listeners {
		out[i] = l.Addr()
	}
	return out
}

// port returns the port of the first listener, 0 when there is none.
func port(listeners []net.Listener) uint32 {
	if len(listeners) == 0 {
		return 0
	}
	if a, ok := listeners[0].Addr().(*net.TCPAddr); ok {
		return uint32(a.Port) //nolint:gosec // a port
	}
	return 0
}
