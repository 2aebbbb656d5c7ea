package cli

import (
	"context"
	"strings"
	"time"

	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
)

// defaultTokenTTL makes forgotten tokens harmless after a season.
const defaultTokenTTL = 90 * 24 * time.Hour

// peopleRoles are the roles that a token may have; machines have certificates.
var peopleRoles = []runwayv1.Role{
	runwayv1.Role_ROLE_VIEWER, runwayv1.Role_ROLE_DEPLOYER, runwayv1.Role_ROLE_SPACE_ADMIN, runwayv1.Role_ROLE_OPERATOR,
	runwayv1.Role_ROLE_AUDITOR, runwayv1.Role_ROLE_CLUSTER_ADMIN, runwayv1.Role_ROLE_SCRAPER,
}

type tokenFlags struct {
	role   string
	spaces []string
	ttl    time.Duration
}

func (a *app) tokensCommand() *cobra.Command {
	var flags tokenFlags
	create := &cobra.Command{
		Use: "create NAME", Short: "Make a token for a person or a CI system", Args: exactly("NAME"),
		Long: "Create prints a token once; keep it in a file for --token-file or in RUNWAY_TOKEN. A role may do what its name\n" +
			"says, in the spaces of --for-space or in all.",
		Example: "  runwayctl tokens create ci-shop --role deployer --for-space shop",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.createToken(cmd.Context(), cmd, args[0], flags)
		},
	}
	f := create.Flags()
	f.StringVar(&flags.role, "role", "deployer", strings.Join(roleNames(), ", "))
	f.StringSliceVar(&flags.spaces, "for-space", nil, "space that it is limited to; may be repeated")
	f.DurationVar(&flags.ttl, "ttl", defaultTokenTTL, "how long it is valid")
	list := &cobra.Command{
		Use: "list", Short: "List tokens", Args: exactly(),
		Long: "List shows who may call the cluster: names, roles, spaces and when each token ends. Secrets are not kept\n" +
			"and cannot be shown.",
		Example: "  runwayctl tokens list",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listTokens(cmd.Context()) },
	}
	revoke := &cobra.Command{
		Use: "revoke TOKEN", Short: "Make a token invalid", Args: exactly("TOKEN"),
		Long:    "Revoke ends a token at once, on every coordinator. Find its ID with: runwayctl tokens list.",
		Example: "  runwayctl tokens revoke 01JD3V",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.revokeToken(cmd.Context(), args[0]) },
	}
	return noun("tokens", "Create, list and revoke tokens", create, list, revoke)
}

func roleNames() []string {
	var names []string
	for _, r := range peopleRoles {
		names = append(names, roleName(r))
	}
	return names
}

func (a *app) createToken(ctx context.Context, cmd *cobra.Command, name string, flags tokenFlags) error {
	role, ok := roleOf(flags.role)
	if !ok || role < peopleRoles[0] {
		return usagef(cmd, "--role %q is not one of %s", flags.role, strings.Join(roleNames(), ", "))
	}
	if flags.ttl <= 0 {
		return usagef(cmd, "--ttl %s is not positive", flags.ttl)
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.tokens.CreateToken, &runwayv1.CreateTokenRequest{Name: name, Role: role, Spaces: flags.spaces, Ttl: durationpb.New(flags.ttl)})
	if err != nil {
		return err
	}
	a.note("shown once; valid until " + stamp(reply.GetToken().GetExpiresAt()) + "; revoke it: runwayctl tokens revoke " + reply.GetToken().GetId())
	return a.show(reply, func(t *table) { t.text(reply.GetSecret()) })
}

func (a *app) listTokens(ctx context.Context) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	reply, err := ask(ctx, c.tokens.ListTokens, &runwayv1.ListTokensRequest{})
	if err != nil {
		return err
	}
	return a.show(reply, func(t *table) {
		t.head("ID", "NAME", "ROLE", "SPACES", "EXPIRES", "AGE")
		for _, token := range reply.GetTokens() {
			t.row(token.GetId(), token.GetName(), roleName(token.GetRole()), firstNonEmpty(strings.Join(token.GetSpaces(), ","), "all"), stamp(token.GetExpiresAt()), a.age(token.GetMeta().GetCreatedAt()))
		}
	})
}

func (a *app) revokeToken(ctx context.Context, id string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	if _, err := ask(ctx, c.tokens.RevokeToken, &runwayv1.RevokeTokenRequest{Id: id}); err != nil {
		return err
	}
	return a.showDone("revoked", "token "+id)
}
