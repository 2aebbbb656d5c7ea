package cli

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"time"

	"github.com/runway-platform/runway/cli/config"
	"github.com/runway-platform/runway/coordinator/client"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"google.golang.org/grpc"
)

const (
	// callTimeout bounds a call that only reads or writes state: longer than an
	// election, shorter than a person waits.
	callTimeout = 15 * time.Second
	// deployTimeout bounds the call that resolves an image at its registry.
	deployTimeout = 90 * time.Second
)

// configPath is the configuration file to use, and whether the user named it.
func (a *app) configPath() (path string, named bool) {
	if a.globals.config != "" {
		return a.globals.config, true
	}
	return a.UserConfig, false
}

// selectContext finds out which cluster is meant: the one that a flag names, else
// RUNWAY_ADDRESS and RUNWAY_CA, else a context of the configuration file.
func (a *app) selectContext() (config.Context, error) {
	chosen, err := a.fileContext()
	if err != nil {
		return config.Context{}, err
	}
	if !a.globals.clusterNamed {
		chosen = a.withVariables(chosen)
	}
	if chosen.Address == "" {
		return config.Context{}, &failure{
			exit: exitUsage, code: usageCode, summary: "no cluster is configured",
			fix: "name a configuration file with --config or RUNWAY_CONFIG; `runway dev` writes one",
		}
	}
	if _, _, err := net.SplitHostPort(chosen.Address); err != nil {
		return config.Context{}, fail(usageCode, "address %q is not HOST:PORT", chosen.Address)
	}
	return chosen, nil
}

// withVariables is a context with address and CA from the environment. The token of
// the file goes only to who its own CA vouches for.
func (a *app) withVariables(chosen config.Context) config.Context {
	address, ca := a.env("RUNWAY_ADDRESS"), a.env("RUNWAY_CA")
	if ca != "" || (address != "" && chosen.CA == "") {
		chosen.Token, chosen.TokenFile = "", ""
	}
	chosen.Address, chosen.CA = firstNonEmpty(address, chosen.Address), firstNonEmpty(ca, chosen.CA)
	return chosen
}

// fileContext is the chosen context of the file; empty when there is no file and
// none was named.
func (a *app) fileContext() (config.Context, error) {
	path, named := a.configPath()
	if path == "" {
		return config.Context{}, nil
	}
	file, err := config.Load(path)
	if errors.Is(err, fs.ErrNotExist) && !named && a.globals.context == "" {
		return config.Context{}, nil
	}
	if err != nil {
		return config.Context{}, err
	}
	if exposed, err := config.Exposed(path); err == nil && exposed {
		a.warn("others can read " + path + ", which may hold a token; run chmod 600 on it")
	}
	chosen, err := file.Select(a.globals.context)
	if errors.Is(err, config.ErrNoContext) && a.globals.context == "" {
		return config.Context{}, nil
	}
	return chosen, contextFailure(err)
}

// contextFailure says what to do about a context that the file does not have.
func contextFailure(err error) error {
	if !errors.Is(err, config.ErrNoContext) {
		return err
	}
	return &failure{exit: exitUsage, code: usageCode, summary: err.Error(), fix: "list them with `runwayctl context list`"}
}

// names settles space and environment without a connection.
func (a *app) names() error {
	chosen, err := a.fileContext()
	if err != nil {
		return err
	}
	a.globals.settleNames(chosen)
	return nil
}

// clients are the parts of the operator API.
type clients struct {
	cluster     runwayv1.ClusterAPIClient
	spaces      runwayv1.SpacesClient
	services    runwayv1.ServicesClient
	deployments runwayv1.DeploymentsClient
	nodes       runwayv1.NodesClient
	events      runwayv1.EventsClient
	tokens      runwayv1.TokensClient
}

// connect dials the cluster and settles the names that its context gives. Nothing
// is sent before the first call.
func (a *app) connect() (*clients, error) {
	chosen, err := a.selectContext()
	if err != nil {
		return nil, err
	}
	return a.dial(chosen)
}

// dial is connect to a cluster that is chosen.
func (a *app) dial(chosen config.Context) (*clients, error) {
	a.globals.settleNames(chosen)
	target := client.Config{Addresses: []string{chosen.Address}, CAFile: chosen.CA}
	a.authenticate(&target, chosen)
	if a.globals.verbose {
		a.note("coordinator " + chosen.Address)
	}
	conn, err := a.Dial(target)
	if err != nil {
		return nil, fail(usageCode, "connect to %s: %v", chosen.Address, err)
	}
	a.conn = conn
	return &clients{
		cluster: runwayv1.NewClusterAPIClient(a.conn), spaces: runwayv1.NewSpacesClient(a.conn),
		services: runwayv1.NewServicesClient(a.conn), deployments: runwayv1.NewDeploymentsClient(a.conn),
		nodes: runwayv1.NewNodesClient(a.conn), events: runwayv1.NewEventsClient(a.conn), tokens: runwayv1.NewTokensClient(a.conn),
	}, nil
}

// authenticate chooses the token: the named file, RUNWAY_TOKEN, the context. A
// cluster that a flag names gets its own token, if it has one: that of the variable
// may be another cluster's.
func (a *app) authenticate(target *client.Config, chosen config.Context) {
	own := a.globals.clusterNamed && (chosen.Token != "" || chosen.TokenFile != "")
	switch {
	case a.globals.tokenFile != "" && (a.globals.tokenNamed || !own):
		target.TokenFile = a.globals.tokenFile
	case a.env("RUNWAY_TOKEN") != "" && !own:
		target.Token = a.env("RUNWAY_TOKEN")
	case chosen.TokenFile != "":
		target.TokenFile = chosen.TokenFile
	default:
		target.Token = chosen.Token
	}
	if exposed, err := config.Exposed(target.TokenFile); target.TokenFile != "" && err == nil && exposed {
		a.warn("others can read the token in " + target.TokenFile + "; run chmod 600 on it")
	}
}

func (a *app) close() error {
	if a.conn == nil {
		return nil
	}
	if at := a.conn.TokenExpires(); !at.IsZero() {
		a.warn("this token is valid until " + at.UTC().Format(time.RFC3339) + " only; make the next one: runwayctl tokens create NAME --role ROLE")
	}
	return a.conn.Close()
}

// ask performs a unary call within callTimeout.
func ask[Q, A any](ctx context.Context, method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return method(ctx, request)
}
