package coordinator

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/runway-platform/runway/coordinator/client"
	runwayv1 "github.com/runway-platform/runway/proto/runway/v1"
)

// MakeAdminToken makes a token of a cluster administrator, for when nobody has one
// any more. It proves itself with the key of the coordinator in c.DataDir, so it runs
// on that machine and as the owner of its files, while the cluster is led by whomever.
// The token is a command in the log and an event like any other.
func (c Config) MakeAdminToken(ctx context.Context) (string, error) {
	own, err := loadKeys(c)
	if err != nil {
		return "", err
	}
	ca, err := os.ReadFile(c.authorityFile())
	if err != nil {
		return "", fmt.Errorf("read certificate of the authority: %w", err)
	}
	identity := client.NewIdentity(*own.own.Load(), ca)
	conn, err := client.Dial(client.Config{Addresses: []string{c.advertised()}, Identity: identity})
	if err != nil {
		return "", err
	}
	answer, err := runwayv1.NewTokensClient(conn).CreateToken(ctx, &runwayv1.CreateTokenRequest{
		Name: "admin made at " + identity.ID(), Role: runwayv1.Role_ROLE_CLUSTER_ADMIN,
	})
	if err := errors.Join(err, conn.Close()); err != nil {
		return "", fmt.Errorf("make admin token: %w", err)
	}
	return answer.GetSecret(), nil
}
