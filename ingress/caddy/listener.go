package caddy

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/caddyserver/caddy/v2"
)

// network is the name under which Caddy asks us for listeners.
const network = "runway"

func init() { caddy.RegisterNetwork(network, listen) }

// listenAddress names one of our open listeners in Caddy's form of addresses.
// Port 1 and up stand for the index; no address is resolved.
func listenAddress(server string, index int) string {
	return network + "/" + net.JoinHostPort(server, strconv.Itoa(index+1))
}

// listen returns the open listener that listenAddress named.
func listen(_ context.Context, _, server, port string, offset uint, _ net.ListenConfig) (any, error) {
	cfg := site.Load()
	if cfg == nil {
		return nil, fmt.Errorf("find listeners of server %q: caddy was not started by Run", server)
	}
	listeners := map[string][]net.Listener{
		"redirect": cfg.Listeners.HTTP,
		"public":   cfg.Listeners.HTTPS,
		"internal": cfg.Listeners.InternalHTTP,
	}[server]
	number, err := strconv.Atoi(port)
	index := number - 1 + int(offset)
	if err != nil || index < 0 || index >= len(listeners) {
		return nil, fmt.Errorf("find listener %q of server %q: there are %d", port, server, len(listeners))
	}
	return cfg.door.guard(listeners[index]), nil
}
