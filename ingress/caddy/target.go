package caddy

import (
	"context"
	"net"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/runway-platform/runway/ingress/route"
)

// targetKey is where the dialer finds the replica that a request is for.
type targetKey struct{}

// toTarget returns a dialer to the replica of the request, whatever the address, that
// hands over only connections that are admitted. The error of any other tells that
// nothing was sent.
func toTarget(dial dialFunc, admit Admit) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		target, ok := ctx.Value(targetKey{}).(*route.Target)
		if ok {
			address = target.Dial
		}
		conn, err := dial(ctx, network, address)
		if err == nil && ok && admit != nil {
			conn, err = admit(ctx, conn, target)
		}
		if err != nil {
			return nil, dialError{reverseproxy.NewDialError(err), err}
		}
		return conn, nil
	}
}

// dialError is a reverseproxy.DialError whose reason can be asked for.
type dialError struct {
	error
	reason error
}

func (e dialError) Unwrap() []error { return []error{e.error, e.reason} }
