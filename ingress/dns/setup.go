package dns

import (
	"errors"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/bufsize" // registers its directive
	_ "github.com/coredns/coredns/plugin/errors"  // registers its directive
	_ "github.com/coredns/coredns/plugin/forward" // registers its directive
	_ "github.com/coredns/coredns/plugin/shed"    // registers its directive

	"github.com/runway-platform/runway/ingress/route"
)

const pluginName = "runway"

// directives are all that a Corefile may say here, in the order in which a
// question passes them.
var directives = []string{"errors", "shed", "bufsize", pluginName, "forward"}

// init registers the plugin and fixes the directives: CoreDNS keeps both for the
// whole process and wants them before any server is made.
func init() {
	plugin.Register(pluginName, setup)
	dnsserver.Directives = directives
	dnsserver.Quiet = true
	caddy.Quiet = true
	registerForOwnInstances()
}

// errAlone is what a stock CoreDNS with this plugin would run into.
var errAlone = errors.New("the records come from the ingress that runs the server; there is none")

// setup reads the directive and puts the plugin into its server block.
func setup(c *caddy.Controller) error {
	scope, err := parse(c)
	if err != nil {
		return plugin.Error(pluginName, err)
	}
	given, ok := c.Get(dependenciesKey{}).(dependencies)
	if !ok {
		return plugin.Error(pluginName, errAlone)
	}
	h := &Runway{scope: scope, source: given.source, metrics: given.metrics}
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		h.Next = next
		return h
	})
	c.Set(contextKey{}, c.Context())
	return nil
}

// parse reads "runway public" or "runway internal".
func parse(c *caddy.Controller) (route.Scope, error) {
	c.Next()
	words := c.RemainingArgs()
	if len(words) != 1 {
		return 0, c.ArgErr()
	}
	if c.NextBlock() {
		return 0, c.Errf("unknown property %q", c.Val())
	}
	if c.Next() {
		return 0, plugin.ErrOnce
	}
	switch words[0] {
	case "public":
		return route.Public, nil
	case "internal":
		return route.Internal, nil
	}
	return 0, c.Errf("unknown scope %q, use public or internal", words[0])
}
