package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/runway-platform/runway/ingress/handover"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// DefaultDrainTimeout is how long requests in flight may take after the ingress
// was asked to stop; it equals the drain time of replicas.
const DefaultDrainTimeout = 30 * time.Second

// Companion runs beside the proxy until its requests are drained: the DNS server.
type Companion func(ctx context.Context) error

// Config is everything that an Ingress needs.
type Config struct {
	// Name is what operators call this ingress.
	Name string
	// DataDir keeps routes and certificates; it is made when it is missing.
	DataDir string
	// Coordinator is a connection that finds the leader, with the certificate of
	// this ingress.
	Coordinator grpc.ClientConnInterface
	// Nodes is for connections to agents: they are asked which replica a node port
	// leads to while the routes may be old.
	Nodes *tls.Config
	// Facts is what the coordinator is told; ports that are 0 are taken from the
	// listeners.
	Facts *runwayv1.IngressFacts
	// HTTP addresses redirect to HTTPS.
	HTTP []string
	// HTTPS addresses serve public names.
	HTTPS []string
	// InternalHTTP addresses serve internal names, to replicas only.
	InternalHTTP []string
	// Metrics is the address of /metrics, /healthz and /readyz; empty for none.
	Metrics string
	// Profiles answers /debug/pprof/ at Metrics; nil for none. It decides who may ask.
	Profiles http.Handler
	// Listen opens a socket; nil means net.Listen. A process that inherits the
	// sockets of its predecessor finds them here.
	Listen func(network, address string) (net.Listener, error)
	// Sockets are where Listen finds them, and are passed on to a successor; nil for
	// an ingress that is never replaced while it serves.
	Sockets *handover.Sockets
	// TrustedProxies may set X-Forwarded-* headers; nobody else may.
	TrustedProxies []netip.Prefix
	// DrainTimeout bounds the wait for requests in flight; see DefaultDrainTimeout.
	DrainTimeout time.Duration
	// Registry takes the metrics and gives them to /metrics.
	Registry *prometheus.Registry
	Log      *slog.Logger
}

// Validate reports every field that is missing or out of range.
func (c Config) Validate() error {
	var problems []error
	require := func(ok bool, problem string) {
		if !ok {
			problems = append(problems, errors.New(problem))
		}
	}
	require(c.Name != "", "name is empty")
	require(c.DataDir != "", "data folder is empty")
	require(c.Coordinator != nil, "connection to the coordinator is missing")
	require(c.Nodes != nil, "TLS configuration for nodes is missing")
	require(c.Facts != nil, "facts are missing")
	require(len(c.HTTPS)+len(c.InternalHTTP) > 0, "no address to serve on")
	require(c.DrainTimeout > 0, "drain timeout is not positive")
	require(c.Registry != nil, "metrics registry is missing")
	require(c.Log != nil, "logger is missing")
	for _, addresses := range [][]string{c.HTTP, c.HTTPS, c.InternalHTTP} {
		for _, address := range addresses {
			if _, _, err := net.SplitHostPort(address); err != nil {
				problems = append(problems, fmt.Errorf("listen address %q: %w", address, err))
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("check ingress configuration: %w", err)
	}
	return nil
}
