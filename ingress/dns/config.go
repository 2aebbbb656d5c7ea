package dns

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// DefaultResolvConf names the resolvers of the machine.
const DefaultResolvConf = "/etc/resolv.conf"

// maxUpstreams is how many resolvers CoreDNS forwards to.
const maxUpstreams = 15

// Config is everything that a Server needs.
type Config struct {
	// Public addresses, ip:port, answer for the public zone and nothing else.
	Public []string
	// Internal addresses, ip:port, answer replicas: both zones and all other names.
	Internal []string
	// Upstreams resolve other names, each ip or ip:port, tried in this order. When
	// there is none, ResolvConf is read once.
	Upstreams []string
	// ResolvConf is read for resolvers; empty means DefaultResolvConf.
	ResolvConf string
	// Source has the records.
	Source Source
	// Listen and ListenPacket open a socket; nil means those of package net. A
	// process that inherits the sockets of its predecessor finds them here.
	Listen       func(network, address string) (net.Listener, error)
	ListenPacket func(network, address string) (net.PacketConn, error)
	// Registerer takes the metrics; one Server only.
	Registerer prometheus.Registerer
	Log        *slog.Logger
}

// Validate reports every field that is missing or out of range.
func (c Config) Validate() error {
	var problems []error
	require := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, errors.New(problem))
		}
	}
	require(len(c.Public)+len(c.Internal) > 0, "no address to serve on")
	require(c.Source != nil, "source of records is missing")
	require(c.Registerer != nil, "metrics registerer is missing")
	require(c.Log != nil, "logger is missing")
	require(len(c.Upstreams) <= maxUpstreams, "more than "+strconv.Itoa(maxUpstreams)+" upstreams")
	for _, address := range slices.Concat(c.Public, c.Internal) {
		if _, err := netip.ParseAddrPort(address); err != nil {
			problems = append(problems, fmt.Errorf("listen address %q: %w", address, err))
		}
	}
	for _, upstream := range c.Upstreams {
		if _, err := parseUpstream(upstream); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("check DNS configuration: %w", err)
	}
	return nil
}

// upstreams returns the resolvers to forward to; none is not an error, as a
// machine without resolvers still has its own names. Resolvers at one of the
// addresses that we serve on are left out: they would be us.
func (c Config) upstreams(bound []netip.AddrPort) ([]netip.AddrPort, error) {
	raw, err := c.resolvers()
	if err != nil {
		return nil, err
	}
	var upstreams []netip.AddrPort
	for _, one := range raw {
		upstream, err := parseUpstream(one)
		switch {
		case err != nil:
			c.Log.Warn("resolver left out", "address", one, "err", err)
		case slices.ContainsFunc(bound, func(own netip.AddrPort) bool { return reaches(upstream, own) }):
			c.Log.Warn("resolver left out, it is this server", "address", one)
		default:
			upstreams = append(upstreams, upstream)
		}
	}
	return upstreams[:min(len(upstreams), maxUpstreams)], nil
}

// resolvers returns the configured upstreams, else those of the machine.
func (c Config) resolvers() ([]string, error) {
	if len(c.Upstreams) > 0 {
		return c.Upstreams, nil
	}
	path := c.ResolvConf
	if path == "" {
		path = DefaultResolvConf
	}
	found, err := dns.ClientConfigFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read resolvers from %q: %w", path, err)
	}
	return found.Servers, nil
}

// errScoped means that CoreDNS cannot forward to an address: it takes what follows
// the percent sign for a TLS name.
var errScoped = errors.New("link-local addresses with a zone are not supported")

func parseUpstream(raw string) (netip.AddrPort, error) {
	upstream, err := netip.ParseAddrPort(raw)
	if err != nil {
		address, bare := netip.ParseAddr(raw)
		if bare != nil {
			return netip.AddrPort{}, fmt.Errorf("upstream %q: %w", raw, err)
		}
		upstream = netip.AddrPortFrom(address, dnsPort)
	}
	if upstream.Addr().Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("upstream %q: %w", raw, errScoped)
	}
	return upstream, nil
}

// dnsPort is where resolvers are.
const dnsPort = 53

// reaches tells whether a question to the upstream arrives at our own socket.
func reaches(upstream, own netip.AddrPort) bool {
	if upstream.Port() != own.Port() {
		return false
	}
	return upstream.Addr() == own.Addr() || own.Addr().IsUnspecified() && upstream.Addr().IsLoopback()
}
