package caddy

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/runway-platform/runway/ingress/route"
)

const (
	// maxHeaderBytes is what large cookies need and no more; Go adds 4 kB.
	maxHeaderBytes = 32<<10 - 4<<10
	// readHeaderTimeout is how long a client may take for its headers.
	readHeaderTimeout = 10 * time.Second
	// stallTimeout is how long a client may send nothing of a body it began.
	stallTimeout = 30 * time.Second
	// idleTimeout is how long a connection without a request stays open: longer
	// than the 60 s of common load balancers, so that they close first.
	idleTimeout = 75 * time.Second
)

type object = map[string]any

// configJSON returns the configuration that Caddy runs with. It has no routes
// and no certificates: those are looked up for each request.
func configJSON(cfg Config) ([]byte, error) {
	generated, err := json.MarshalIndent(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"logging": loggingConfig(),
		"storage": object{"module": "file_system", "root": cfg.DataDir},
		"apps":    object{"http": httpConfig(cfg), "tls": tlsConfig()},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode caddy configuration: %w", err)
	}
	return generated, nil
}

// loggingConfig sends what Caddy logs to our logger. Refused handshakes are left
// out: anybody on the internet can cause any number of them.
func loggingConfig() object {
	return object{"logs": object{"default": object{
		"level":   "WARN",
		"writer":  object{"output": "discard"},
		"core":    object{"module": "runway"},
		"exclude": []string{"tls.handshake"},
	}}}
}

// tlsConfig takes every certificate from us. The manager answers or refuses, so
// that Caddy never comes to issue one itself.
func tlsConfig() object {
	return object{
		"automation": object{"policies": []object{
			{"get_certificate": []object{{"via": "runway"}}},
		}},
		"disable_ocsp_stapling": true,
		"disable_storage_check": true,
		"disable_storage_clean": true,
	}
}

func httpConfig(cfg Config) object {
	servers := object{}
	addServer(servers, "redirect", cfg.Listeners.HTTP, server(
		[]string{"h1"}, object{"handler": "runway_redirect", "https_port": cfg.HTTPSPort}))
	public := server([]string{"h1", "h2"}, proxyConfig(route.Public, cfg.TrustedProxies))
	public["tls_connection_policies"] = []object{{}}
	addServer(servers, "public", cfg.Listeners.HTTPS, public)
	addServer(servers, "internal", cfg.Listeners.InternalHTTP, server(
		[]string{"h1", "h2c"}, proxyConfig(route.Internal, nil)))
	return object{"servers": servers, "grace_period": caddy.Duration(cfg.DrainTimeout)}
}

func server(protocols []string, handler object) object {
	return object{
		"protocols":           protocols,
		"automatic_https":     object{"disable": true},
		"read_header_timeout": caddy.Duration(readHeaderTimeout),
		"read_idle_timeout":   caddy.Duration(stallTimeout),
		"idle_timeout":        caddy.Duration(idleTimeout),
		// Otherwise the server throws away up to 256 kB of a body that a replica
		// begins to answer before it has read all of it.
		"enable_full_duplex": true,
		"max_header_bytes":   maxHeaderBytes,
		"routes":             []object{{"handle": []object{handler}}},
	}
}

func proxyConfig(scope route.Scope, trusted []netip.Prefix) object {
	handler := object{"handler": "runway", "scope": scope.String()}
	if len(trusted) > 0 {
		handler["trusted_proxies"] = trusted
	}
	return handler
}

// addServer adds a server with the addresses of its listeners, if it has any.
func addServer(servers object, name string, listeners []net.Listener, server object) {
	if len(listeners) == 0 {
		return
	}
	listen := make([]string, len(listeners))
	for i := range listeners {
		listen[i] = listenAddress(name, i)
	}
	server["listen"] = listen
	servers[name] = server
}
