package dns

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/runway-platform/runway/ingress/route"
)

const (
	// maxUDPAnswer is the largest answer over UDP, in bytes, that no path has to cut
	// into fragments.
	maxUDPAnswer = 1232
	// maxForwarded bounds the questions that wait for an upstream resolver at a
	// time; more are refused.
	maxForwarded = 1000
)

// corefile writes the configuration of the server on one address. Our plugin
// tells zones apart, as the domain comes with the routes; so the block is the root.
func corefile(scope route.Scope, address netip.AddrPort, upstreams []netip.AddrPort) string {
	name := "public"
	if scope == route.Internal {
		name = "internal"
	}
	var b strings.Builder
	fmt.Fprintf(&b, ".:%d {\n", address.Port())
	b.WriteString("\terrors {\n\t\tconsolidate 1m .* warning show_first\n\t}\n")
	b.WriteString("\tshed\n")
	fmt.Fprintf(&b, "\tbufsize %d\n", maxUDPAnswer)
	fmt.Fprintf(&b, "\trunway %s\n", name)
	if scope == route.Internal && len(upstreams) > 0 {
		b.WriteString("\tforward .")
		for _, upstream := range upstreams {
			b.WriteString(" " + net.JoinHostPort(upstream.Addr().String(), fmt.Sprint(upstream.Port())))
		}
		fmt.Fprintf(&b, " {\n\t\tpolicy sequential\n\t\tmax_concurrent %d\n\t}\n", maxForwarded)
	}
	b.WriteString("}\n")
	return b.String()
}
