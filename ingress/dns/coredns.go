package dns

import (
	"errors"
	"fmt"

	"github.com/coredns/caddy"
	_ "github.com/coredns/coredns/core/dnsserver" // registers the server type
)

// serverType is what CoreDNS calls itself among Caddy's servers.
const serverType = "dns"

// dependencies reach the setup of our plugin through the instance that it is set
// up in.
type dependencies struct {
	source  Source
	metrics *metrics
}

type (
	dependenciesKey struct{}
	contextKey      struct{}
)

// instance is one CoreDNS server, made from a Corefile with one server block. It
// opens no socket and starts nothing by itself.
//
// caddy.Start is not used: it opens sockets with SO_REUSEPORT, so that a second
// process on the same port goes unnoticed, it only logs when a server stops
// serving, and it leaves no way to hand our records to the plugin but a global
// variable.
type instance struct {
	caddy  *caddy.Instance
	server caddy.GracefulServer
}

// errBlocks means that a Corefile has other than one server block with our plugin.
var errBlocks = errors.New("want one server block with the runway directive")

func newInstance(corefile string, given dependencies) (*instance, error) {
	i := &instance{caddy: &caddy.Instance{Storage: map[any]any{dependenciesKey{}: given}}}
	input := caddy.CaddyfileInput{Filepath: "Corefile", Contents: []byte(corefile), ServerTypeName: serverType}
	if err := caddy.ValidateAndExecuteDirectives(input, i.caddy, false); err != nil {
		return nil, fmt.Errorf("load Corefile: %w", err)
	}
	context, ok := i.caddy.Storage[contextKey{}].(caddy.Context)
	if !ok {
		return nil, fmt.Errorf("load Corefile: %w", errBlocks)
	}
	servers, err := context.MakeServers()
	if err != nil {
		return nil, fmt.Errorf("make server: %w", err)
	}
	if len(servers) != 1 {
		return nil, fmt.Errorf("make server: %d servers: %w", len(servers), errBlocks)
	}
	i.server, ok = servers[0].(caddy.GracefulServer)
	if !ok {
		return nil, fmt.Errorf("make server: %T cannot be stopped", servers[0])
	}
	return i, nil
}

// startup runs what plugins want done before the first question.
func (i *instance) startup() error {
	for _, callbacks := range [][]func() error{i.caddy.OnFirstStartup, i.caddy.OnStartup} {
		for _, callback := range callbacks {
			if err := callback(); err != nil {
				return fmt.Errorf("start plugin: %w", err)
			}
		}
	}
	return nil
}

// shutdown ends what plugins run in the background.
func (i *instance) shutdown() error {
	if err := errors.Join(i.caddy.ShutdownCallbacks()...); err != nil {
		return fmt.Errorf("stop plugin: %w", err)
	}
	return nil
}

// registerForOwnInstances makes the directives known to instances that caddy.Start
// did not make. Those have no server type, which cannot be set from outside, and
// directives are looked up by it; one that is registered for every type is found.
func registerForOwnInstances() {
	for _, directive := range directives {
		caddy.RegisterPlugin(directive, caddy.Plugin{Action: func(c *caddy.Controller) error {
			action, err := caddy.DirectiveAction(serverType, directive)
			if err != nil {
				return err
			}
			return action(c)
		}})
	}
}
