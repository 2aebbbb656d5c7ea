package image

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// errPlain means that a registry would have been asked without TLS.
var errPlain = errors.New("plain HTTP is allowed for loopback and configured registries only")

// guard keeps requests of users' choosing from going where they should not. The
// library falls back to plain HTTP for private addresses by itself.
type guard struct {
	inner http.RoundTripper
	plain func(hostport string) bool
}

// http.RoundTripper

func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" && !g.plain(request.URL.Host) {
		return nil, fmt.Errorf("ask %s: %w", request.URL.Host, errPlain)
	}
	return g.inner.RoundTrip(request)
}

// newTransport never connects to link-local addresses, where clouds keep the
// credentials of the machine.
func newTransport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 3 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		if ip := net.ParseIP(host); ip == nil || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() {
			return fmt.Errorf("connect to %s: not a registry's address", host)
		}
		return nil
	}}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 8 * time.Second,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConnsPerHost:   4,
	}
}

// classify says what a failed request means. The registry's answer is not repeated:
// whoever chose the address must not read through us what is behind it.
func classify(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("no answer in time: %w", ErrUnreachable)
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		if errors.Is(err, errPlain) {
			return fmt.Errorf("%w: %w", errPlain, ErrUnreachable)
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, network(err))
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrDenied
	default:
		return fmt.Errorf("registry answers %d: %w", answer.StatusCode, ErrUnreachable)
	}
}

// network reduces an error to what happened on the network.
func network(err error) error {
	var operation *net.OpError
	if errors.As(err, &operation) {
		return operation
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns
	}
	return errors.New("no usable answer")
}
